/* global.c -- tells of global variables that scripts make while they serve:
 * whatever runs at the same time shares them. */
#include "api/api.h"
#include "api/ngx_log.h"

/* __newindex of _G */
static int f_new(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct buf text = { 0 };
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    lua_pushvalue(L, 2);
    lua_insert(L, 3);
    lua_rawset(L, 1);
    if (vm->phase && !strncmp(vm->phase, "init_", 5))
        return 0;
    luaL_traceback(L, L, NULL, 1);
    buf_addf(&text,
             "[lua] _G write guard: writing a global Lua variable ('%s') "
             "which may lead to race conditions between concurrent requests, "
             "so prefer the use of 'local' variables\n%s",
             name, lua_tostring(L, -1));
    ngx_log_write(api_request_or_null(L),
                  vm->phase     ? vm->phase
                  : vm->running ? vm->running->context
                                : "",
                  LOG_WARN, &text);
    buf_free(&text);
    return 0;
}

void global_guard(struct vm *vm)
{
    lua_State *L = vm->L;
    struct api *api = vm->host;
    if (api->worker->process->console)
        return;
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    if (!lua_getmetatable(L, -1))
        lua_createtable(L, 0, 1);
    vm_push_function(vm, L, f_new);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}
