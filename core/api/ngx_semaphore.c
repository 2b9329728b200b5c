/* ngx_semaphore.c -- require "ngx.semaphore": between the light threads and
 * requests of one worker.
 *
 * Who waits longest is served first.  A post grants at once, but who was
 * waiting goes on from the loop, not inside post. */
#include "api/api.h"
#include <stdlib.h>

static const char class[] = "ngx.semaphore";

struct waiter {
    struct sem *sem;
    struct task *task;
    bool granted; /* out of the queue, with a resource in hand */
    struct waiter *next, **prev;
};

/* Lives until the script's object and all waiters are gone. */
struct sem {
    int resources, waiting, granted;
    unsigned refs;
    struct waiter *first, **last;
};

static void unref(struct sem *sem)
{
    if (!--sem->refs)
        free(sem);
}

static void enqueue(struct sem *sem, struct waiter *w)
{
    w->next = NULL;
    w->prev = sem->last;
    *sem->last = w;
    sem->last = &w->next;
    sem->waiting++;
}

static void dequeue(struct waiter *w)
{
    *w->prev = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        w->sem->last = w->prev;
    w->sem->waiting--;
}

/* The wait is over, one way or another. */
static void drop(struct waiter *w)
{
    struct sem *sem = w->sem;
    uv_timer_stop(&w->task->timer);
    if (w->granted)
        sem->granted--;
    else
        dequeue(w);
    free(w);
    unref(sem);
}

static void on_timer(uv_timer_t *timer)
{
    struct task *t = timer->data;
    struct waiter *w = t->op;
    bool granted = w->granted;
    drop(w);
    lua_pushboolean(t->co, granted);
    if (granted)
        lua_pushnil(t->co);
    else
        lua_pushliteral(t->co, "timeout");
    task_resume(t, 2);
}

/* As many waiters as there are resources go on in the loop's next round. */
static void grant(struct sem *sem)
{
    while (sem->first && sem->resources > 0) {
        struct waiter *w = sem->first;
        dequeue(w);
        sem->resources--;
        w->granted = true;
        sem->granted++;
        uv_timer_start(&w->task->timer, on_timer, 0, 0);
    }
}

/* What was granted and cannot be used any more goes to the next one. */
static void cancel_wait(struct task *t)
{
    struct waiter *w = t->op;
    struct sem *sem = w->sem;
    sem->refs++;
    if (w->granted)
        sem->resources++;
    drop(w);
    grant(sem);
    unref(sem);
}

static struct sem *check_sem(lua_State *L)
{
    struct sem **box = lua_touserdata(L, 1);
    if (box && lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, class);
        bool is = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
        if (is && *box)
            return *box;
    }
    luaL_error(L, "not a semaphore instance");
    return NULL;
}

/* semaphore.new(n) */
static int f_new(lua_State *L)
{
    lua_Number n = lua_tonumber(L, 1);
    if (n < 0)
        return luaL_error(L, "no negative number");
    struct sem **box = lua_newuserdata(L, sizeof *box);
    *box = NULL;
    luaL_getmetatable(L, class);
    lua_setmetatable(L, -2);
    struct sem *sem = calloc(1, sizeof *sem);
    if (!sem)
        return vm_fail(L, "no memory");
    sem->resources = (int)n;
    sem->refs = 1;
    sem->last = &sem->first;
    *box = sem;
    return 1;
}

static int f_gc(lua_State *L)
{
    struct sem **box = lua_touserdata(L, 1);
    if (*box)
        unref(*box);
    *box = NULL;
    return 0;
}

/* sem:post(n = 1) */
static int f_post(lua_State *L)
{
    struct sem *sem = check_sem(L);
    lua_Number n = lua_toboolean(L, 2) ? lua_tonumber(L, 2) : 1;
    if (!(n >= 1))
        return luaL_error(L, "positive number required");
    sem->resources += (int)n;
    grant(sem);
    lua_pushboolean(L, true);
    return 1;
}

/* sem:count(): resources, or less than 0 where there are waiters. */
static int f_count(lua_State *L)
{
    struct sem *sem = check_sem(L);
    lua_pushinteger(L, sem->resources - sem->waiting);
    return 1;
}

/* sem:wait(seconds): true; or false (nil, if nothing was waited) and
 * "timeout". */
static int f_wait(lua_State *L)
{
    struct sem *sem = check_sem(L);
    lua_Number msec = luaL_checknumber(L, 2) * 1000;
    if (msec < 0)
        return luaL_error(L, "no negative number");
    if (vm_of(L)->phase)
        return vm_fail(L,
                       lua_pushfstring(L, "API disabled in the context of %s",
                                       vm_of(L)->phase));
    struct task *t = task_check(L);
    if (sem->resources > 0 && !sem->first && !sem->granted) {
        sem->resources--;
        lua_pushboolean(L, true);
        return 1;
    }
    struct waiter *w = msec >= 1 ? calloc(1, sizeof *w) : NULL;
    if (!w)
        return vm_fail(L, msec >= 1 ? "no memory" : "timeout");
    w->sem = sem;
    w->task = t;
    sem->refs++;
    enqueue(sem, w);
    uv_update_time(t->vm->loop);
    uv_timer_start(&t->timer, on_timer, (uint64_t)msec, 0);
    grant(sem);
    return task_wait(t, cancel_wait, w);
}

void ngx_semaphore_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg methods[] = { { "post", f_post },
                                        { "wait", f_wait },
                                        { "count", f_count },
                                        { "__gc", f_gc },
                                        { NULL, NULL } };
    static const luaL_Reg funcs[] = { { "new", f_new }, { NULL, NULL } };
    (void)L;
    vm_class(vm, class, methods);
    api_preload(vm, class, funcs);
}
