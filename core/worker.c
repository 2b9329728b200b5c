/* worker.c -- a thread with a loop, its connections and its vm. */
#define _GNU_SOURCE
#include "worker.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/log_capture.h"
#include "base/metrics.h"
#include "net/client.h"
#include "store/store.h"
#include "vm/cutoff.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { DRAIN_MSEC = 20, PULSE_MSEC = 1000, STUCK_MSEC = 3000 };

struct serving { /* one generation's vm */
    struct api *api;
    struct generation *generation;
    struct worker *worker;
    struct serving *next; /* in worker->retired */
    struct message drained;
};

struct worker {
    struct api_worker api;
    uv_loop_t loop;
    pthread_t thread;
    struct mailbox mailbox;
    struct http_server *http;
    struct serving *current;
    struct api *serving; /* current->api: what new requests get */
    struct serving *retired;
    uv_timer_t drain, pulse;
    _Atomic uint64_t pulsed; /* clock_ticks; 0: it does not serve */
    bool stuck;              /* the main thread's: it was told of */
    bool stopping;
    const struct worker_socket *sockets;
    unsigned socket_count;
    struct generation *first;
    struct mailbox *main_mailbox;
    const struct worker_events *events;
    void *user;
};

/* ---- to the main thread -------------------------------------------------- */

struct report {
    struct message message;
    struct worker *worker;
    struct generation *generation;
    bool ok;
    char why[512];
};

static void run_report(struct message *message)
{
    struct report *r = (struct report *)message;
    struct worker *w = r->worker;
    if (r->generation)
        w->events->on_generation(w->user, r->generation, r->ok, r->why);
    else
        w->events->on_ended(w->user, w);
    generation_unref(r->generation);
    free(r);
}

static void report(struct worker *w, struct generation *g, bool ok)
{
    struct report *r = calloc(1, sizeof *r);
    if (!r)
        abort(); /* the main thread would wait for ever */
    r->message.run = run_report;
    r->worker = w;
    r->generation = g ? generation_ref(g) : NULL;
    r->ok = ok;
    snprintf(r->why, sizeof r->why, "%s", ok ? "" : err_text());
    mailbox_post(w->main_mailbox, &r->message);
}

/* ---- generations --------------------------------------------------------- */

static void serving_free(struct serving *s)
{
    api_free(s->api);
    generation_unref(s->generation);
    free(s);
}

static void run_drained(struct message *message)
{
    struct serving *s =
        (struct serving *)((char *)message - offsetof(struct serving, drained));
    struct serving **at = &s->worker->retired;
    while (*at && *at != s)
        at = &(*at)->next;
    if (*at)
        *at = s->next;
    serving_free(s);
}

/* Its last request or timer is gone; freed when the stack is empty. */
static void on_drained(struct vm *vm)
{
    struct api *api = vm->host;
    struct worker *w =
        (struct worker *)((char *)api->worker - offsetof(struct worker, api));
    for (struct serving *s = w->retired; s; s = s->next)
        if (s->api == api) {
            s->drained.run = run_drained;
            mailbox_post(&w->mailbox, &s->drained);
        }
}

static void retire(struct worker *w, struct serving *s)
{
    s->next = w->retired;
    w->retired = s;
    api_retire(s->api, on_drained);
}

static enum err serve(struct worker *w, struct generation *g)
{
    struct serving *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->worker = w;
    enum err e = api_new(&s->api, &w->api, &g->api);
    if (e == OK && (e = api_start(s->api)) != OK) {
        log_write(LOG_ERR, "%s", err_text());
        e = OK; /* as nginx: the worker serves all the same */
    }
    if (e != OK) {
        free(s);
        return e;
    }
    s->generation = generation_ref(g);
    struct serving *old = w->current;
    w->current = s;
    w->serving = s->api;
    if (old)
        retire(w, old);
    return OK;
}

/* ---- messages from the main thread --------------------------------------- */

struct order {
    struct message message;
    struct worker *worker;
    struct generation *generation;
    bool graceful;
};

static void give_order(struct worker *w, void (*run)(struct message *),
                       struct generation *g, bool graceful)
{
    struct order *o = calloc(1, sizeof *o);
    if (!o)
        abort();
    o->message.run = run;
    o->worker = w;
    o->generation = g ? generation_ref(g) : NULL;
    o->graceful = graceful;
    mailbox_post(&w->mailbox, &o->message);
}

static void run_switch(struct message *message)
{
    struct order *o = (struct order *)message;
    struct worker *w = o->worker;
    if (!w->stopping)
        report(w, o->generation, serve(w, o->generation) == OK);
    generation_unref(o->generation);
    free(o);
}

void worker_switch(struct worker *w, struct generation *g)
{
    give_order(w, run_switch, g, false);
}

static void finish(struct worker *w)
{
    if (w->current)
        api_exit(w->current->api);
    if (w->http)
        http_server_free(w->http);
    w->http = NULL;
    uv_close((uv_handle_t *)&w->drain, NULL);
    uv_close((uv_handle_t *)&w->pulse, NULL);
    uv_stop(&w->loop);
}

static bool is_drained(const struct worker *w)
{
    return http_server_drained(w->http) && !w->retired &&
           !w->current->api->vm->holds;
}

static void on_drain(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    if (is_drained(w))
        finish(w);
}

/* Requests under way and what they started go on; timers fire prematurely. */
static void begin_drain(struct worker *w)
{
    http_server_quiesce(w->http);
    ngx_timer_retire(w->serving);
    uv_timer_start(&w->drain, on_drain, 0, DRAIN_MSEC);
}

static void run_stop(struct message *message)
{
    struct order *o = (struct order *)message;
    struct worker *w = o->worker;
    bool graceful = o->graceful, again = w->stopping;
    free(o);
    w->stopping = true;
    if (!w->http || (again && graceful))
        return;
    if (graceful)
        begin_drain(w);
    else
        finish(w);
}

void worker_stop(struct worker *w, bool graceful)
{
    give_order(w, run_stop, NULL, graceful);
}

/* ---- the thread -----------------------------------------------------------
 */

static enum err open_all(struct worker *w)
{
    struct store *store = w->api.process->store;
    enum err e = client_new(&w->api.client, &w->loop);
    if (e == OK && store)
        e = store_attach(store, &w->loop, &w->api.store);
    if (e == OK)
        e = serve(w, w->first);
    if (e == OK)
        e = http_server_new(&w->http, &w->loop, &request_events, &w->serving);
    for (unsigned i = 0; e == OK && i < w->socket_count; i++) {
        struct http_listen *l;
        e = http_server_listen(w->http, w->sockets[i].fd, &w->sockets[i].limits,
                               (void *)(uintptr_t)&w->sockets[i].api, &l);
    }
    return e;
}

static void close_all(struct worker *w)
{
    uv_run(&w->loop, UV_RUN_NOWAIT); /* what is drained already */
    while (w->retired) {
        struct serving *s = w->retired;
        w->retired = s->next;
        serving_free(s);
    }
    if (w->current)
        serving_free(w->current);
    cutoff_stop();
    log_capture_open(0);
    client_free(w->api.client, NULL, NULL); /* tasks used it up to here */
    circuit_free_all(&w->api.circuits);
    store_detach(w->api.store);
    uv_unref((uv_handle_t *)&w->mailbox.async); /* worker_join closes it */
    uv_run(&w->loop, UV_RUN_DEFAULT);
}

/* What a worker tells of itself, without being asked. */
static void on_pulse(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    atomic_store(&w->pulsed, clock_ticks());
    lua_State *L = w->serving->vm->L;
    cutoff_refresh(w->serving->vm);
    char id[16];
    struct slice label = { id,
                           (size_t)snprintf(id, sizeof id, "%u", w->api.id) };
    if (w->http)
        http_server_measure(w->http, label);
    metric_set(metrics_gauge("latchkey_lua_bytes",
                             "Memory of a worker's Lua state.",
                             (const char *const[]){ "worker", NULL }),
               &label,
               lua_gc(L, LUA_GCCOUNT, 0) * 1024.0 + lua_gc(L, LUA_GCCOUNTB, 0));
}

static void *thread(void *user)
{
    struct worker *w = user;
    crash_thread();
    enum err e = open_all(w);
    report(w, w->first, e == OK);
    if (e == OK) {
        uv_timer_start(&w->pulse, on_pulse, 0, PULSE_MSEC);
        uv_run(&w->loop, UV_RUN_DEFAULT);
    } else {
        finish(w);
    }
    atomic_store(&w->pulsed, 0);
    generation_unref(w->first);
    close_all(w);
    report(w, NULL, true);
    return NULL;
}

enum err worker_start(struct worker **out, unsigned id,
                      struct api_process *process, struct generation *g,
                      const struct worker_socket *sockets, unsigned count,
                      struct mailbox *main_mailbox,
                      const struct worker_events *events, void *user)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return ERR_NOMEM;
    uv_loop_init(&w->loop);
    mailbox_init(&w->mailbox, &w->loop);
    uv_timer_init(&w->loop, &w->drain);
    uv_timer_init(&w->loop, &w->pulse);
    w->drain.data = w->pulse.data = w;
    w->api = (struct api_worker){
        .loop = &w->loop, .mailbox = &w->mailbox, .process = process, .id = id
    };
    w->sockets = sockets;
    w->socket_count = count;
    w->first = generation_ref(g);
    w->main_mailbox = main_mailbox;
    w->events = events;
    w->user = user;
    char name[16];
    if (pthread_create(&w->thread, NULL, thread, w))
        return err_set(ERR_NOMEM, "cannot start a worker thread");
    snprintf(name, sizeof name, "worker %u", id);
    pthread_setname_np(w->thread, name);
    *out = w;
    return OK;
}

void worker_join(struct worker *w)
{
    pthread_join(w->thread, NULL);
    mailbox_close(&w->mailbox, NULL); /* an order may have come too late */
    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_loop_close(&w->loop);
    free(w);
}

bool worker_is_stuck(struct worker *w)
{
    uint64_t at = atomic_load(&w->pulsed), now = clock_ticks();
    bool stuck = at && now > at + STUCK_MSEC;
    if (stuck && !w->stuck)
        crash_ask(w->thread);
    w->stuck = stuck;
    return stuck;
}
