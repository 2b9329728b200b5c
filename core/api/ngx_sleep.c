/* ngx_sleep.c -- ngx.sleep(seconds): other requests keep running. */
#include "api/api.h"
#include "vm/task.h"

static int f_sleep(lua_State *L)
{
    lua_Number sec = luaL_checknumber(L, 1);
    if (!(sec >= 0 && sec < 1e9))
        return luaL_error(L, "invalid sleep duration \"%f\"", sec);
    return task_sleep(task_check(L), (uint64_t)(sec * 1000 + 0.5));
}

void ngx_sleep_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "sleep", f_sleep }, { NULL, NULL } };
    vm_register(vm, L, funcs);
}
