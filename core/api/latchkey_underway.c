/* latchkey_underway.c -- `require "latchkey.underway"`: work that others may
 * wait for by name, over all workers. */
#include "api/api.h"
#include "crypto/digest.h"
#include "platform/flight.h"
#include <stdlib.h>

#define WORK "latchkey.underway"

enum { NAMES_MAX = 4 };

/* A userdata: forgotten, it ends with its garbage. */
struct work {
    struct flight_table *table;
    unsigned count;
    uint8_t keys[NAMES_MAX][FLIGHT_KEY];
};

struct watching {
    struct flight_wait wait;
    struct flight_table *table;
    struct task *task;
};

static int f_done(lua_State *L)
{
    struct work *work = luaL_checkudata(L, 1, WORK);
    while (work->count)
        flight_end(work->table, work->keys[--work->count]);
    return 0;
}

/* A key that no flight has: those hash the name alone. */
static void name_key(struct slice name, uint8_t out[FLIGHT_KEY])
{
    uint8_t hash[FLIGHT_KEY];
    digest_sha256(name, hash);
    digest_sha256(SLICE_OF(hash, FLIGHT_KEY), out);
}

static void add_name(lua_State *L, struct work *work, int index)
{
    uint8_t *key = work->keys[work->count];
    name_key(vm_check_slice(L, index), key);
    if (flight_begin(work->table, key) != OK)
        luaL_error(L, "no memory");
    work->count++;
}

/* underway.begin(name, ...) -> work, under way by each of up to four names
 * until work:done(). */
static int f_begin(lua_State *L)
{
    int names = lua_gettop(L);
    luaL_argcheck(L, names <= NAMES_MAX, NAMES_MAX + 1, "too many names");
    struct work *work = lua_newuserdata(L, sizeof *work);
    work->table = api_of(L)->worker->process->flights;
    work->count = 0;
    luaL_getmetatable(L, WORK);
    lua_setmetatable(L, -2);
    for (int i = 1; i <= names; i++)
        add_name(L, work, i);
    return 1;
}

/* Lets go and wakes the script. */
static void finish(struct watching *w, bool ended)
{
    struct task *t = w->task;
    uv_timer_stop(&t->timer);
    flight_leave(w->table, &w->wait);
    free(w);
    lua_pushboolean(t->co, ended);
    task_resume(t, 1);
}

static void on_ended(struct flight_wait *wait)
{
    finish(wait->user, true);
}

static void on_timeout(uv_timer_t *timer)
{
    finish(((struct task *)timer->data)->op, false);
}

static void cancel(struct task *t)
{
    struct watching *w = t->op;
    uv_timer_stop(&t->timer);
    flight_leave(w->table, &w->wait);
    free(w);
}

/* underway.watch(name, seconds) -> true: work of that name has ended; false:
 * there was none, or none ended in time.  Waits. */
static int f_watch(lua_State *L)
{
    struct slice name = vm_check_slice(L, 1);
    lua_Number sec = luaL_checknumber(L, 2);
    luaL_argcheck(L, sec >= 0 && sec < 1e9, 2, "invalid time");
    struct task *t = task_check(L);
    struct api_worker *worker = api_of(L)->worker;
    struct watching *w = calloc(1, sizeof *w);
    if (!w)
        return vm_fail(L, "no memory");
    *w = (struct watching){ .table = worker->process->flights, .task = t };
    w->wait = (struct flight_wait){ .mailbox = worker->mailbox,
                                    .on_land = on_ended,
                                    .user = w };
    uint8_t key[FLIGHT_KEY];
    name_key(name, key);
    if (flight_watch(w->table, key, &w->wait) != PENDING) {
        free(w);
        lua_pushboolean(L, false);
        return 1;
    }
    uv_update_time(t->vm->loop);
    uv_timer_start(&t->timer, on_timeout, (uint64_t)(sec * 1000 + 0.5), 0);
    return task_wait(t, cancel, w);
}

void latchkey_underway_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg methods[] = { { "done", f_done },
                                        { "__gc", f_done },
                                        { NULL, NULL } };
    static const luaL_Reg funcs[] = { { "begin", f_begin },
                                      { "watch", f_watch },
                                      { NULL, NULL } };
    (void)L;
    vm_class(vm, WORK, methods);
    api_preload(vm, "latchkey.underway", funcs);
}
