/* ngx_abort.c -- ngx.on_abort, and what a client's leaving does. */
#include "api/request.h"

void ngx_abort_happened(struct http_request *http, void *user)
{
    (void)user;
    struct request *r = http->user;
    struct task *t = r->task;
    if (!t || r->finished)
        return;
    request_log(r, LOG_INFO, SLICE("client prematurely closed connection"));
    lua_State *L = t->vm->L;
    if (r->abort_ref != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, r->abort_ref);
        ngx_thread_launch(t, L);
        return;
    }
    request_drop_task(r);
    r->exit_status = 499;
    r->replied = r->finished = true;
    http_drop(http);
}

/* ngx.on_abort(f): f runs as a light thread when the client leaves before its
 * answer. */
static int f_on_abort(lua_State *L)
{
    luaL_argcheck(L, lua_isfunction(L, 1) && !lua_iscfunction(L, 1), 1,
                  "Lua function expected");
    struct request *r = api_request_in(L, REQUEST_MAY_WAIT);
    if (!r->location->lua_check_client_abort || r->parent)
        return vm_fail(L, "lua_check_client_abort is off");
    if (r->abort_ref != LUA_NOREF)
        return vm_fail(L, "duplicate call");
    lua_settop(L, 1);
    r->abort_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushinteger(L, 1);
    return 1;
}

void ngx_abort_open(struct vm *vm, lua_State *L)
{
    vm_push_function(vm, L, f_on_abort);
    lua_setfield(L, -2, "on_abort");
}
