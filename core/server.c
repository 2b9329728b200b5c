/* server.c -- the main thread: start, signals, reloads, end. */
#define _GNU_SOURCE
#include "server.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/log_file.h"
#include "base/metrics.h"
#include "base/threads.h"
#include "base/version.h"
#include "check.h"
#include "generation.h"
#include "inherit.h"
#include "options.h"
#include "paths.h"
#include "platform/flight.h"
#include "process.h"
#include "restarts.h"
#include "setup.h"
#include "upgrade.h"
#include "watch.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SIGNALS = 6,
    STRAGGLE_MSEC = 2000,
    WATCHDOG_MSEC = 1000,
    STOP_MSEC = 10000
};

struct server {
    const struct options *options;
    uv_loop_t loop;
    struct mailbox mailbox;
    struct api_process process;
    struct api_worker scratch; /* this thread, for trying generations */
    struct flight_table flights;
    struct arena arena;
    struct generation *current; /* what the workers serve, or are told to */
    uint64_t number;
    uint64_t read_since; /* when the first one's files began to be read; ms */
    uv_timer_t watchdog;
    uint64_t stop_by; /* clock_ticks; 0: it does not stop */
    struct worker **workers;
    unsigned started, ended, answered;
    struct worker_socket *sockets;
    unsigned socket_count;
    struct watch *watch;
    struct upgrade *upgrade; /* asked for, and under way */
    uv_signal_t signals[SIGNALS];
    int ready; /* the daemon's parent waits; -1: nobody */
    bool serving, stopping, failed;
    bool reload_again;  /* asked for while one is under way */
    bool reload_failed; /* on a worker: it keeps the old generation */
    struct message reload_message;
    _Atomic bool reload_asked;

    pthread_mutex_t told_lock; /* the last reload, for any thread */
    bool told_ok;
    uint64_t told_when, told_generation;
    char told_fault[1024];
};

/* ---- what is told of reloads -----------------------------------------------
 */

static void tell(struct server *s, const char *fault)
{
    pthread_mutex_lock(&s->told_lock);
    s->told_ok = !fault;
    s->told_when = (uint64_t)clock_now();
    s->told_generation = s->number;
    snprintf(s->told_fault, sizeof s->told_fault, "%s", fault ? fault : "");
    pthread_mutex_unlock(&s->told_lock);
}

static struct server *server_of(struct api_process *p)
{
    return (struct server *)((char *)p - offsetof(struct server, process));
}

static void reload_told(struct api_process *p, struct api_reload *out,
                        struct buf *text)
{
    struct server *s = server_of(p);
    pthread_mutex_lock(&s->told_lock);
    buf_add_str(text, s->told_fault);
    *out = (struct api_reload){ s->told_ok, s->told_generation, s->told_when,
                                buf_slice(text) };
    pthread_mutex_unlock(&s->told_lock);
}

static void count_reloads(const struct generation *g)
{
    static const char *const labels[] = { "app", "result", NULL };
    struct metric *m = metrics_counter("latchkey_policy_reloads_total",
                                       "Policies loaded again.", labels);
    for (unsigned i = 0; i < g->api.napps; i++) {
        const struct api_app *app = &g->api.apps[i];
        struct slice values[] = { app->name,
                                  app->fault ? SLICE("failed") : SLICE("ok") };
        metric_add(m, values, 1);
    }
}

static const struct api_app *find_app(const struct generation *g,
                                      struct slice name)
{
    for (unsigned i = 0; i < g->api.napps; i++)
        if (slice_eq(g->api.apps[i].name, name))
            return &g->api.apps[i];
    return NULL;
}

static void tell_saves(const struct generation *before,
                       const struct generation *g)
{
    for (unsigned i = 0; i < g->api.napps; i++) {
        const struct api_app *app = &g->api.apps[i];
        const struct api_app *old = find_app(before, app->name);
        if (!app->fault && app->text.data &&
            (!old || old->fault || !slice_eq(old->text, app->text)))
            log_write(LOG_NOTICE, "policy \"%.*s\" is live",
                      SLICE_FMT(app->name));
    }
    for (unsigned i = 0; i < before->api.napps; i++)
        if (!find_app(g, before->api.apps[i].name))
            log_write(LOG_NOTICE, "policy \"%.*s\" is gone",
                      SLICE_FMT(before->api.apps[i].name));
}

/* ---- reload ----------------------------------------------------------------
 */

static const char *first_fault(const struct generation *g)
{
    for (unsigned i = 0; i < g->api.napps; i++)
        if (g->api.apps[i].fault)
            return g->api.apps[i].fault;
    return NULL;
}

/* All workers serve it, or one could not. */
static void on_generation(void *user, struct generation *g, bool ok,
                          const char *why);

static void start_reload(struct server *s, bool whole)
{
    if (s->stopping || !s->serving)
        return;
    if (s->answered < s->started) { /* one is under way */
        s->reload_again = true;
        return;
    }
    struct generation *g;
    uint64_t since = clock_msec();
    enum err e = generation_new(&g, s->options, whole ? NULL : s->current,
                                s->current, &s->scratch, s->number + 1);
    if (e != OK) {
        log_write(LOG_ERR, "reload refused, nothing has changed: %s",
                  err_text());
        tell(s, err_text());
        return;
    }
    s->number++;
    if (whole) {
        restarts_warn(s->current->conf, g->conf);
        log_open(g->conf->error_log, g->conf->log_level);
        watch_folder(s->watch, g->conf->apps, g->conf->apps_watch, since);
    }
    count_reloads(g);
    tell_saves(s->current, g);
    generation_unref(s->current);
    s->current = g;
    s->answered = 0;
    s->reload_failed = false;
    for (unsigned i = 0; i < s->started; i++)
        worker_switch(s->workers[i], g);
}

static void on_watch(void *user)
{
    start_reload(user, false);
}

static void run_reload(struct message *message)
{
    struct server *s =
        (struct server *)((char *)message -
                          offsetof(struct server, reload_message));
    atomic_store(&s->reload_asked, false);
    start_reload(s, true);
}

static void ask_reload(struct api_process *p)
{
    struct server *s = server_of(p);
    if (!atomic_exchange(&s->reload_asked, true))
        mailbox_post(&s->mailbox, &s->reload_message);
}

/* ---- start and end ---------------------------------------------------------
 */

/* A worker in a C function that does not return cannot be told anything. */
static void on_watchdog(uv_timer_t *timer)
{
    struct server *s = timer->data;
    unsigned stuck = 0;
    for (unsigned i = 0; i < s->started; i++)
        stuck += worker_is_stuck(s->workers[i]);
    metric_set(metrics_gauge("latchkey_workers_stuck",
                             "Workers that have not come back to their loop "
                             "for seconds.",
                             NULL),
               NULL, stuck);
    if (!s->stop_by || clock_ticks() < s->stop_by || !stuck)
        return;
    log_write(LOG_ALERT, "%u workers do not come back: the process ends",
              stuck);
    unlink(s->current->conf->pid);
    _exit(1);
}

static void stop_workers(struct server *s, bool graceful)
{
    s->stopping = true;
    if (graceful)
        atomic_store(&s->process.draining, true);
    for (unsigned i = 0; i < s->started; i++)
        worker_stop(s->workers[i], graceful);
}

/* What may be logged of the store's URL: a password may be in it. */
static struct slice shown_store(const struct conf *conf)
{
    struct slice url = conf->store;
    if (slice_starts(url, SLICE("redis")))
        url.len = slice_find(url, ':');
    return url;
}

static void on_upgrade_tested(void *user, bool ok)
{
    struct server *s = user;
    enum err e = OK;
    if (!ok)
        e = err_set(ERR_CONFIG, "its test of the configuration failed");
    else if (!s->stopping)
        e = upgrade_keep(s->upgrade, s->sockets, s->started * s->socket_count);
    if (e == OK && !s->stopping) {
        stop_workers(s, true);
        return;
    }
    if (e != OK)
        log_write(LOG_ERR, "upgrade refused, nothing has changed: %s",
                  err_text());
    upgrade_free(s->upgrade);
    s->upgrade = NULL;
}

static void start_upgrade(struct server *s)
{
    if (s->stopping || !s->serving || s->upgrade)
        return;
    s->upgrade = upgrade_new(&s->loop, s->options->argv, on_upgrade_tested, s);
    if (!s->upgrade)
        log_write(LOG_ERR, "upgrade refused: %s", err_text());
}

static void now_serving(struct server *s)
{
    const struct conf *conf = s->current->conf;
    s->serving = true;
    watch_folder(s->watch, conf->apps, conf->apps_watch, s->read_since);
    enum err e = setup_pid_file(conf->pid); /* tells of all of the above */
    if (e != OK) {
        log_emerg("%s", err_text());
        s->failed = true;
        stop_workers(s, false);
        return;
    }
    tell(s, NULL);
    log_write(
        LOG_NOTICE, "latchkey/" VERSION " serves: %u worker%s, store %.*s",
        s->started, s->started == 1 ? "" : "s", SLICE_FMT(shown_store(conf)));
    setup_ready(s->ready, 0);
    s->ready = -1;
}

static void on_generation(void *user, struct generation *g, bool ok,
                          const char *why)
{
    struct server *s = user;
    s->answered++;
    if (!ok && !s->serving) {
        log_emerg("%s", why);
        s->failed = true;
    } else if (!ok) {
        log_write(LOG_ERR, "a worker keeps the old generation: %s", why);
        tell(s, why);
        s->reload_failed = true;
    }
    if (s->answered < s->started)
        return;
    if (!s->serving && s->failed) {
        stop_workers(s, false);
    } else if (!s->serving) {
        now_serving(s);
    } else {
        log_write(LOG_NOTICE, "generation %llu serves",
                  (unsigned long long)g->api.number);
        if (!s->reload_failed)
            tell(s, first_fault(g));
        if (s->reload_again) {
            s->reload_again = false;
            start_reload(s, true);
        }
    }
}

static void close_loop(struct server *s)
{
    for (int i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    watch_free(s->watch);
    uv_close((uv_handle_t *)&s->watchdog, NULL);
    mailbox_close(&s->mailbox, NULL);
}

static void on_ended(void *user, struct worker *w)
{
    struct server *s = user;
    (void)w;
    if (++s->ended == s->started)
        close_loop(s);
}

static const struct worker_events worker_events = { on_generation, on_ended };

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;
    if (number == SIGQUIT) /* who has read of it in the log is refused */
        atomic_store(&s->process.draining, true);
    log_write(LOG_NOTICE, "signal %d (SIG%s) received", number,
              sigabbrev_np(number));
    switch (number) {
    case SIGHUP:
        start_reload(s, true);
        break;
    case SIGUSR1:
        log_reopen();
        log_file_reopen();
        break;
    case SIGUSR2:
        start_upgrade(s);
        break;
    case SIGQUIT:
        stop_workers(s, true);
        break;
    default:
        s->stop_by = clock_ticks() + STOP_MSEC;
        stop_workers(s, false);
    }
}

static void catch_signals(struct server *s)
{
    static const int numbers[SIGNALS] = { SIGTERM, SIGINT,  SIGQUIT,
                                          SIGHUP,  SIGUSR1, SIGUSR2 };
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, SIG_IGN); /* nginx takes these two as its own */
    signal(SIGIO, SIG_IGN);
    for (int i = 0; i < SIGNALS; i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        uv_signal_start(&s->signals[i], on_signal, numbers[i]);
    }
}

/* Once there is a mailbox: what init_by_lua asks for in the first trial, such
 * as a reload, is not there. */
static enum err prepare(struct server *s)
{
    s->process.flights = &s->flights;
    s->process.reload = ask_reload;
    s->process.reload_told = reload_told;
    return process_open(&s->process, s->current->conf, &s->arena);
}

static enum err start_workers(struct server *s)
{
    unsigned n = s->process.workers;
    s->workers = arena_alloc(&s->arena, n * sizeof *s->workers);
    for (unsigned i = 0; s->workers && i < n; i++) {
        enum err e =
            worker_start(&s->workers[i], i, &s->process, s->current,
                         s->sockets + i * s->socket_count, s->socket_count,
                         &s->mailbox, &worker_events, s);
        if (e != OK)
            return e;
        s->started++;
    }
    return s->workers ? OK : ERR_NOMEM;
}

/* The loop, for trying generations; before the daemon's fork there is none. */
static enum err open_loop(struct server *s)
{
    s->ready = -1;
    int rc = uv_loop_init(&s->loop);
    if (rc)
        return err_set(ERR_IO, "no event loop: %s", uv_strerror(rc));
    s->scratch = (struct api_worker){ .loop = &s->loop,
                                      .mailbox = &s->mailbox,
                                      .process = &s->process };
    s->process.lua_path = paths_lua(&s->arena);
    s->reload_message.run = run_reload;
    pthread_mutex_init(&s->told_lock, NULL);
    flight_init(&s->flights);
    return OK;
}

/* Now, with the rights of the start, and kept open. */
static enum err open_access_logs(const struct conf *conf)
{
    enum err e = OK;
    struct log_file *file;
    for (const struct conf_access_log *l = conf->access_logs; l && e == OK;
         l = l->also)
        if ((e = setup_folders(l->path)) == OK)
            e = log_file_open(&file, l->path);
    if (e == OK && conf->event_log &&
        (e = setup_folders(conf->event_log)) == OK)
        e = log_file_open(&file, conf->event_log);
    return e;
}

static enum err load_first(struct server *s)
{
    if (s->options->error_log)
        log_open(s->options->error_log, LOG_WARN);
    s->read_since = clock_msec();
    enum err e = generation_new(&s->current, s->options, NULL, NULL,
                                &s->scratch, s->number = 1);
    if (e != OK)
        return e;
    const struct conf *conf = s->current->conf;
    if (conf->error_log && strcmp(conf->error_log, "stderr"))
        e = setup_folders(conf->error_log);
    if (e == OK)
        e = log_open(conf->error_log, conf->log_level);
    return e == OK ? open_access_logs(conf) : e;
}

static enum err start(struct server *s)
{
    enum err e = load_first(s);
    if (e == OK)
        e = setup_limits(s->current->conf);
    if (e == OK)
        e = setup_sockets(s->current->conf, &s->arena, &s->sockets,
                          &s->socket_count);
    if (e == OK && s->current->conf->daemon) {
        e = setup_daemon(&s->ready);
        uv_loop_fork(&s->loop);
    }
    if (e == OK)
        e = mailbox_init(&s->mailbox, &s->loop);
    if (e == OK)
        e = prepare(s);
    if (e == OK)
        e = watch_new(&s->watch, &s->loop, on_watch, s);
    if (e != OK)
        return e;
    catch_signals(s);
    crash_catch();
    uv_timer_init(&s->loop, &s->watchdog);
    s->watchdog.data = s;
    uv_timer_start(&s->watchdog, on_watchdog, WATCHDOG_MSEC, WATCHDOG_MSEC);
    return start_workers(s);
}

static void release(struct server *s)
{
    for (unsigned i = 0; i < s->started; i++)
        worker_join(s->workers[i]);
    if (!threads_ended(STRAGGLE_MSEC))
        log_write(LOG_WARN, "a function of ngx.run_worker_thread does not "
                            "return: it ends with the process");
    process_close(&s->process);
    generation_unref(s->current);
    flight_fini(&s->flights);
    arena_free(&s->arena);
}

int server_main(const struct options *o)
{
    struct server s = { .options = o };
    inherit_find();
    enum err e = open_loop(&s);
    if (e == OK)
        e = start(&s);
    if (e != OK) {
        log_emerg("%s", err_text());
        setup_ready(s.ready, 1);
        return 1; /* the system takes the rest */
    }
    uv_run(&s.loop, UV_RUN_DEFAULT);
    if (!s.failed)
        unlink(s.current->conf->pid);
    log_write(LOG_NOTICE, "exit");
    release(&s);
    uv_loop_close(&s.loop);
    setup_ready(s.ready, 1); /* it never served */
    if (!s.upgrade)
        return s.failed ? 1 : 0;
    upgrade_exec(s.upgrade);
    return 1;
}

int server_test(const struct options *o)
{
    struct server s = { .options = o };
    struct generation *g;
    inherit_find();
    enum err e = open_loop(&s);
    if (e == OK)
        e = generation_new(&g, o, NULL, NULL, &s.scratch, 1);
    while (s.scratch.loop && uv_loop_close(&s.loop) == UV_EBUSY)
        uv_run(&s.loop, UV_RUN_DEFAULT);
    if (e != OK)
        log_emerg("%s", err_text());
    bool good = e == OK && !check_start(g->conf);
    if (e == OK && !good)
        generation_unref(g);
    if (!good) {
        fprintf(stderr, "latchkey: configuration test failed\n");
        arena_free(&s.arena);
        return 1;
    }
    if (!o->quiet)
        fprintf(stderr,
                "latchkey: the configuration file %s syntax is ok\n"
                "latchkey: configuration file %s test is successful\n",
                g->conf->path, g->conf->path);
    if (o->dump)
        conf_dump(g->conf, stdout);
    generation_unref(g);
    arena_free(&s.arena);
    return 0;
}
