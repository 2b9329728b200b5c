/* task.h -- a coroutine that can wait: a request, a timer, a light thread.
 *
 * A task has at most one pending operation and one way to cancel it.  A
 * binding that must wait starts its operation, keeps the task in it, and
 * returns task_wait(t, cancel, op); the operation's callback pushes results
 * on t->co and calls task_resume(t, count).  While the cancel function runs
 * the operation must let go of the task and never touch it again.
 *
 * All of it happens on the vm's thread.  User coroutines may wait too: the
 * wrapped coroutine.resume passes the core's yield outward. */
#pragma once
#include "vm/vm.h"

enum task_kind { TASK_REQUEST, TASK_TIMER, TASK_THREAD, TASK_MAIN };

enum task_state { TASK_NEW, TASK_RUNNING, TASK_WAITING, TASK_DONE, TASK_DEAD };

struct task {
    struct vm *vm;
    lua_State *co;
    lua_State *caller; /* who waits: co, or a user coroutine inside it */
    int ref;           /* keeps co alive */
    enum task_kind kind;
    enum task_state state;
    void (*cancel)(struct task *t);
    void *op; /* the pending operation's own */
    uv_timer_t timer; /* one wait at a time, so one timer serves all */
    struct task *parent;              /* of a light thread */
    struct task *children, *sibling;  /* light threads not yet collected */
    struct task *next, **prev;        /* in vm->tasks */
    void *owner; /* struct request; children share their parent's */
    void (*on_done)(struct task *t, bool ok); /* results or error on co */
    int nresults;
    bool unwinding; /* ngx.exit and the like: ended on purpose */
};

/* A new task for the function and nargs arguments on top of L (moved).
 * Nothing runs before task_start.  NULL: no memory. */
struct task *task_new(struct vm *vm, enum task_kind kind, lua_State *L,
                      int nargs);

/* First run; t may be finished (and on_done called) on return. */
void task_start(struct task *t);

/* Goes on with nresults values that lie on t->co.  May finish t. */
void task_resume(struct task *t, int nresults);

/* The running task, for a function that is going to wait.  Raises "API
 * disabled in the context of ..." where waiting is not possible. */
struct task *task_check(lua_State *L);

/* `return task_wait(t, cancel, op);` -- the last thing that a binding does. */
int task_wait(struct task *t, void (*cancel)(struct task *), void *op);

/* Ends the coroutine for good from inside (`return task_unwind(t)`): what
 * follows in the script does not run, and on_done sees ok with no results. */
int task_unwind(struct task *t);

/* Stops the pending operation and drops the coroutine and its children;
 * on_done is not called.  Not from inside the task's own run. */
void task_cancel(struct task *t);

/* The outermost task: the request's or the timer's. */
struct task *task_root(struct task *t);

/* Bindings that can be called from any phase. */
static inline struct task *task_running(lua_State *L)
{
    return vm_of(L)->running;
}
