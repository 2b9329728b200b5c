/* task.c -- a coroutine that can wait. */
#include "vm/task.h"
#include <assert.h>
#include <stdlib.h>

enum { IDLE_MAX = 256 };

static const char wait_marker; /* its address is what a wait yields */

void *task_wait_marker(void)
{
    return (void *)(uintptr_t)&wait_marker;
}

static void on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

static struct task *make(struct vm *vm)
{
    struct task *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->vm = vm;
    t->ref = LUA_NOREF;
    uv_timer_init(vm->loop, &t->timer);
    t->timer.data = t;
    return t;
}

/* marks[co] = the value at the top of L, which goes. */
static void set_mark(struct vm *vm, lua_State *L, int ref)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->marks);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 2);
}

static void make_coroutine(struct task *t, lua_State *L)
{
    t->co = lua_newthread(L);
    t->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushboolean(L, true);
    set_mark(t->vm, L, t->ref);
}

void task_mark(struct task *child, const char *status)
{
    lua_State *L = child->vm->L;
    lua_pushstring(L, status);
    set_mark(child->vm, L, child->ref);
}

bool task_owns(struct vm *vm, lua_State *L, int index)
{
    lua_pushvalue(L, index);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->marks);
    lua_insert(L, -2);
    lua_rawget(L, -2);
    bool marked = !lua_isnil(L, -1);
    lua_pop(L, 2);
    return marked;
}

static void drop_coroutine(struct task *t)
{
    luaL_unref(t->vm->L, LUA_REGISTRYINDEX, t->ref);
    t->ref = LUA_NOREF;
    t->co = NULL;
}

static void destroy(struct task *t)
{
    drop_coroutine(t);
    uv_close((uv_handle_t *)&t->timer, on_closed);
}

void task_drop_idle(struct vm *vm)
{
    while (vm->idle) {
        struct task *t = vm->idle;
        vm->idle = t->next;
        destroy(t);
    }
    vm->idle_count = 0;
}

static struct task *take_idle(struct vm *vm)
{
    struct task *t = vm->idle;
    if (!t)
        return make(vm);
    vm->idle = t->next;
    vm->idle_count--;
    return t;
}

static void link_task(struct task *t)
{
    struct vm *vm = t->vm;
    t->next = vm->tasks;
    t->prev = &vm->tasks;
    if (t->next)
        t->next->prev = &t->next;
    vm->tasks = t;
    vm_hold(vm);
}

struct task *task_new(struct vm *vm, lua_State *L, int nargs)
{
    struct task *t = take_idle(vm);
    if (!t) {
        lua_pop(L, nargs + 1);
        return NULL;
    }
    if (!t->co)
        make_coroutine(t, L);
    lua_xmove(L, t->co, nargs + 1);
    t->state = TASK_NEW;
    t->ok = t->unwinding = false;
    t->run_msec = 0;
    t->cancel = NULL;
    t->op = t->owner = t->user = NULL;
    t->settings = NULL;
    t->context = "";
    t->on_done = NULL;
    t->on_cancelled = NULL;
    t->parent = t->children = t->sibling = NULL;
    t->running_children = t->queued = 0;
    t->turn = LUA_NOREF;
    link_task(t);
    return t;
}

/* Out of the vm's list; a coroutine that ended well serves again. */
static void release(struct task *t)
{
    struct vm *vm = t->vm;
    cleanup_run(&t->cleanups);
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    if (!t->ok || t->unwinding || t->parent)
        drop_coroutine(t); /* a script may hold a light thread's */
    else
        lua_settop(t->co, 0);
    if (vm->idle_count < IDLE_MAX && !vm->retired) {
        t->next = vm->idle;
        vm->idle = t;
        vm->idle_count++;
    } else {
        destroy(t);
    }
    vm_release(vm);
}

void task_adopt(struct task *parent, struct task *child)
{
    child->parent = parent;
    child->owner = parent->owner;
    child->context = parent->context;
    child->run_msec = parent->run_msec;
    child->sibling = parent->children;
    parent->children = child;
    parent->running_children++;
}

static void unlink_child(struct task *child)
{
    struct task **at = &child->parent->children;
    while (*at != child)
        at = &(*at)->sibling;
    *at = child->sibling;
}

void task_collect(struct task *child)
{
    assert(child->state == TASK_DONE && child->parent);
    while (child->children)
        task_cancel(child->children);
    unlink_child(child);
    release(child);
}

static void stop_operation(struct task *t)
{
    void (*cancel)(struct task *) = t->cancel;
    t->cancel = NULL;
    if (cancel)
        cancel(t);
}

void task_cancel(struct task *t)
{
    assert(t->state != TASK_RUNNING);
    while (t->children)
        task_cancel(t->children);
    stop_operation(t);
    if (t->parent) {
        if (t->state != TASK_DONE)
            t->parent->running_children--;
        unlink_child(t);
    }
    t->ok = false;
    if (t->on_cancelled)
        t->on_cancelled(t);
    release(t);
}

struct task *task_root(struct task *t)
{
    while (t->parent)
        t = t->parent;
    return t;
}

static void complete(struct task *t)
{
    t->state = TASK_DONE;
    stop_operation(t);
    while (t->children)
        task_cancel(t->children);
    if (t->on_done)
        t->on_done(t, t->ok || t->unwinding);
    release(t);
}

/* What t started and has not ended goes on under the root; nobody can wait
 * for the others any more. */
static void hand_over_children(struct task *t)
{
    struct task *root = task_root(t);
    while (t->children) {
        struct task *child = t->children;
        if (child->state == TASK_DONE) {
            task_collect(child);
            continue;
        }
        unlink_child(child);
        child->parent = root;
        child->user = NULL;
        child->sibling = root->children;
        root->children = child;
        root->running_children++;
    }
    t->running_children = 0;
}

/* Ended by itself.  A root waits for its light threads, unless it failed. */
static void finish(struct task *t)
{
    t->state = TASK_DONE;
    stop_operation(t);
    struct task *parent = t->parent;
    if (!parent) {
        if (!t->ok || t->unwinding || !t->running_children)
            complete(t);
        return;
    }
    hand_over_children(t);
    parent->running_children--;
    bool last = parent->state == TASK_DONE && !parent->running_children;
    if (t->on_done)
        t->on_done(t, t->ok); /* a parent that waits for t goes on, and t is
                                 gone; a parent that is DONE cannot wait */
    if (last)
        complete(parent);
}

void task_kill(struct task *t)
{
    hand_over_children(t);
    task_cancel(t);
}

static void release_turn(struct task *t)
{
    task_root(t)->queued--;
    luaL_unref(t->vm->L, LUA_REGISTRYINDEX, t->turn);
    t->turn = LUA_NOREF;
}

void task_leave_queue(struct task *t)
{
    uv_timer_stop(&t->timer);
    release_turn(t);
}

static void on_turn(uv_timer_t *timer)
{
    struct task *t = timer->data;
    int results = t->turn != LUA_NOREF;
    if (results)
        lua_rawgeti(t->co, LUA_REGISTRYINDEX, t->turn);
    release_turn(t);
    task_resume(t, results);
}

/* Timers that are due at the same time fire in the order of their start. */
void task_queue(struct task *t, int ref)
{
    t->turn = ref;
    task_root(t)->queued++;
    uv_timer_start(&t->timer, on_turn, 0, 0);
}

/* A script's own coroutine.yield() in the task's coroutine: let others run,
 * then go on. */
static void yield_to_loop(struct task *t)
{
    lua_settop(t->co, 0);
    stop_operation(t);
    t->state = TASK_WAITING;
    t->cancel = task_leave_queue;
    task_queue(t, LUA_NOREF);
}

static bool is_wait(lua_State *co)
{
    return lua_gettop(co) >= 1 && lua_touserdata(co, -1) == &wait_marker &&
           lua_islightuserdata(co, -1);
}

/* Whoever started t is still inside task_start. */
static bool is_nested(const struct task *t)
{
    while ((t = t->parent))
        if (t->state == TASK_RUNNING)
            return true;
    return false;
}

/* Who is running right now and has started t looks at the root's unwinding
 * when t comes back, and unwinds too. */
static void unwind(struct task *t)
{
    struct task *root = task_root(t);
    t->state = TASK_DONE;
    root->unwinding = true;
    if (!is_nested(t))
        complete(root);
}

static void run(struct task *t, int nargs)
{
    struct vm *vm = t->vm;
    struct task *outer = vm->running;
    vm->running = t;
    t->state = TASK_RUNNING;
    bool inside = limits_enter(vm);
    int rc = lua_resume(t->co, nargs);
    limits_leave(vm);
    vm->running = outer;
    if (rc == LUA_YIELD && t->unwinding) {
        unwind(t);
    } else if (rc == LUA_YIELD && is_wait(t->co)) {
        lua_pop(t->co, 1);
        t->state = TASK_WAITING;
        if (vm->on_wait)
            vm->on_wait(t);
    } else if (rc == LUA_YIELD) {
        yield_to_loop(t);
    } else {
        t->ok = rc == 0;
        finish(t);
    }
    vm->limits.inside = inside;
}

void task_start(struct task *t)
{
    assert(t->state == TASK_NEW);
    run(t, lua_gettop(t->co) - 1);
}

void task_resume(struct task *t, int nresults)
{
    assert(t->state == TASK_WAITING);
    t->cancel = NULL;
    t->op = NULL;
    run(t, nresults);
}

/* An operation that is still there belongs to a wait that could not be: the
 * yield failed further out, at a C function that cannot be left. */
struct task *task_check(lua_State *L)
{
    struct vm *vm = vm_of(L);
    if (!vm->running || vm->phase)
        luaL_error(L, "API disabled in the context of %s",
                   vm->phase ? vm->phase : "init_by_lua*");
    if (!lua_isyieldable(L))
        luaL_error(L, "attempt to yield across C-call boundary");
    stop_operation(vm->running);
    vm->running->caller = L;
    return vm->running;
}

int task_wait(struct task *t, void (*cancel)(struct task *), void *op)
{
    t->cancel = cancel;
    t->op = op;
    lua_pushlightuserdata(t->caller, task_wait_marker());
    return lua_yield(t->caller, 1);
}

bool task_is_behind(struct task *t)
{
    return task_root(t)->queued || is_nested(t);
}

int task_wait_turn(struct task *t)
{
    return task_wait(t, task_leave_queue, NULL);
}

int task_unwind(struct task *t)
{
    t->unwinding = true;
    return task_wait(t, NULL, NULL);
}
