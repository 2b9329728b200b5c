/* redis_trip.h -- a command on its way, embedded in whatever it is for. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct redisReply;
struct redis_conn;
struct redis_link;
struct redis_node;

/* Over one connection. */
struct redis_call {
    struct redis_call *next;
    uint64_t deadline; /* of the loop's clock */
    /* reply lives until this returns.  NULL: none came, err_text() says why,
     * and Redis may or may not have done it. */
    void (*on_reply)(struct redis_call *call, struct redisReply *reply);
};

/* To whoever holds the slot: written anew each time that it is sent. */
struct redis_trip {
    struct redis_call call;
    struct redis_conn *conn;
    struct redis_node *node;
    uint16_t slot;  /* of a cluster; else 0 */
    bool writes;    /* must reach the replicas that the URL asks for */
    bool text;      /* the script goes as text: Redis has forgotten it */
    unsigned tries; /* times sent again */
    bool asks;      /* its slot is moving: ASKING goes before it */
    struct redis_call asking;
    bool (*send)(struct redis_trip *trip, struct redis_link *link);
    /* As redis_call's.  Never told of other places, and a commit that did
     * not reach the replicas has no reply. */
    void (*on_answer)(struct redis_trip *trip, struct redisReply *reply);
};
