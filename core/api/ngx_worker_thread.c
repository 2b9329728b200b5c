/* ngx_worker_thread.c -- ngx.run_worker_thread: functions of Lua modules that
 * take long or block, in threads beside the workers.
 *
 * Each thread of a pool has a vm of its own; what goes in and comes out is
 * copied.  A call belongs to the worker that made it, but for the time in which
 * the pool has it: then only `values` and `ok` change.  Its vm stays until the
 * function has returned, also where nobody waits for it any more. */
#include "api/api.h"
#include "base/log.h"
#include "base/threads.h"
#include "vm/cutoff.h"
#include "vm/values.h"
#include <stdlib.h>

struct call {
    struct threads_work work; /* the first: see run */
    struct message returned;
    struct ngx_worker_threads *owner; /* NULL: it is gone */
    struct vm *vm;
    struct mailbox *mailbox;
    struct task *task; /* who waits; NULL: nobody any more */
    struct buf values; /* module, function and arguments; then results, or, if
                        * not ok, the reason as it is */
    bool ok;
    struct call *next, **prev; /* in owner->calls */
};

/* An api's.  Pools are those of the configuration, in that order, made when
 * they are first used. */
struct ngx_worker_threads {
    struct call *calls; /* not back yet */
    unsigned count;
    unsigned npools;
    struct threads *pools[];
};

/* What the threads of a pool share; the last of them frees it. */
struct aside {
    const struct api_generation *generation;
    struct api_process process; /* nothing but lua_path */
    struct api_worker worker;
    struct buf own, path, cpath;
};

/* ---- on the pool's threads ----------------------------------------------- */

static void *begin(void *user)
{
    struct aside *a = user;
    struct api *api;
    if (api_new_aside(&api, &a->worker, a->generation) != OK)
        return NULL;
    vm_set_path(api->vm, "path", buf_slice(&a->path));
    vm_set_path(api->vm, "cpath", buf_slice(&a->cpath));
    return api;
}

static void end(void *state)
{
    api_free(state);
    cutoff_stop();
}

static void release(void *user)
{
    struct aside *a = user;
    if (a->generation)
        a->generation->hold(a->generation, false);
    buf_free(&a->own);
    buf_free(&a->path);
    buf_free(&a->cpath);
    free(a);
}

static int fail(lua_State *L, const char *why)
{
    lua_pushstring(L, why);
    return lua_error(L);
}

/* The function of the module, in place of both names. */
static void find(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    if (!lua_istable(L, -1))
        fail(L, "invalid lua module");
    lua_pushvalue(L, 2);
    lua_gettable(L, -2);
    if (!lua_isfunction(L, -1))
        fail(L, "invalid function");
    lua_replace(L, 2);
    lua_pop(L, 1);
    lua_remove(L, 1);
}

/* Where whoever waits has no room for more. */
enum { RESULTS_MAX = 1000 };

static int f_call(lua_State *L)
{
    struct call *c = lua_touserdata(L, 1);
    struct slice rest = buf_slice(&c->values);
    lua_settop(L, 0);
    while (rest.len) {
        luaL_checkstack(L, LUA_MINSTACK, "too many arguments");
        values_push(L, &rest);
    }
    find(L);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    buf_clear(&c->values);
    int count = lua_gettop(L);
    if (count > RESULTS_MAX)
        return fail(L, "too many return values");
    for (int i = 1; i <= count; i++) {
        const char *fault = values_add(L, i, &c->values);
        if (fault)
            return fail(L, lua_pushfstring(L, "%s in the return value", fault));
    }
    return 0;
}

static void run(struct threads_work *work, void *state)
{
    struct call *c = (struct call *)work;
    struct api *api = state;
    if (!api) {
        buf_clear(&c->values);
        buf_add_str(&c->values, "no memory for a Lua vm");
        return;
    }
    lua_State *L = api->vm->L;
    cutoff_refresh(api->vm);
    lua_pushcfunction(L, f_call);
    lua_pushlightuserdata(L, c);
    c->ok = vm_try(api->vm, 1, 0) == OK;
    if (c->ok)
        return;
    struct slice why = vm_slice(L, -1);
    buf_clear(&c->values);
    buf_add(&c->values, why.data ? why : SLICE("unknown reason"));
    lua_pop(L, 1);
}

static void drop(struct call *c)
{
    buf_free(&c->values);
    free(c);
}

static void done(struct threads_work *work, bool closed)
{
    struct call *c = (struct call *)work;
    if (closed)
        drop(c);
    else
        mailbox_post(c->mailbox, &c->returned);
}

/* ---- on the worker's ----------------------------------------------------- */

/* true and the results, or false and why. */
static int push_results(lua_State *L, struct call *c)
{
    int count = 1;
    struct slice rest = buf_slice(&c->values);
    lua_pushboolean(L, c->ok);
    if (!c->ok) {
        vm_push(L, buf_ok(&c->values) ? rest : SLICE("no memory"));
        return 2;
    }
    luaL_checkstack(L, RESULTS_MAX + LUA_MINSTACK, "too many results");
    for (; rest.len; count++)
        values_push(L, &rest);
    return count;
}

static void unlink_call(struct call *c)
{
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->owner->count--;
}

static void run_returned(struct message *message)
{
    struct call *c =
        (struct call *)((char *)message - offsetof(struct call, returned));
    struct task *t = c->task;
    struct vm *vm = c->vm;
    if (!c->owner) { /* the end came between */
        drop(c);
        return;
    }
    unlink_call(c);
    int count = t ? push_results(t->co, c) : 0;
    drop(c);
    if (t)
        task_resume(t, count);
    vm_release(vm);
}

static void cancel(struct task *t)
{
    struct call *c = t->op;
    c->task = NULL;
}

static void copy_path(lua_State *L, const char *field, struct buf *out)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, field);
    buf_add(out, vm_slice(L, -1));
    lua_pop(L, 2);
}

static struct aside *make_aside(lua_State *L)
{
    const struct api *api = api_of(L);
    const char *own = api->worker->process->lua_path;
    struct aside *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    copy_path(L, "path", &a->path);
    copy_path(L, "cpath", &a->cpath);
    buf_add_str(&a->own, own ? own : "");
    a->process.lua_path = own ? buf_str(&a->own) : NULL;
    a->worker.process = &a->process;
    if (!buf_ok(&a->path) || !buf_ok(&a->cpath) || !buf_ok(&a->own)) {
        release(a);
        return NULL;
    }
    a->generation = api->generation;
    a->generation->hold(a->generation, true);
    return a;
}

static struct threads *make_pool(lua_State *L,
                                 const struct conf_thread_pool *conf)
{
    struct aside *a = make_aside(L);
    struct threads *pool =
        a ? threads_new(&(struct threads_rules){ .name = conf->name.data,
                                                 .threads = conf->threads,
                                                 .queue = conf->max_queue,
                                                 .begin = begin,
                                                 .end = end,
                                                 .release = release,
                                                 .user = a })
          : NULL;
    if (a && !pool)
        release(a);
    return pool;
}

static struct ngx_worker_threads *threads_of(struct api *api)
{
    unsigned n = 0;
    if (api->threads)
        return api->threads;
    for (const struct conf_thread_pool *p = api->conf->thread_pools; p;
         p = p->next)
        n++;
    api->threads =
        calloc(1, sizeof *api->threads + n * sizeof *api->threads->pools);
    if (api->threads)
        api->threads->npools = n;
    return api->threads;
}

/* NULL: no memory. */
static struct threads *find_pool(lua_State *L,
                                 const struct conf_thread_pool *conf)
{
    struct ngx_worker_threads *all = threads_of(api_of(L));
    if (!all)
        return NULL;
    struct threads **at = all->pools;
    for (const struct conf_thread_pool *p = api_of(L)->conf->thread_pools;
         p != conf; p = p->next)
        at++;
    if (!*at)
        *at = make_pool(L, conf);
    return *at;
}

static struct call *make_call(lua_State *L, struct task *t)
{
    struct api *api = api_of(L);
    struct call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->work.run = run;
    c->work.done = done;
    c->returned.run = run_returned;
    c->owner = api->threads;
    c->vm = api->vm;
    c->mailbox = api->worker->mailbox;
    c->task = t;
    return c;
}

static void link_call(struct call *c)
{
    struct ngx_worker_threads *all = c->owner;
    c->next = all->calls;
    c->prev = &all->calls;
    if (c->next)
        c->next->prev = &c->next;
    all->calls = c;
    all->count++;
    vm_hold(c->vm);
}

/* Posts what lies from index 2 on; NULL: *out is on its way. */
static const char *post(lua_State *L, struct threads *pool, struct task *t,
                        struct call **out)
{
    const char *fault = NULL;
    struct call *c = make_call(L, t);
    if (!c)
        return "no memory";
    int count = lua_gettop(L);
    for (int i = 2; i <= count && !fault; i++)
        fault = values_add(L, i, &c->values);
    if (fault)
        fault = lua_pushfstring(L, "%s in the argument", fault);
    else if (threads_post(pool, &c->work) != OK) {
        log_write(LOG_ERR, "%s", err_text());
        fault = "ngx_thread_task_post failed";
    }
    if (fault) {
        drop(c);
        return fault;
    }
    link_call(c);
    *out = c;
    return NULL;
}

static const struct conf_thread_pool *pool_named(const struct conf *conf,
                                                 struct slice name)
{
    const struct conf_thread_pool *p = conf->thread_pools;
    while (p && !slice_eq(p->name, name))
        p = p->next;
    return p;
}

/* Why the arguments will not do, in lua-nginx-module's words. */
static const char *check(lua_State *L, const struct conf_thread_pool **pool)
{
    if (lua_gettop(L) < 3)
        return "expecting at least 3 arguments";
    struct slice name = vm_slice(L, 1);
    if (!name.data)
        return "threadpool should be a string";
    *pool = pool_named(api_of(L)->conf, name);
    if (!*pool)
        return lua_pushfstring(L, "thread pool %s not found", name.data);
    if (!vm_slice(L, 2).data)
        return "module name should be a string";
    return vm_slice(L, 3).data ? NULL : "function name should be a string";
}

/* ngx.run_worker_thread(pool, module, function, ...): true and what
 * require(module)[function](...) returned in another thread, or false and why
 * not. */
static int f_run_worker_thread(lua_State *L)
{
    struct task *t = task_check(L);
    struct api *api = api_of(L);
    const struct conf_thread_pool *conf;
    struct threads *pool = NULL;
    struct call *c;
    const char *fault = check(L, &conf);
    if (!fault && !(pool = find_pool(L, conf)))
        fault = "no memory";
    if (!fault &&
        api->threads->count >= api->conf->lua_worker_thread_vm_pool_size)
        fault = "no available Lua vm";
    if (!fault)
        fault = post(L, pool, t, &c);
    if (!fault)
        return task_wait(t, cancel, c);
    lua_pushboolean(L, false);
    lua_pushstring(L, fault);
    return 2;
}

void ngx_worker_thread_fini(struct ngx_worker_threads *threads)
{
    if (!threads)
        return;
    for (struct call *c = threads->calls; c; c = c->next)
        c->owner = NULL;
    for (unsigned i = 0; i < threads->npools; i++) {
        struct threads_work *left = threads_close(threads->pools[i]);
        while (left) {
            struct call *c = (struct call *)left;
            left = left->next;
            drop(c);
        }
    }
    free(threads);
}

void ngx_worker_thread_open(struct vm *vm, lua_State *L)
{
    vm_push_function(vm, L, f_run_worker_thread);
    lua_setfield(L, -2, "run_worker_thread");
}
