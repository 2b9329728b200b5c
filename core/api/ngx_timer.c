/* ngx_timer.c -- ngx.timer.at, every, running_count, pending_count.
 *
 * A pending timer is a libuv timer and a table {f, args...} in the registry;
 * when it fires it becomes a task of its own.  When a newer generation takes
 * over, pending timers fire at once with premature = true. */
#include "api/api.h"
#include "api/ngx_log.h"
#include "vm/traceback.h"
#include <stdlib.h>

struct api_timer {
    uv_timer_t uv;
    struct api *api;
    struct api_timer *next, **prev;
    int ref;              /* {f, args...} */
    const void *settings; /* of where it was made */
    bool holds;           /* the vm, so that it fires before that goes */
    uint64_t repeat;      /* ms; 0: once */
};

static void on_closed(uv_handle_t *uv)
{
    free(uv->data);
}

static void drop(struct api_timer *timer)
{
    struct api *api = timer->api;
    *timer->prev = timer->next;
    if (timer->next)
        timer->next->prev = timer->prev;
    api->timers_pending--;
    luaL_unref(api->vm->L, LUA_REGISTRYINDEX, timer->ref);
    uv_close((uv_handle_t *)&timer->uv, on_closed);
    if (timer->holds)
        vm_release(api->vm);
}

/* A line for whoever debugs, in nginx's words. */
static void note(const char *words)
{
    if (log_enabled(LOG_DEBUG))
        log_write(LOG_DEBUG, "%s", words);
}

static void on_done(struct task *t, bool ok)
{
    struct api *api = t->vm->host;
    api->timers_running--;
    note("http lua close fake http connection");
    if (ok)
        return;
    struct buf text = { 0 };
    buf_add_str(&text, "lua entry thread aborted: ");
    traceback_add(t, &text);
    ngx_log_write(NULL, t->context, LOG_ERR, &text);
    buf_free(&text);
}

static void tell_too_many(const struct api_timer *timer)
{
    lua_State *L = timer->api->vm->L;
    lua_Debug at;
    lua_rawgeti(L, LUA_REGISTRYINDEX, timer->ref);
    lua_rawgeti(L, -1, 1);
    lua_getinfo(L, ">S", &at);
    lua_pop(L, 1);
    log_write(LOG_ALERT,
              "lua failed to run timer with function defined at %s:%d: %u "
              "lua_max_running_timers are not enough",
              at.source, at.linedefined,
              timer->api->conf->lua_max_running_timers);
}

static void fire(struct api_timer *timer, bool premature)
{
    struct api *api = timer->api;
    lua_State *L = api->vm->L;
    if (api->timers_running >= api->conf->lua_max_running_timers) {
        tell_too_many(timer);
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, timer->ref);
    int table = lua_gettop(L);
    lua_getfield(L, table, "n");
    int nargs = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    lua_rawgeti(L, table, 1);
    lua_pushboolean(L, premature);
    for (int i = 0; i < nargs; i++)
        lua_rawgeti(L, table, i + 2);
    lua_remove(L, table);
    struct task *t = task_new(api->vm, L, nargs + 1);
    if (!t)
        return;
    t->context = "ngx.timer";
    t->settings = timer->settings;
    t->on_done = on_done;
    api->timers_running++;
    task_start(t);
}

static void on_timer(uv_timer_t *uv)
{
    struct api_timer *timer = uv->data;
    vm_hold(timer->api->vm);
    struct vm *vm = timer->api->vm;
    bool once = !timer->repeat;
    note("lua ngx.timer expired");
    fire(timer, false);
    if (once)
        drop(timer);
    vm_release(vm);
}

/* What these start themselves fires in the loop's next round. */
void ngx_timer_retire(struct api *api)
{
    struct api_timer *timer = api->timers;
    api->timers_retired = true;
    vm_hold(api->vm);
    while (timer) {
        struct api_timer *next = timer->next; /* new ones come in front */
        fire(timer, true);
        drop(timer);
        timer = next;
    }
    vm_release(api->vm);
}

void ngx_timer_drop_all(struct api *api)
{
    api->vm->on_drained = NULL;
    while (api->timers)
        drop(api->timers);
}

/* {f, args...; n = count} of what lies from index 2 on. */
static int keep_call(lua_State *L)
{
    int nargs = lua_gettop(L) - 2;
    lua_createtable(L, nargs + 1, 1);
    for (int i = 0; i <= nargs; i++) {
        lua_pushvalue(L, i + 2);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushinteger(L, nargs);
    lua_setfield(L, -2, "n");
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static int start(lua_State *L, bool repeat)
{
    lua_Number delay = luaL_checknumber(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (!(delay >= 0 && delay < 1e9) || (repeat && delay <= 0))
        return luaL_error(L, "invalid delay");
    struct api *api = api_of(L);
    const char *phase = api->vm->phase;
    if (phase && !strcmp(phase, "exit_worker_by_lua*"))
        return luaL_error(L, "API disabled in the context of %s", phase);
    if (api->timers_retired && (delay > 0 || repeat))
        return vm_fail(L, "process exiting");
    if (api->timers_pending >= api->conf->lua_max_pending_timers)
        return vm_fail(L, "too many pending timers");
    int ref = keep_call(L);
    struct api_timer *timer = calloc(1, sizeof *timer);
    if (!timer) {
        luaL_unref(L, LUA_REGISTRYINDEX, ref);
        return vm_fail(L, "no memory");
    }
    uint64_t msec = (uint64_t)(delay * 1000 + 0.5);
    timer->api = api;
    timer->ref = ref;
    timer->settings = api_sockets(L);
    timer->repeat = repeat ? msec : 0;
    timer->holds = api->timers_retired;
    if (timer->holds)
        vm_hold(api->vm);
    timer->next = api->timers;
    timer->prev = &api->timers;
    if (timer->next)
        timer->next->prev = &timer->next;
    api->timers = timer;
    api->timers_pending++;
    uv_timer_init(api->vm->loop, &timer->uv);
    timer->uv.data = timer;
    uv_update_time(api->vm->loop);
    uv_timer_start(&timer->uv, on_timer, msec, timer->repeat);
    lua_pushinteger(L, 1);
    return 1;
}

static int f_at(lua_State *L)
{
    return start(L, false);
}

static int f_every(lua_State *L)
{
    return start(L, true);
}

static int f_running_count(lua_State *L)
{
    lua_pushinteger(L, api_of(L)->timers_running);
    return 1;
}

static int f_pending_count(lua_State *L)
{
    lua_pushinteger(L, api_of(L)->timers_pending);
    return 1;
}

void ngx_timer_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "at", f_at },
                                      { "every", f_every },
                                      { "running_count", f_running_count },
                                      { "pending_count", f_pending_count },
                                      { NULL, NULL } };
    lua_newtable(L);
    vm_register(vm, L, funcs);
    lua_setfield(L, -2, "timer");
}
