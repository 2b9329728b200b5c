/* redis_node.c -- one Redis that holds records, and the commands to it. */
#include "store/redis_node.h"
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAIT_MSEC = REDIS_LINK_MSEC / 2 };

struct confirmation {
    struct redis_call call;
    struct redis_node *node;
};

static struct redis_trip *next_unconfirmed(struct redis_node *node)
{
    return (struct redis_trip *)redis_queue_pop(&node->unconfirmed);
}

/* Answers come in order: what is unconfirmed now was sent before this WAIT. */
static void on_confirmation(struct redis_call *call, struct redisReply *reply)
{
    struct redis_node *node = ((struct confirmation *)call)->node;
    struct redis_trip *trip;
    bool ok = reply && reply->type == REDIS_REPLY_INTEGER &&
              reply->integer >= node->wait;
    char why[256];
    if (reply && !ok)
        err_set(ERR_STORE, "redis: %lld of %u replicas have the commit",
                reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0,
                node->wait);
    snprintf(why, sizeof why, "%s", err_text());
    for (unsigned n = node->unconfirmed.count; n; n--) {
        trip = next_unconfirmed(node);
        err_set(ERR_STORE, "%s", why);
        trip->on_answer(trip, ok ? reply : NULL);
    }
    free(call);
}

static void before_flush(struct redis_link *link)
{
    struct redis_node *node = link->settings->owner;
    char wait[16], msec[16];
    if (!node->wrote || link != node->writes)
        return;
    struct confirmation *c = calloc(1, sizeof *c);
    if (!c)
        return; /* the next turn may have memory; deadlines hold anyway */
    c->node = node;
    c->call.on_reply = on_confirmation;
    snprintf(wait, sizeof wait, "%u", node->wait);
    snprintf(msec, sizeof msec, "%d", WAIT_MSEC);
    struct slice words[] = { SLICE("WAIT"), slice_str(wait), slice_str(msec) };
    node->wrote = !redis_link_call(link, &c->call, words, 3);
    if (node->wrote)
        free(c);
}

static void fail_unconfirmed(struct redis_node *node)
{
    struct redis_trip *trip;
    while ((trip = next_unconfirmed(node))) {
        err_set(ERR_STORE, "redis went away before its replicas answered");
        trip->on_answer(trip, NULL);
    }
}

static enum err start(struct redis_node *node, uv_loop_t *loop,
                      struct redis_link **out)
{
    *out = malloc(sizeof **out);
    if (!*out)
        return err_set(ERR_NOMEM, "no memory");
    redis_link_start(*out, loop, &node->settings);
    return OK;
}

enum err redis_node_init(struct redis_node *node, uv_loop_t *loop,
                         const struct redis_link_settings *settings,
                         unsigned wait)
{
    node->settings = *settings;
    node->settings.owner = node;
    node->settings.before_flush = wait ? before_flush : NULL;
    node->wait = wait;
    enum err e = start(node, loop, &node->reads);
    node->writes = node->reads;
    if (!e && wait)
        e = start(node, loop, &node->writes);
    return e;
}

void redis_node_fini(struct redis_node *node)
{
    if (node->writes && node->writes != node->reads)
        redis_link_close(node->writes);
    if (node->reads)
        redis_link_close(node->reads);
    fail_unconfirmed(node);
}

static void on_asking(struct redis_call *call, struct redisReply *reply)
{
    (void)call; /* what comes behind it tells */
    (void)reply;
}

bool redis_node_send(struct redis_node *node, struct redis_trip *trip)
{
    struct redis_link *link = trip->writes ? node->writes : node->reads;
    trip->node = node;
    trip->asking.on_reply = on_asking;
    if (trip->asks &&
        !redis_link_call(link, &trip->asking, &SLICE("ASKING"), 1))
        return false;
    node->wrote |= trip->writes && node->wait;
    bool sent = trip->send(trip, link);
    if (trip->asks && !sent)
        redis_link_fail(link); /* ASKING is on its way, and part of trip */
    trip->asks = false;
    return sent;
}

bool redis_node_confirm(struct redis_node *node, struct redis_trip *trip)
{
    if (!node->wait || !trip->writes)
        return false;
    redis_queue_push(&node->unconfirmed, &trip->call);
    return true;
}

void redis_node_drain(struct redis_node *node)
{
    redis_link_drain(node->reads);
    if (node->writes != node->reads)
        redis_link_drain(node->writes);
}

void redis_node_demote(struct redis_node *node, const char *why)
{
    err_set(ERR_CONNECT, "%s", why);
    redis_link_fail(node->reads);
    if (node->writes == node->reads)
        return;
    err_set(ERR_CONNECT, "%s", why);
    redis_link_fail(node->writes);
}
