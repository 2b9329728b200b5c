/* ngx_thread.c -- ngx.thread.spawn, wait and kill: light threads.
 *
 * A light thread is a task whose parent is the task that spawned it; its user
 * is the very coroutine, which alone may wait for it or kill it.  Ended, it
 * stays a zombie until then, or until its parent ends. */
#include "api/capture.h"
#include "api/ngx_log.h"
#include "vm/traceback.h"

static void log_abort(struct task *child)
{
    struct buf text = { 0 };
    buf_add_str(&text, "lua user thread aborted: ");
    traceback_add(child, &text);
    ngx_log_write(task_root(child)->owner, child->context, LOG_ERR, &text);
    buf_free(&text);
}

/* on_done of a child that nobody waits for now. */
static void on_ended(struct task *child, bool ok)
{
    if (!ok)
        log_abort(child);
    if (!child->user || child->parent->state == TASK_DONE) {
        task_mark(child, "dead");
        task_collect(child);
    } else {
        task_mark(child, "zombie");
    }
}

/* error("x") leaves its own argument under the text with the position, and
 * OpenResty's wait gives both, in this order. */
static int push_error(lua_State *co, lua_State *to)
{
    struct slice full = vm_slice(co, -1), bare = vm_slice(co, 1);
    bool both = lua_gettop(co) > 1 && lua_type(co, 1) == LUA_TSTRING &&
                full.len > bare.len &&
                slice_eq(slice_from(full, full.len - bare.len), bare);
    lua_pushboolean(to, false);
    if (both)
        vm_push(to, bare);
    lua_xmove(co, to, 1);
    return both ? 3 : 2;
}

/* Moves true and the results, or false and the error, and frees the child. */
static int take_results(struct task *child, lua_State *to)
{
    int n = lua_gettop(child->co);
    lua_checkstack(to, n + 1);
    if (child->ok) {
        lua_pushboolean(to, true);
        lua_xmove(child->co, to, n);
        n++;
    } else {
        n = push_error(child->co, to);
    }
    task_mark(child, "dead");
    task_collect(child);
    return n;
}

static void cancel_wait(struct task *t)
{
    for (struct task *c = t->children; c; c = c->sibling)
        c->on_done = on_ended;
}

/* on_done of a child that its parent waits for. */
static void on_awaited(struct task *child, bool ok)
{
    struct task *parent = child->parent;
    if (!ok)
        log_abort(child);
    cancel_wait(parent);
    task_resume(parent, take_results(child, parent->co));
}

/* ngx.thread.spawn(f, ...): runs f until it waits or ends.  Then whoever was
 * about to go on before us does, as in nginx's queue of threads. */
static int f_spawn(lua_State *L)
{
    luaL_argcheck(L, lua_isfunction(L, 1) && !lua_iscfunction(L, 1), 1,
                  "Lua function expected");
    struct task *t = task_check(L);
    struct task *child = task_new(t->vm, L, lua_gettop(L) - 1);
    if (!child)
        return luaL_error(L, "no memory");
    task_adopt(t, child);
    child->user = L;
    child->on_done = on_ended;
    lua_rawgeti(L, LUA_REGISTRYINDEX, child->ref);
    bool behind = task_is_behind(t);
    if (behind) {
        lua_pushvalue(L, -1);
        task_queue(t, luaL_ref(L, LUA_REGISTRYINDEX));
    }
    task_start(child);
    if (task_root(t)->unwinding) {
        if (behind)
            task_leave_queue(t);
        return task_unwind(t);
    }
    return behind ? task_wait_turn(t) : 1;
}

void ngx_thread_launch(struct task *t, lua_State *L)
{
    struct task *child = task_new(t->vm, L, 0);
    if (!child)
        return;
    task_adopt(t, child);
    child->on_done = on_ended;
    task_start(child);
}

/* The child of t that runs in the coroutine at index, or NULL. */
static struct task *find_child(struct task *t, lua_State *L, int index)
{
    lua_State *co = lua_tothread(L, index);
    luaL_argcheck(L, co, index, "lua thread expected");
    struct task *c = t->children;
    while (c && c->co != co)
        c = c->sibling;
    return c;
}

/* Where find_child found none: whose is it? */
static const struct task *find_anywhere(struct vm *vm, lua_State *co)
{
    const struct task *t = vm->tasks;
    while (t && t->co != co)
        t = t->next;
    return t;
}

enum fate { MINE, ANOTHERS, ENDED, NO_THREAD };

static enum fate judge(lua_State *L, int index, const struct task *child)
{
    if (child)
        return child->user == L ? MINE : ANOTHERS;
    if (!task_owns(vm_of(L), L, index))
        return NO_THREAD;
    const struct task *t = find_anywhere(vm_of(L), lua_tothread(L, index));
    if (t && !t->parent)
        return NO_THREAD; /* a request's own, or a timer's */
    return t ? ANOTHERS : ENDED;
}

/* ngx.thread.wait(thread, ...): the first of them that has ended. */
static int f_wait(lua_State *L)
{
    struct task *t = task_check(L);
    int n = lua_gettop(L);
    if (!n)
        return luaL_error(L, "at least one coroutine should be specified");
    for (int i = 1; i <= n; i++) {
        struct task *child = find_child(t, L, i);
        enum fate fate = judge(L, i, child);
        if (fate == NO_THREAD)
            return luaL_error(L, "attempt to wait on a coroutine that is "
                                 "not a user thread");
        if (fate == ANOTHERS)
            return luaL_error(L, "only the parent coroutine can wait on the "
                                 "thread");
        if (fate == MINE && child->state == TASK_DONE)
            return take_results(child, L);
        if (fate == ENDED && i == n)
            return vm_fail(L, "already waited or killed");
    }
    for (int i = 1; i <= n; i++) {
        struct task *child = find_child(t, L, i);
        if (child)
            child->on_done = on_awaited;
    }
    return task_wait(t, cancel_wait, NULL);
}

/* ngx.thread.kill(thread) */
static int f_kill(lua_State *L)
{
    struct task *t = task_check(L);
    struct task *child = find_child(t, L, 1);
    enum fate fate = judge(L, 1, child);
    if (fate == NO_THREAD)
        return vm_fail(L, "not user thread");
    if (fate == ANOTHERS)
        return vm_fail(L, "killer not parent");
    if (fate == ENDED)
        return vm_fail(L, "already waited or killed");
    if (capture_waits(child))
        return vm_fail(L, "pending subrequests");
    bool ended = child->state == TASK_DONE;
    task_mark(child, "dead");
    if (ended)
        task_collect(child);
    else
        task_kill(child);
    if (ended)
        return vm_fail(L, "already terminated");
    lua_pushinteger(L, 1);
    return 1;
}

void ngx_thread_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "spawn", f_spawn },
                                      { "wait", f_wait },
                                      { "kill", f_kill },
                                      { NULL, NULL } };
    lua_createtable(L, 0, 4);
    vm_register(vm, L, funcs);
    lua_setfield(L, -2, "thread");
}
