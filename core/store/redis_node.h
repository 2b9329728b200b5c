/* redis_node.h -- one Redis that holds records, and the commands to it.
 *
 * Where commits wait for replicas (?wait=N) they have a connection of their
 * own, as WAIT holds up all that is sent behind it.  One WAIT serves all
 * commits of a turn of the loop. */
#pragma once
#include "store/redis_link.h"

struct redis_node {
    struct redis_conn *conn;
    struct redis_address address; /* of a cluster's node */
    struct redis_link_settings settings;
    struct redis_link *reads, *writes; /* may be the same */
    struct redis_queue unconfirmed;    /* commits that are done here */
    unsigned wait;
    bool wrote; /* since the last WAIT */
    struct redis_call pulse;
    bool pulsing;
    uint64_t records;
};

/* settings without owner and before_flush, which are the node's. */
enum err redis_node_init(struct redis_node *node, uv_loop_t *loop,
                         const struct redis_link_settings *settings,
                         unsigned wait);

/* Fails what waits. */
void redis_node_fini(struct redis_node *node);

/* False: at once, err_text() says why.  on_reply gets the raw reply. */
bool redis_node_send(struct redis_node *node, struct redis_trip *trip);

/* Keeps a commit that is done back until the replicas have it; its on_answer
 * comes then.  False: nothing is asked for. */
bool redis_node_confirm(struct redis_node *node, struct redis_trip *trip);

/* Without the loop, as redis_link_drain. */
void redis_node_drain(struct redis_node *node);

/* Drops the connections: it is not the master any more. */
void redis_node_demote(struct redis_node *node, const char *why);
