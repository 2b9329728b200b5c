/* redis_conn.c -- a thread's way to Redis. */
#include "store/redis_conn.h"
#include "store/redis_cluster.h"
#include "store/redis_key.h"
#include "store/redis_sentinel.h"
#include <hiredis/hiredis.h>
#include <stdlib.h>

enum { PULSE_MSEC = 1000, TRIES = 5 };

struct redis_conn {
    const struct redis_conn_settings *settings;
    uv_loop_t *loop;
    uv_timer_t pulse;
    struct redis_sentinel *sentinel; /* or NULL, as is */
    struct redis_cluster *cluster;   /* in whose place node serves */
    struct redis_node node;
    enum err state; /* as told last */
};

static struct redis_conn *conn_of(struct redis_link *link)
{
    return ((struct redis_node *)link->settings->owner)->conn;
}

static void locate(struct redis_link *link)
{
    struct redis_conn *conn = conn_of(link);
    struct redis_node *node = link->settings->owner;
    if (conn->sentinel)
        redis_sentinel_ask(conn->sentinel, link);
    else if (node != &conn->node)
        redis_link_connect(link, &node->address);
    else
        redis_link_connect(link, &conn->settings->url.hosts[0]);
}

static void tell_state(struct redis_conn *conn)
{
    enum err before = conn->state, now = redis_conn_state(conn);
    conn->state = now;
    if (now != before && conn->settings->on_state)
        conn->settings->on_state(conn->settings->user, before, now);
}

static void on_ready(struct redis_link *link)
{
    tell_state(conn_of(link));
}

static void on_failure(struct redis_link *link)
{
    struct redis_conn *conn = conn_of(link);
    conn->settings->on_failure(conn->settings->user);
    tell_state(conn);
}

struct redis_node *redis_conn_node(struct redis_conn *conn, unsigned i)
{
    if (conn->cluster)
        return redis_cluster_at(conn->cluster, i);
    return i || !conn->node.reads ? NULL : &conn->node;
}

/* ---- the pulse: finds a dead connection before a request does ------------
 */

static void on_size(struct redis_call *call, struct redisReply *reply)
{
    struct redis_node *node =
        (struct redis_node *)((char *)call -
                              offsetof(struct redis_node, pulse));
    const struct redis_conn_settings *s = node->conn->settings;
    uint64_t sum = 0;
    node->pulsing = false;
    if (!reply || reply->type != REDIS_REPLY_INTEGER)
        return;
    node->records = (uint64_t)reply->integer;
    struct redis_node *each;
    for (unsigned i = 0; (each = redis_conn_node(node->conn, i)); i++)
        sum += each->records;
    s->on_records(s->user, sum);
}

static void on_pulse(uv_timer_t *timer)
{
    struct redis_conn *conn = timer->data;
    struct redis_node *node;
    if (conn->cluster)
        redis_cluster_pulse(conn->cluster);
    tell_state(conn); /* slots may have moved from who is away */
    for (unsigned i = 0; (node = redis_conn_node(conn, i)); i++) {
        if (node->pulsing || node->reads->state != REDIS_LINK_READY)
            continue;
        node->pulse.on_reply = on_size;
        node->pulsing =
            redis_link_call(node->reads, &node->pulse, &SLICE("DBSIZE"), 1);
    }
}

/* ---- sending --------------------------------------------------------------
 */

static bool says(const struct redisReply *reply, const char *word)
{
    return !strncmp(reply->str, word, strlen(word));
}

static void answer(struct redis_trip *trip, struct redisReply *reply)
{
    bool done = reply && reply->type == REDIS_REPLY_INTEGER && reply->integer;
    if (!done || !redis_node_confirm(trip->node, trip))
        trip->on_answer(trip, reply);
}

/* True: it is on its way again, or failed. */
static bool send_again(struct redis_trip *trip, struct redis_node *node)
{
    if (++trip->tries > TRIES)
        return false;
    if (!redis_node_send(node, trip))
        trip->on_answer(trip, NULL);
    return true;
}

/* To where a cluster's node says: for good, or for this once. */
static bool redirected(struct redis_trip *trip, const struct redisReply *reply)
{
    bool once = says(reply, "ASK ");
    if (!once && !says(reply, "MOVED "))
        return false;
    struct redis_node *node =
        redis_cluster_redirect(trip->conn->cluster, trip->node, reply->str);
    trip->asks = once;
    return node && send_again(trip, node);
}

static void on_reply(struct redis_call *call, struct redisReply *reply)
{
    struct redis_trip *trip = (struct redis_trip *)call;
    if (!reply || reply->type != REDIS_REPLY_ERROR) {
        answer(trip, reply);
        return;
    }
    if (says(reply, "NOSCRIPT") && !trip->text) {
        trip->text = true;
        if (send_again(trip, trip->node))
            return;
    }
    if (trip->conn->cluster && redirected(trip, reply))
        return;
    bool demoted = says(reply, "READONLY") || says(reply, "MASTERDOWN");
    struct redis_node *node = trip->node;
    err_set(ERR_STORE, "redis: %s", reply->str);
    trip->on_answer(trip, NULL);
    if (demoted)
        redis_node_demote(node, "it is a replica now");
}

enum err redis_conn_send(struct redis_conn *conn, struct redis_trip *trip)
{
    trip->conn = conn;
    trip->call.on_reply = on_reply;
    bool sent = conn->cluster ? redis_cluster_send(conn->cluster, trip)
                              : redis_node_send(&conn->node, trip);
    return sent ? PENDING : ERR_STORE;
}

uint16_t redis_conn_key(const struct redis_conn *conn, struct slice key,
                        struct buf *out)
{
    size_t start = out->len;
    redis_key_name(key, out);
    if (conn->settings->url.kind != REDIS_CLUSTER)
        return 0;
    return redis_key_slot(slice_from(buf_slice(out), start));
}

void *redis_conn_user(const struct redis_conn *conn)
{
    return conn->settings->user;
}

/* ---- opening and closing --------------------------------------------------
 */

enum err redis_conn_state(const struct redis_conn *conn)
{
    if (conn->cluster)
        return redis_cluster_state(conn->cluster);
    const struct redis_link *a = conn->node.reads, *b = conn->node.writes;
    if (!a || !b)
        return PENDING; /* they are being made */
    if (a->state == REDIS_LINK_READY && b->state == REDIS_LINK_READY)
        return OK;
    if (a->refused || b->refused)
        return ERR_REFUSED;
    return a->failed || b->failed ? ERR_CONNECT : PENDING;
}

static struct redis_link_settings
link_settings(const struct redis_conn_settings *s)
{
    return (struct redis_link_settings){
        .tls = s->tls,
        .user = s->url.user,
        .password = s->url.password,
        .db = s->url.db,
        .script = s->script,
        .digest = s->digest,
        .master = s->url.kind != REDIS_CLUSTER,
        .locate = locate,
        .on_ready = on_ready,
        .on_failure = on_failure,
    };
}

enum err redis_conn_new(struct redis_conn **out, uv_loop_t *loop,
                        const struct redis_conn_settings *settings)
{
    struct redis_link_settings link = link_settings(settings);
    struct redis_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return err_set(ERR_NOMEM, "no memory");
    conn->settings = settings;
    conn->loop = loop;
    conn->node.conn = conn;
    conn->state = PENDING;
    enum err e = OK;
    if (settings->url.kind == REDIS_SENTINEL)
        e = redis_sentinel_new(&conn->sentinel, loop, settings);
    if (settings->url.kind == REDIS_CLUSTER)
        e = redis_cluster_new(&conn->cluster, conn, loop, &link,
                              &settings->url);
    else if (!e)
        e = redis_node_init(&conn->node, loop, &link, settings->url.wait);
    uv_timer_init(loop, &conn->pulse);
    uv_unref((uv_handle_t *)&conn->pulse);
    conn->pulse.data = conn;
    if (e)
        redis_conn_free(conn);
    else
        uv_timer_start(&conn->pulse, on_pulse, PULSE_MSEC, PULSE_MSEC);
    *out = e ? NULL : conn;
    return e;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void redis_conn_free(struct redis_conn *conn)
{
    if (conn->cluster)
        redis_cluster_drain(conn->cluster);
    else if (conn->node.writes)
        redis_node_drain(&conn->node);
    redis_node_fini(&conn->node);
    redis_cluster_free(conn->cluster);
    redis_sentinel_free(conn->sentinel);
    uv_close((uv_handle_t *)&conn->pulse, on_closed);
}
