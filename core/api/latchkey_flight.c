/* latchkey_flight.c -- `require "latchkey.flight"`: one run for many callers,
 * over all workers.
 *
 * The work is a task of its own, tied to no client: who leaves only stops
 * waiting, and a code that the platform has taken is not lost. */
#include "api/api.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "platform/flight.h"
#include <stdlib.h>

struct waiting {
    struct flight_wait wait;
    struct task *task;
    struct flight_table *table;
    bool timed; /* by the task's timer */
};

struct leading {
    struct flight_table *table;
    uint8_t key[FLIGHT_KEY];
};

static void leave(struct task *t)
{
    struct waiting *w = t->op;
    if (w->timed)
        uv_timer_stop(&t->timer);
    flight_leave(w->table, &w->wait);
    free(w);
}

static void on_timeout(uv_timer_t *timer)
{
    struct task *t = timer->data;
    leave(t);
    task_resume(t, vm_fail(t->co, "timeout"));
}

/* The landed text begins with '+' (a result) or '-' (an error). */
static void on_land(struct flight_wait *wait)
{
    struct waiting *w = wait->user;
    struct task *t = w->task;
    struct slice result = wait->result;
    int n = 1;
    if (result.len && result.data[0] == '+') {
        vm_push(t->co, slice_from(result, 1));
    } else {
        lua_pushnil(t->co);
        vm_push(t->co,
                result.len ? slice_from(result, 1) : SLICE("nothing landed"));
        n = 2;
    }
    leave(t);
    task_resume(t, n);
}

static void land(struct leading *lead, char sign, struct slice text)
{
    struct buf result = { 0 };
    buf_add_char(&result, sign);
    buf_add(&result, text);
    flight_land(lead->table, lead->key,
                buf_ok(&result) ? buf_slice(&result) : SLICE("-no memory"));
    buf_wipe(&result);
    free(lead);
}

static void on_led(struct task *t, bool ok)
{
    struct leading *lead = t->user;
    if (ok && lua_gettop(t->co) && lua_type(t->co, 1) == LUA_TSTRING) {
        land(lead, '+', vm_slice(t->co, 1));
        return;
    }
    struct slice why = vm_slice(t->co, -1);
    if (!why.data)
        why = SLICE("no result");
    log_write(LOG_ERR, "login flow aborted: %.*s", SLICE_FMT(why));
    land(lead, '-', why);
}

/* The process ends: whoever waits on another worker must hear it. */
static void on_cancelled(struct task *t)
{
    land(t->user, '-', SLICE("shutting down"));
}

/* Starts fn(args...), which lie from index 2 on. */
static bool lead(lua_State *L, struct flight_table *table,
                 const uint8_t key[FLIGHT_KEY])
{
    struct vm *vm = vm_of(L);
    struct leading *lead = malloc(sizeof *lead);
    if (!lead)
        return false;
    lead->table = table;
    memcpy(lead->key, key, FLIGHT_KEY);
    struct task *t = task_new(vm, L, lua_gettop(L) - 2);
    if (!t) {
        free(lead);
        return false;
    }
    t->context = "ngx.timer";
    t->on_done = on_led;
    t->on_cancelled = on_cancelled;
    t->user = lead;
    task_start(t);
    return true;
}

static void limit(struct waiting *w, lua_Number seconds)
{
    struct task *t = w->task;
    w->timed = true;
    uv_update_time(t->vm->loop);
    uv_timer_start(&t->timer, on_timeout, (uint64_t)(seconds * 1000), 0);
}

/* key, fn, ... on the stack; seconds < 0: as long as it takes. */
static int join(lua_State *L, lua_Number seconds)
{
    struct slice name = vm_check_slice(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    struct task *t = task_check(L);
    struct api_worker *worker = api_of(L)->worker;
    struct flight_table *table = worker->process->flights;
    uint8_t key[FLIGHT_KEY];
    digest_sha256(name, key);
    struct waiting *w = calloc(1, sizeof *w);
    if (!w)
        return vm_fail(L, "no memory");
    w->task = t;
    w->table = table;
    w->wait = (struct flight_wait){ .mailbox = worker->mailbox,
                                    .on_land = on_land,
                                    .user = w };
    enum err e = flight_join(table, key, &w->wait);
    if (e != OK && e != PENDING) {
        free(w);
        return vm_fail(L, "no memory");
    }
    if (e == OK && !lead(L, table, key))
        flight_land(table, key, SLICE("-no memory"));
    if (seconds >= 0)
        limit(w, seconds);
    return task_wait(t, leave, w);
}

/* flight.once(key, fn, ...) -> the string that fn(...) returned, to all who
 * asked for key meanwhile; nil, why.  fn may wait; key is any string. */
static int f_once(lua_State *L)
{
    return join(L, -1);
}

/* flight.within(seconds, key, fn, ...): as once; nil, "timeout" for who has
 * waited so long, while fn goes on. */
static int f_within(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 1, "invalid time");
    lua_remove(L, 1);
    return join(L, seconds);
}

void latchkey_flight_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "once", f_once },
                                      { "within", f_within },
                                      { NULL, NULL } };
    (void)L;
    api_preload(vm, "latchkey.flight", funcs);
}
