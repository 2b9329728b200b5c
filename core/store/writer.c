/* writer.c -- group commit, and the sweep of what has expired. */
#include "store/writer.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/changes.h"
#include "store/measure.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BATCH_SETS = 1024,              /* of one transaction, */
    BATCH_BYTES = 32 * 1024 * 1024, /* as LMDB keeps it in memory */
    SWEEP_RECORDS = 256,
    SWEEP_EVERY = 1000, /* milliseconds, */
    SWEEP_BACKLOG = 20, /* where the last one left some */
    SETTLED = 5000,     /* without a failure: it works again */
};

struct writer {
    const struct store_engine *engine;
    void *db;
    struct changes *changes;
    struct metric *seconds, *sizes, *errors, *failing;
    pthread_t thread;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t posted, answered;
    struct message *first, **last;
    uint64_t posted_count, answered_count;
    bool stop;
    struct store_stat stat;

    bool unwell;        /* the thread's own, as is the rest */
    bool backlog;       /* the last sweep left expired records */
    uint64_t failed_at; /* clock_ticks, as swept_at */
    uint64_t swept_at;
};

/* The next batch, in the order of posting.  NULL after a second of silence,
 * at once where there is something to sweep; *stop: for good. */
static struct message *take(struct writer *w, unsigned *count, bool *stop)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SWEEP_EVERY / 1000;
    pthread_mutex_lock(&w->lock);
    while (!w->first && !w->stop && !w->backlog)
        if (pthread_cond_timedwait(&w->posted, &w->lock, &until))
            break;
    struct message *batch = w->first, **end = &batch;
    size_t bytes = 0;
    for (*count = 0; *end && *count < BATCH_SETS && bytes < BATCH_BYTES;) {
        bytes += ((struct store_commit *)*end)->sealed.len;
        end = &(*end)->next;
        (*count)++;
    }
    w->first = *end;
    if (!w->first)
        w->last = &w->first;
    *end = NULL;
    *stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    return batch;
}

/* Keeps and tells why a transaction failed; a row of failures is one line.
 * Small ones may succeed in between, as where a disk is full. */
static void note_failure(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->stat.failures++;
    w->stat.failing = true;
    snprintf(w->stat.error, sizeof w->stat.error, "%s", err_text());
    pthread_mutex_unlock(&w->lock);
    if (!w->unwell)
        log_write(LOG_ERR, "store: writing failed, reads go on: %s",
                  err_text());
    w->unwell = true;
    w->failed_at = clock_ticks();
    metric_add(w->errors, NULL, 1);
    metric_set(w->failing, NULL, 1);
}

static void note_success(struct writer *w)
{
    if (!w->unwell || clock_ticks() - w->failed_at < SETTLED)
        return;
    log_write(LOG_NOTICE, "store: writing works again");
    w->unwell = false;
    pthread_mutex_lock(&w->lock);
    w->stat.failing = false;
    pthread_mutex_unlock(&w->lock);
    metric_set(w->failing, NULL, 0);
}

static enum err apply_all(struct writer *w, struct message *batch)
{
    uint64_t now = clock_settled();
    for (struct message *m = batch; m; m = m->next) {
        struct store_commit *set = (struct store_commit *)m;
        set->result = w->engine->apply(w->db, set, now);
        if (set->result && set->result != ERR_CONFLICT &&
            set->result != ERR_NOMEM)
            return set->result;
    }
    return OK;
}

static enum err try_all(struct writer *w, struct message *batch)
{
    enum err e = w->engine->begin(w->db);
    if (e)
        return e;
    e = apply_all(w, batch);
    if (!e)
        return w->engine->commit(w->db);
    w->engine->abort(w->db);
    return e;
}

/* One transaction; each set has its result afterwards. */
static void transact(struct writer *w, struct message *batch)
{
    enum err e;
    do
        e = try_all(w, batch);
    while (e == ERR_TOO_LARGE);
    if (!e) {
        note_success(w);
        return;
    }
    note_failure(w);
    for (struct message *m = batch; m; m = m->next)
        ((struct store_commit *)m)->result = e;
}

static void count(struct writer *w, const struct message *batch, unsigned n,
                  uint64_t usec)
{
    metric_observe(w->seconds, NULL, (double)usec / 1e6);
    metric_observe(w->sizes, NULL, n);
    pthread_mutex_lock(&w->lock);
    w->stat.batches++;
    w->stat.usec += usec;
    for (; batch; batch = batch->next) {
        enum err e = ((const struct store_commit *)batch)->result;
        w->stat.commits += e == OK;
        w->stat.conflicts += e == ERR_CONFLICT;
    }
    pthread_mutex_unlock(&w->lock);
}

static void answer(struct writer *w, struct message *batch, unsigned n)
{
    while (batch) {
        struct store_commit *set = (struct store_commit *)batch;
        batch = batch->next;
        for (unsigned i = 0; i < set->count; i++)
            changes_note(w->changes, set->writes[i].key);
        mailbox_post(set->reply, &set->message); /* gone from here on */
    }
    pthread_mutex_lock(&w->lock);
    w->answered_count += n;
    pthread_cond_broadcast(&w->answered);
    pthread_mutex_unlock(&w->lock);
}

static enum err try_sweep(struct writer *w, unsigned *removed)
{
    *removed = 0;
    enum err e = w->engine->begin(w->db);
    if (e)
        return e;
    e = w->engine->sweep(w->db, clock_settled(), SWEEP_RECORDS, removed);
    if (!e && *removed)
        return w->engine->commit(w->db);
    w->engine->abort(w->db);
    return e;
}

static void sweep(struct writer *w)
{
    unsigned removed;
    enum err e = try_sweep(w, &removed);
    if (e && e != ERR_TOO_LARGE)
        note_failure(w);
    else if (!e && removed)
        note_success(w);
    pthread_mutex_lock(&w->lock);
    w->stat.swept += e ? 0 : removed;
    w->backlog = e == ERR_TOO_LARGE || (!e && removed == SWEEP_RECORDS);
    pthread_mutex_unlock(&w->lock);
    w->swept_at = clock_ticks();
}

static bool is_sweep_due(const struct writer *w)
{
    return clock_ticks() - w->swept_at >=
           (w->backlog ? SWEEP_BACKLOG : SWEEP_EVERY);
}

/* A sweep waits for a gap between commits, but not longer than a second, or a
 * moment where there is a backlog; then it holds up the next commit by one
 * small transaction. */
static void *run(void *arg)
{
    struct writer *w = arg;
    for (;;) {
        unsigned n;
        bool stop;
        struct message *batch = take(w, &n, &stop);
        if (!batch && stop)
            return NULL;
        if (batch) {
            uint64_t start = uv_hrtime();
            transact(w, batch);
            count(w, batch, n, (uv_hrtime() - start) / 1000);
            answer(w, batch, n);
        }
        if (!batch || is_sweep_due(w))
            sweep(w);
    }
}

enum err writer_start(struct writer **out, const struct store_engine *engine,
                      void *db, struct changes *changes)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(ERR_NOMEM, "no memory");
    w->engine = engine;
    w->db = db;
    w->changes = changes;
    w->seconds = measure_seconds();
    w->sizes = measure_sizes();
    w->errors = measure_errors();
    w->failing = measure_failing();
    w->last = &w->first;
    w->swept_at = clock_ticks();
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->posted, &monotonic);
    pthread_cond_init(&w->answered, NULL);
    pthread_condattr_destroy(&monotonic);
    int rc = pthread_create(&w->thread, NULL, run, w);
    if (rc) {
        writer_free(w);
        return err_set(ERR_STORE, "store: no thread: %s", strerror(rc));
    }
    *out = w;
    return OK;
}

bool writer_post(struct writer *w, struct store_commit *set)
{
    set->message.next = NULL;
    pthread_mutex_lock(&w->lock);
    bool open = !w->stop;
    if (open) {
        *w->last = &set->message;
        w->last = &set->message.next;
        w->posted_count++;
        pthread_cond_signal(&w->posted);
    }
    pthread_mutex_unlock(&w->lock);
    return open;
}

void writer_flush(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t until = w->posted_count;
    while (w->answered_count < until)
        pthread_cond_wait(&w->answered, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

void writer_stop(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->posted);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
}

void writer_free(struct writer *w)
{
    pthread_cond_destroy(&w->posted);
    pthread_cond_destroy(&w->answered);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void writer_stat(struct writer *w, struct store_stat *out)
{
    pthread_mutex_lock(&w->lock);
    *out = w->stat;
    pthread_mutex_unlock(&w->lock);
}

void writer_error(struct writer *w, char *out, size_t size)
{
    pthread_mutex_lock(&w->lock);
    snprintf(out, size, "%s", w->stat.error);
    pthread_mutex_unlock(&w->lock);
}
