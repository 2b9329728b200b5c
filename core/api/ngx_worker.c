/* ngx_worker.c -- ngx.worker, ngx.get_phase and "ngx.process". */
#include "api/api.h"
#include <unistd.h>

/* Where the running code stands: "content_by_lua*", "ngx.timer", ... */
static const char *context(struct vm *vm)
{
    if (vm->phase)
        return vm->phase;
    return vm->running ? vm->running->context : "init_by_lua*";
}

/* "content", "timer", "init_worker": the context without its ornaments. */
static int f_get_phase(lua_State *L)
{
    struct slice name = slice_str(context(vm_of(L)));
    static const struct slice by = { "_by_lua*", 8 }, ngx = { "ngx.", 4 };
    if (name.len > by.len && slice_eq(slice_from(name, name.len - by.len), by))
        name.len -= by.len;
    else if (slice_starts(name, ngx))
        name = slice_from(name, ngx.len);
    vm_push(L, name);
    return 1;
}

static int f_id(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)api_of(L)->worker->id);
    return 1;
}

static int f_count(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)api_of(L)->worker->process->workers);
    return 1;
}

static int f_pid(lua_State *L)
{
    lua_pushinteger(L, getpid());
    return 1;
}

/* Workers are threads here, so each has the pid of the process. */
static int f_pids(lua_State *L)
{
    int count = (int)api_of(L)->worker->process->workers;
    if (!strncmp(context(vm_of(L)), "init_", 5))
        return vm_fail(L, "API disabled in the current context");
    lua_createtable(L, count, 0);
    for (int i = 1; i <= count; i++) {
        lua_pushinteger(L, getpid());
        lua_rawseti(L, -2, i);
    }
    return 1;
}

static int f_exiting(lua_State *L)
{
    struct api *api = api_of(L);
    lua_pushboolean(L, api->vm->retired ||
                           atomic_load(&api->worker->process->draining));
    return 1;
}

/* ---- require "ngx.process" ---------------------------------------------- */

static int f_type(lua_State *L)
{
    const struct api *api = api_of(L);
    lua_pushstring(L, api->worker->process->console ? "single"
                      : api->conf->master_process   ? "worker"
                                                    : "single");
    return 1;
}

/* Workers are threads: none of them has more rights than another. */
static int f_privileged_agent(lua_State *L)
{
    return vm_fail(L, "workers are threads of one process");
}

static void open_process(struct vm *vm)
{
    static const luaL_Reg funcs[] = { { "type", f_type },
                                      { "get_master_pid", f_pid },
                                      { "enable_privileged_agent",
                                        f_privileged_agent },
                                      { NULL, NULL } };
    api_preload(vm, "ngx.process", funcs);
}

void ngx_worker_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = {
        { "id", f_id },     { "count", f_count },     { "pid", f_pid },
        { "pids", f_pids }, { "exiting", f_exiting }, { NULL, NULL }
    };
    lua_createtable(L, 0, 8);
    vm_register(vm, L, funcs);
    lua_setfield(L, -2, "worker");
    vm_push_function(vm, L, f_get_phase);
    lua_setfield(L, -2, "get_phase");
    open_process(vm);
}
