/* redis_cluster.c -- who holds which slot, as one thread knows it. */
#include "store/redis_cluster.h"
#include "store/redis_key.h"
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

enum { NODES = 128, NOBODY = 255 };

struct redis_cluster {
    struct redis_conn *conn;
    uv_loop_t *loop;
    struct redis_link_settings link;
    const struct redis_url *url;
    struct redis_node *nodes[NODES];
    unsigned count;
    unsigned char holders[REDIS_KEY_SLOTS]; /* in nodes */
    bool known, stale;                      /* the map; and it may be old */
    bool refused, failed;
    unsigned seed, tried;       /* whom to ask first; how many were in vain */
    struct redis_call call;     /* CLUSTER SLOTS */
    struct redis_node *asked;   /* NULL: nobody */
    struct redis_queue waiting; /* trips, for the first map */
};

static void ask(struct redis_cluster *c, struct redis_node *node);

/* ---- nodes ----------------------------------------------------------------
 */

static unsigned index_of(const struct redis_cluster *c,
                         const struct redis_node *node)
{
    unsigned i = 0;
    while (i < c->count && c->nodes[i] != node)
        i++;
    return i;
}

/* The node at an address, made where there is none; NULL: no memory. */
static struct redis_node *node_at(struct redis_cluster *c, const char *host,
                                  unsigned port)
{
    for (unsigned i = 0; i < c->count; i++)
        if (c->nodes[i]->address.port == port &&
            !strcmp(c->nodes[i]->address.host, host))
            return c->nodes[i];
    struct redis_node *node = c->count < NODES ? calloc(1, sizeof *node) : NULL;
    if (!node)
        return NULL;
    node->conn = c->conn;
    node->address.port = port;
    snprintf(node->address.host, sizeof node->address.host, "%s", host);
    if (redis_node_init(node, c->loop, &c->link, c->url->wait)) {
        redis_node_fini(node);
        free(node);
        return NULL;
    }
    return c->nodes[c->count++] = node;
}

static void remove_node(struct redis_cluster *c, unsigned index)
{
    struct redis_node *node = c->nodes[index];
    unsigned last = --c->count;
    c->nodes[index] = c->nodes[last];
    for (unsigned i = 0; i < REDIS_KEY_SLOTS; i++)
        if (c->holders[i] == last)
            c->holders[i] = (unsigned char)index;
    redis_node_fini(node);
    free(node);
}

/* Who holds slots; what holds none is a seed, or was left behind by a
 * failover. */
static void find_used(const struct redis_cluster *c, bool used[NODES])
{
    for (unsigned i = 0; i < REDIS_KEY_SLOTS; i++)
        if (c->holders[i] != NOBODY)
            used[c->holders[i]] = true;
}

static void drop_idle(struct redis_cluster *c)
{
    bool used[NODES] = { false };
    find_used(c, used);
    for (unsigned i = c->count; i--;)
        if (!used[i] && c->nodes[i] != c->asked)
            remove_node(c, i);
}

/* ---- the map --------------------------------------------------------------
 */

/* Once the map is there, or will not come. */
static void release_waiting(struct redis_cluster *c)
{
    struct redis_queue waiting = c->waiting;
    struct redis_trip *trip;
    c->waiting = (struct redis_queue){ 0 };
    while ((trip = (struct redis_trip *)redis_queue_pop(&waiting)))
        if (!redis_cluster_send(c, trip))
            trip->on_answer(trip, NULL);
}

/* [first, last, [host, port, ...], replicas...]; no host: the one asked. */
static bool read_range(struct redis_cluster *c, const struct redisReply *range)
{
    const struct redisReply *master;
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3)
        return false;
    long long first = range->element[0]->integer,
              last = range->element[1]->integer;
    master = range->element[2];
    if (first < 0 || last >= REDIS_KEY_SLOTS ||
        master->type != REDIS_REPLY_ARRAY || master->elements < 2)
        return false;
    const char *host = master->element[0]->str;
    struct redis_node *node =
        node_at(c, host && *host ? host : c->asked->address.host,
                (unsigned)master->element[1]->integer);
    if (!node)
        return false;
    memset(c->holders + first, (int)index_of(c, node),
           (size_t)(last + 1 - first));
    return true;
}

static bool read_map(struct redis_cluster *c, const struct redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || !reply->elements)
        return false;
    memset(c->holders, NOBODY, sizeof c->holders);
    for (size_t i = 0; i < reply->elements; i++)
        if (!read_range(c, reply->element[i]))
            return false;
    return true;
}

/* Another one may know: the seeds in turn. */
static void try_next_seed(struct redis_cluster *c)
{
    c->tried++;
    c->seed = (c->seed + 1) % c->url->count;
    const struct redis_address *seed = &c->url->hosts[c->seed];
    struct redis_node *node =
        c->tried < c->url->count ? node_at(c, seed->host, seed->port) : NULL;
    if (node) {
        ask(c, node);
        return;
    }
    c->failed = true; /* the pulse begins anew */
    c->tried = 0;
    release_waiting(c);
}

static void on_map(struct redis_call *call, struct redisReply *reply)
{
    struct redis_cluster *c =
        (struct redis_cluster *)((char *)call -
                                 offsetof(struct redis_cluster, call));
    struct redis_node *asked = c->asked;
    bool good = reply && read_map(c, reply);
    c->asked = NULL;
    c->stale |= !good;
    c->refused = reply ? reply->type == REDIS_REPLY_ERROR
                       : asked && asked->reads->refused;
    if (reply && c->refused) {
        err_set(ERR_REFUSED, "it is no cluster: %s", reply->str);
        redis_link_fail(asked->reads);
    }
    if (good) {
        c->known = true;
        c->stale = c->failed = false;
        c->tried = 0;
        release_waiting(c);
    } else if (!c->known) {
        try_next_seed(c);
    }
}

static void ask(struct redis_cluster *c, struct redis_node *node)
{
    struct slice words[] = { SLICE("CLUSTER"), SLICE("SLOTS") };
    c->asked = node;
    c->call = (struct redis_call){ .on_reply = on_map };
    if (redis_link_call(node->reads, &c->call, words, 2))
        return;
    c->asked = NULL;
    if (!c->known)
        try_next_seed(c);
}

/* Somebody who is there; a seed where nobody is. */
static void refresh(struct redis_cluster *c)
{
    if (c->asked)
        return;
    for (unsigned i = 0; i < c->count; i++)
        if (c->nodes[i]->reads->state == REDIS_LINK_READY) {
            ask(c, c->nodes[i]);
            return;
        }
    c->seed = (c->seed + 1) % c->url->count;
    const struct redis_address *seed = &c->url->hosts[c->seed];
    struct redis_node *node = node_at(c, seed->host, seed->port);
    if (node)
        ask(c, node);
}

/* ---- what others use ------------------------------------------------------
 */

static bool is_failed(const struct redis_node *node)
{
    return node->reads->failed || node->writes->failed;
}

bool redis_cluster_send(struct redis_cluster *c, struct redis_trip *trip)
{
    unsigned holder = c->holders[trip->slot];
    if (c->known && holder != NOBODY)
        return redis_node_send(c->nodes[holder], trip);
    if (c->known || c->failed || c->waiting.count >= REDIS_LINK_CALLS) {
        err_set(ERR_STORE, "redis: no node of the cluster has slot %u",
                trip->slot);
        return false;
    }
    redis_queue_push(&c->waiting, &trip->call);
    return true;
}

struct redis_node *redis_cluster_redirect(struct redis_cluster *c,
                                          struct redis_node *from,
                                          const char *error)
{
    char host[REDIS_HOST];
    unsigned slot, port;
    bool moved = !strncmp(error, "MOVED ", 6);
    const char *rest = strchr(error, ' ');
    const char *address = rest ? strchr(rest + 1, ' ') : NULL;
    const char *colon = address ? strrchr(address, ':') : NULL;
    if (!colon || sscanf(rest, " %u", &slot) != 1 || slot >= REDIS_KEY_SLOTS ||
        sscanf(colon, ":%u", &port) != 1)
        return NULL;
    snprintf(host, sizeof host, "%.*s", (int)(colon - address - 1),
             address + 1);
    struct redis_node *node =
        node_at(c, *host ? host : from->address.host, port);
    if (node && moved) {
        c->holders[slot] = (unsigned char)index_of(c, node);
        c->stale = true;
    }
    return node;
}

struct redis_node *redis_cluster_at(struct redis_cluster *c, unsigned i)
{
    return i < c->count ? c->nodes[i] : NULL;
}

void redis_cluster_pulse(struct redis_cluster *c)
{
    bool away = false;
    for (unsigned i = 0; i < c->count; i++)
        away |= is_failed(c->nodes[i]);
    if (!c->known || c->stale || away)
        refresh(c);
    else
        drop_idle(c);
}

enum err redis_cluster_state(const struct redis_cluster *c)
{
    bool used[NODES] = { false };
    if (c->refused)
        return ERR_REFUSED;
    if (!c->known)
        return c->failed ? ERR_CONNECT : PENDING;
    find_used(c, used);
    for (unsigned i = 0; i < c->count; i++)
        if (used[i] && is_failed(c->nodes[i]))
            return ERR_CONNECT;
    return OK;
}

/* What is answered may lead to nodes further on, or back. */
void redis_cluster_drain(struct redis_cluster *c)
{
    for (int round = 0; round < 2; round++)
        for (unsigned i = 0; i < c->count; i++)
            redis_node_drain(c->nodes[i]);
}

enum err redis_cluster_new(struct redis_cluster **out, struct redis_conn *conn,
                           uv_loop_t *loop,
                           const struct redis_link_settings *link,
                           const struct redis_url *url)
{
    struct redis_cluster *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(ERR_NOMEM, "no memory");
    c->conn = conn;
    c->loop = loop;
    c->link = *link;
    c->url = url;
    memset(c->holders, NOBODY, sizeof c->holders);
    *out = c;
    struct redis_node *node =
        node_at(c, url->hosts[0].host, url->hosts[0].port);
    if (!node)
        return err_set(ERR_NOMEM, "no memory");
    ask(c, node);
    return OK;
}

void redis_cluster_free(struct redis_cluster *c)
{
    if (!c)
        return;
    c->known = true; /* nothing is asked any more */
    memset(c->holders, NOBODY, sizeof c->holders);
    release_waiting(c);
    while (c->count)
        remove_node(c, c->count - 1);
    free(c);
}
