/* http_room.c -- who may have a connection, and who gives way to whom.
 *
 * A listener has as many places as worker_connections says.  At that limit,
 * and at that of descriptors, the connection that has been idle for the
 * longest gives way: a kept one; or one that has not asked at all and had the
 * time to.  Whoever asked something is not touched. */
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/address.h"
#include "net/http_private.h"
#include <stdatomic.h>
#include <stdio.h>

enum { KEPT_MSEC = 100, FRESH_MSEC = 2000, LOOKS = 16, TELL_MSEC = 10000 };

enum fact { FULL, REUSED, ADDRESS, DESCRIPTORS, FACTS };

/* ---- what is told ---------------------------------------------------------
 */

static void count(const char *name, const char *help, struct slice reason,
                  unsigned n)
{
    static const char *const labels[] = { "reason", NULL };
    metric_add(metrics_counter(name, help, labels), &reason, n);
}

static void count_refused(struct slice reason, unsigned n)
{
    count("latchkey_connections_refused_total",
          "Newcomers that had to wait, or (address) were closed.", reason, n);
}

static void count_cut(struct slice reason, unsigned n)
{
    count("latchkey_connections_cut_total",
          "Connections that were closed: idle, for another; too slow.", reason,
          n);
}

void http_room_open(void)
{
    count_refused(SLICE("full"), 0);
    count_refused(SLICE("address"), 0);
    count_refused(SLICE("descriptors"), 0);
    count_cut(SLICE("idle"), 0);
    count_cut(SLICE("slow"), 0);
}

void http_room_held(void)
{
    count_refused(SLICE("full"), 1);
}

void http_room_slow(void)
{
    count_cut(SLICE("slow"), 1);
}

/* Of each fact once a while: an attack is no reason to fill the disk. */
static bool may_tell(enum fact fact)
{
    static _Atomic uint64_t next[FACTS];
    uint64_t now = clock_ticks(), due = atomic_load(&next[fact]);
    return now >= due &&
           atomic_compare_exchange_strong(&next[fact], &due, now + TELL_MSEC);
}

static void tell_full(const struct http_listen *l, bool reused)
{
    char text[ADDRESS_TEXT];
    struct address own = { .len = sizeof own.sa };
    if (!may_tell(reused ? REUSED : FULL))
        return;
    getsockname(l->fd, (struct sockaddr *)&own.sa, &own.len);
    log_write(reused ? LOG_WARN : LOG_ALERT,
              "%u worker_connections are not enough on %s%s",
              l->limits.connections, address_text(&own, text),
              reused ? ", the longest idle one gives way"
                     : ", who comes has to wait");
}

static void tell_address(const struct ip *ip, unsigned max)
{
    char text[IP_TEXT];
    struct ip shown = *ip;
    if (ip->kind == IP_V6)
        memset(shown.bytes + 8, 0, 8);
    if (may_tell(ADDRESS))
        log_write(LOG_WARN,
                  "%s%s holds %u connections, more are closed "
                  "(latchkey_connections_per_address)",
                  ip_text(&shown, text), ip->kind == IP_V6 ? "/64" : "", max);
}

/* ---- the limits -----------------------------------------------------------
 */

/* Counts the newcomer; false: its address holds too many. */
bool http_room_admits(struct http_listen *l, struct http_newcomer *n)
{
    struct http_server *s = l->server;
    struct ip ip = http_source_ip((struct sockaddr *)&n->sa);
    bool counted =
        (ip.kind == IP_V4 || ip.kind == IP_V6) && !http_source_is_loopback(&ip);
    unsigned max = counted ? s->events->on_newcomer(l, &ip, s->user) : 0;
    if (!max || http_source_take(&ip, &n->source) <= max)
        return true;
    http_source_drop(&n->source);
    count_refused(SLICE("address"), 1);
    tell_address(&ip, max);
    return false;
}

void http_room_list(struct http_conn *c, bool idle)
{
    struct http_listen *l = c->listen;
    if (c->idles)
        TAILQ_REMOVE(c->idles, c, idle);
    c->idles = !idle ? NULL : c->requests ? &l->kept : &l->fresh;
    if (c->idles)
        TAILQ_INSERT_TAIL(c->idles, c, idle);
}

/* A request may have come that nobody has read yet. */
static bool is_silent(const struct http_conn *c)
{
    char byte;
    return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static struct http_conn *longest(struct http_listen *l,
                                 struct http_idles *idles, uint64_t msec)
{
    uint64_t now = uv_now(l->server->loop);
    unsigned looks = 0;
    struct http_conn *c;
    TAILQ_FOREACH(c, idles, idle)
    {
        if (c->since + msec > now || looks++ == LOOKS)
            return NULL;
        if (!c->gone && is_silent(c))
            return c;
    }
    return NULL;
}

static bool give_way(struct http_listen *l)
{
    struct http_conn *c = longest(l, &l->kept, KEPT_MSEC);
    if (!c)
        c = longest(l, &l->fresh, FRESH_MSEC);
    if (!c)
        return false;
    count_cut(SLICE("idle"), 1);
    http_conn_cut(c);
    http_run(l); /* sees it, and closes */
    return true;
}

/* False: all places are taken by who asks something, or just came. */
bool http_room_make(struct http_listen *l)
{
    if (l->count < l->limits.connections)
        return true;
    bool reused = give_way(l) && l->count < l->limits.connections;
    tell_full(l, reused);
    return reused;
}

/* The system has no more, for this process or at all. */
void http_room_descriptors(struct http_server *s, int why)
{
    count_refused(SLICE("descriptors"), 1);
    if (may_tell(DESCRIPTORS))
        log_write(LOG_CRIT, "accept4() failed (%d: %s)", why, strerror(why));
    for (struct http_listen *l = s->listens; l; l = l->next)
        if (give_way(l))
            return;
}

/* ---- the metric -----------------------------------------------------------
 */

void http_server_measure(const struct http_server *s, struct slice worker)
{
    static const struct slice names[] = { { "waiting", 7 },
                                          { "reading", 7 },
                                          { "writing", 7 } };
    static const uint8_t kinds[HTTP_STATES] = { 0, 1, 1, 2, 2 };
    static const char *const labels[] = { "worker", "state", NULL };
    unsigned counts[3] = { 0 };
    struct metric *m = metrics_gauge("latchkey_connections",
                                     "Open connections of clients.", labels);
    for (const struct http_listen *l = s->listens; l; l = l->next)
        for (const struct http_conn *c = l->conns; c; c = c->next)
            counts[kinds[c->state]]++;
    for (int i = 0; i < 3; i++)
        metric_set(m, (struct slice[]){ worker, names[i] }, counts[i]);
}
