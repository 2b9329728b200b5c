/* task.h -- a coroutine that can wait: a request, a timer, a light thread.
 *
 * A task has at most one pending operation and one way to cancel it.  A
 * binding that must wait starts its operation, keeps the task in it, and
 * returns task_wait(t, cancel, op); the operation's callback pushes results
 * on t->co and calls task_resume(t, count).  The cancel function makes the
 * operation let go of the task and never touch it again.
 *
 * All of it happens on the vm's thread.  User coroutines may wait too: the
 * core's yield passes outward through them (vm.c). */
#pragma once
#include "vm/cleanup.h"
#include "vm/vm.h"

enum task_state { TASK_NEW, TASK_RUNNING, TASK_WAITING, TASK_DONE };

struct task {
    struct vm *vm;
    lua_State *co;
    lua_State *caller; /* who waits: co, or a user coroutine inside it */
    int ref;           /* keeps co alive */
    enum task_state state;
    bool ok;        /* DONE: ended without an error */
    bool unwinding; /* ended on purpose from inside (ngx.exit) */
    void (*cancel)(struct task *t);
    void *op;            /* the pending operation's own */
    uv_timer_t timer;    /* one wait at a time, so one timer serves all */
    struct task *parent; /* of a light thread */
    struct task *children, *sibling; /* light threads, ended or not */
    unsigned running_children;
    unsigned queued; /* of a root: its tasks that are about to go on */
    int turn;        /* in the registry: what a queued task goes on with */
    struct task *next, **prev; /* in vm->tasks, or in vm->idle */
    void *owner;               /* the root's: its struct request */
    void *user;                /* of whoever set on_done */
    const void *settings;      /* the root's, where it has no owner */
    struct cleanup *cleanups;  /* likewise: run when it is released */
    const char *context;       /* "content_by_lua*", "ngx.timer": for errors */
    uint64_t run_msec; /* processor time between two waits; 0: the vm's limit.
                        * Light threads inherit it. */
    /* Ended: results (ok), or an error (not ok), lie on t->co and go with
     * the task, which is released after this returns. */
    void (*on_done)(struct task *t, bool ok);
    /* In place of on_done where it was cancelled; may be NULL. */
    void (*on_cancelled)(struct task *t);
};

/* A new task for the function and nargs arguments on top of L (moved away).
 * Nothing runs before task_start.  NULL: no memory, arguments popped. */
struct task *task_new(struct vm *vm, lua_State *L, int nargs);

/* A light thread.  A root is not done before its light threads are; what runs
 * on when a light thread ends becomes the root's, its user is then NULL. */
void task_adopt(struct task *parent, struct task *child);

/* First run.  The task may be done, and gone, when this returns. */
void task_start(struct task *t);

/* Goes on with the nresults values on top of t->co.  As task_start. */
void task_resume(struct task *t, int nresults);

/* The running task, for a function that is going to wait.  Raises "API
 * disabled in the context of ..." where waiting is not possible, and
 * LuaJIT's error where C code that cannot be left lies between. */
struct task *task_check(lua_State *L);

/* `return task_wait(t, cancel, op);` -- the last thing that a binding does. */
int task_wait(struct task *t, void (*cancel)(struct task *), void *op);

/* `return task_unwind(t);` -- ends the whole root task from inside: nothing
 * more of the script runs, and the root's on_done sees ok. */
int task_unwind(struct task *t);

/* Whether other tasks of its root come before t where t starts one: they are
 * queued, or it runs inside a task that has just started it. */
bool task_is_behind(struct task *t);

/* Queues t behind them.  When its turn comes it goes on with the value that
 * ref holds in the registry (LUA_NOREF: none), which is released. */
void task_queue(struct task *t, int ref);

/* `return task_wait_turn(t);` -- after task_queue. */
int task_wait_turn(struct task *t);

/* Out of the queue again. */
void task_leave_queue(struct task *t);

/* Stops the pending operation and drops t and its children; on_done is not
 * called.  Not while t itself runs. */
void task_cancel(struct task *t);

/* The same for a light thread alone: its own go on under the root. */
void task_kill(struct task *t);

/* Frees a light thread that has ended and was looked at. */
void task_collect(struct task *child);

/* What coroutine.status says from now on of a light thread's coroutine:
 * "zombie", "dead". */
void task_mark(struct task *child, const char *status);

/* Whether the coroutine at index is or was a task's own. */
bool task_owns(struct vm *vm, lua_State *L, int index);

/* The outermost task: the request's or the timer's. */
struct task *task_root(struct task *t);

/* The running task, or NULL: for bindings that never wait. */
static inline struct task *task_running(lua_State *L)
{
    return vm_of(L)->running;
}

/* For vm.c. */
void *task_wait_marker(void);
void task_drop_idle(struct vm *vm);
