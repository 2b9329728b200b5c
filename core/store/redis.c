/* redis.c -- records in Redis: the process's side, and reading. */
#include "store/redis.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/secret.h"
#include "store/measure.h"
#include "store/redis_commit.h"
#include "store/redis_loop.h"
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SETTLED_MSEC = 5000, /* without a refusal: it works again */
    TOLD_MSEC = 5000,    /* between two reasons why it is away */
};

struct redis {
    struct redis_conn_settings settings;
    char digest[2 * DIGEST_SHA1 + 1];
    struct metric *seconds, *errors, *gauge;
    atomic_uint_least64_t records, commits, conflicts, failures, usec;
    pthread_mutex_t lock; /* of what follows */
    unsigned away;        /* threads that cannot reach it */
    bool failing;         /* as log and metric know */
    bool refusing;        /* it answers, and refuses what is asked */
    uint64_t refused_at;  /* clock_ticks */
    atomic_bool may_heal; /* refusing, for who does not lock */
    char error[256], told[256];
    uint64_t told_at; /* clock_ticks */
};

/* ---- what happens to connections ------------------------------------------
 */

static void note_error(void *user)
{
    struct redis *r = user;
    atomic_fetch_add(&r->failures, 1);
    pthread_mutex_lock(&r->lock);
    snprintf(r->error, sizeof r->error, "%s", err_text());
    pthread_mutex_unlock(&r->lock);
}

/* Why it is away may become another reason, such as a password that it wants
 * now: told as well, though seldom. */
static void on_failure(void *user)
{
    struct redis *r = user;
    char why[sizeof r->error];
    note_error(r);
    pthread_mutex_lock(&r->lock);
    uint64_t now = clock_ticks();
    bool tell = r->failing && strcmp(r->told, r->error) &&
                now - r->told_at >= TOLD_MSEC;
    if (tell) {
        memcpy(r->told, r->error, sizeof r->told);
        r->told_at = now;
    }
    memcpy(why, r->error, sizeof why);
    pthread_mutex_unlock(&r->lock);
    if (tell)
        log_write(LOG_ERR, "store: %s; trying again", why);
}

static bool is_away(enum err state)
{
    return state != OK && state != PENDING;
}

/* Tells log and metric where the threads' common knowledge has changed. */
static void on_state(void *user, enum err before, enum err now)
{
    struct redis *r = user;
    char why[sizeof r->error];
    pthread_mutex_lock(&r->lock);
    r->away += is_away(now);
    r->away -= is_away(before);
    bool failing = r->away, changed = r->failing != failing;
    r->failing = failing;
    memcpy(why, r->error, sizeof why);
    if (changed && failing)
        memcpy(r->told, r->error, sizeof r->told);
    if (changed) /* under the lock: in this order */
        metric_set(r->gauge, NULL, failing || r->refusing);
    pthread_mutex_unlock(&r->lock);
    if (changed && failing)
        log_write(LOG_ERR, "store: %s; trying again", why);
    else if (changed)
        log_write(LOG_NOTICE, "store: redis answers again");
}

/* It answers with an error, such as OOM or NOREPLICAS: a row is one line. */
static void note_refusal(struct redis *r)
{
    pthread_mutex_lock(&r->lock);
    bool tell = !r->refusing && !r->away;
    if (tell) {
        r->refusing = true;
        metric_set(r->gauge, NULL, 1);
        atomic_store(&r->may_heal, true);
    }
    r->refused_at = clock_ticks();
    if (!r->away)
        snprintf(r->error, sizeof r->error, "%s", err_text());
    pthread_mutex_unlock(&r->lock);
    if (tell)
        log_write(LOG_ERR, "store: it does not take what is asked: %s",
                  err_text());
}

static void note_write(struct redis *r)
{
    if (!atomic_load_explicit(&r->may_heal, memory_order_relaxed))
        return;
    pthread_mutex_lock(&r->lock);
    bool well = r->refusing && clock_ticks() - r->refused_at >= SETTLED_MSEC;
    if (well) {
        r->refusing = false;
        atomic_store(&r->may_heal, false);
        metric_set(r->gauge, NULL, r->failing);
    }
    pthread_mutex_unlock(&r->lock);
    if (well)
        log_write(LOG_NOTICE, "store: writing works again");
}

static void on_records(void *user, uint64_t n)
{
    struct redis *r = user;
    atomic_store(&r->records, n);
}

/* ---- reading --------------------------------------------------------------
 */

static struct store_read *read_of(struct redis_trip *trip)
{
    return (struct store_read *)((char *)trip -
                                 offsetof(struct store_read, trip));
}

static bool send_get(struct redis_trip *trip, struct redis_link *link)
{
    struct buf name = { 0 };
    redis_conn_key(trip->conn, read_of(trip)->key, &name);
    struct slice words[] = { SLICE("GET"), buf_slice(&name) };
    bool sent = buf_ok(&name) && redis_link_call(link, &trip->call, words, 2);
    buf_free(&name);
    return sent;
}

static void on_answer(struct redis_trip *trip, struct redisReply *reply)
{
    struct store_read *read = read_of(trip);
    if (reply && reply->type == REDIS_REPLY_STRING)
        read->on_record(read, OK, SLICE_OF(reply->str, reply->len));
    else if (reply && reply->type == REDIS_REPLY_NIL)
        read->on_record(read, ERR_NOT_FOUND, SLICE_NONE);
    else {
        note_refusal(redis_conn_user(trip->conn));
        read->on_record(read, ERR_STORE, SLICE_NONE);
    }
}

enum err redis_get(struct redis_conn *conn, struct store_read *read)
{
    struct buf name = { 0 };
    read->trip =
        (struct redis_trip){ .send = send_get, .on_answer = on_answer };
    read->trip.slot = redis_conn_key(conn, read->key, &name);
    buf_free(&name);
    return redis_conn_send(conn, &read->trip);
}

/* ---- writing --------------------------------------------------------------
 */

static void on_settled(struct store_commit *c, enum err e)
{
    struct redis *r = redis_conn_user(c->trip.conn);
    uint64_t usec = (uv_hrtime() - c->began) / 1000;
    if (e == OK) {
        atomic_fetch_add(&r->commits, 1);
        note_write(r);
    } else if (e == ERR_CONFLICT)
        atomic_fetch_add(&r->conflicts, 1);
    else {
        note_error(r);
        note_refusal(r);
        metric_add(r->errors, NULL, 1);
    }
    atomic_fetch_add(&r->usec, usec);
    metric_observe(r->seconds, NULL, (double)usec / 1e6);
    c->result = e;
    c->message.run(&c->message);
}

enum err redis_put(struct redis_conn *conn, struct store_commit *c)
{
    c->began = uv_hrtime();
    return redis_commit_start(conn, c, on_settled);
}

/* ---- opening and closing --------------------------------------------------
 */

/* One connection, made and left again; r->error says why not. */
static enum err try_once(struct redis *r)
{
    struct redis_conn_settings settings = r->settings;
    struct redis_loop loop;
    settings.on_state = NULL;
    enum err e = redis_loop_open(&loop, &settings);
    redis_loop_close(&loop);
    return e;
}

static enum err check(struct redis *r)
{
    enum err e = try_once(r);
    if (e == ERR_REFUSED)
        return err_set(ERR_STORE, "store: %s", r->error);
    r->failing = e != OK;
    metric_set(r->gauge, NULL, r->failing);
    if (r->failing)
        log_write(LOG_WARN, "store: %s; starting without it, trying again",
                  *r->error ? r->error : "redis is away");
    r->error[0] = '\0';
    atomic_store(&r->failures, 0);
    return OK;
}

static void make_digest(struct redis *r)
{
    uint8_t sum[DIGEST_SHA1];
    struct buf hex = { 0 };
    digest_sha1(slice_str(redis_commit_script), sum);
    text_hex(&hex, SLICE_OF(sum, sizeof sum));
    snprintf(r->digest, sizeof r->digest, "%.*s", SLICE_FMT(buf_slice(&hex)));
    buf_free(&hex);
}

enum err redis_open(struct redis **out, const char *url)
{
    struct redis *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(ERR_NOMEM, "no memory");
    pthread_mutex_init(&r->lock, NULL);
    make_digest(r);
    r->seconds = measure_seconds();
    r->errors = measure_errors();
    r->gauge = measure_failing();
    r->settings = (struct redis_conn_settings){ .script = redis_commit_script,
                                                .digest = r->digest,
                                                .on_failure = on_failure,
                                                .on_state = on_state,
                                                .on_records = on_records,
                                                .user = r };
    enum err e = redis_url_parse(&r->settings.url, url);
    if (!e && r->settings.url.tls && !(r->settings.tls = redis_io_tls()))
        e = err_set(ERR_STORE, "store: no TLS");
    if (!e)
        e = check(r);
    if (e)
        redis_close(r);
    else
        *out = r;
    return e;
}

void redis_close(struct redis *r)
{
    SSL_CTX_free(r->settings.tls);
    pthread_mutex_destroy(&r->lock);
    secret_wipe(&r->settings.url, sizeof r->settings.url);
    free(r);
}

const struct redis_conn_settings *redis_settings(const struct redis *r)
{
    return &r->settings;
}

enum err redis_attach(struct redis *r, uv_loop_t *loop, struct redis_conn **out)
{
    return redis_conn_new(out, loop, &r->settings);
}

void redis_stat(struct redis *r, struct store_stat *out)
{
    *out = (struct store_stat){ .records = r->records,
                                .commits = r->commits,
                                .conflicts = r->conflicts,
                                .batches = r->commits,
                                .failures = r->failures,
                                .usec = r->usec };
    pthread_mutex_lock(&r->lock);
    memcpy(out->error, r->error, sizeof out->error);
    out->failing = r->failing || r->refusing;
    pthread_mutex_unlock(&r->lock);
}
