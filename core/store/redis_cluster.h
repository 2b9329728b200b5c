/* redis_cluster.h -- who holds which slot, as one thread knows it.
 *
 * The map is asked for at the beginning, when a node says that a slot has
 * moved, and once a second while a node is away.  The loop's thread only. */
#pragma once
#include "store/redis_conn.h"

struct redis_cluster;

/* link: of each node.  ERR_NOMEM. */
enum err redis_cluster_new(struct redis_cluster **out, struct redis_conn *conn,
                           uv_loop_t *loop,
                           const struct redis_link_settings *link,
                           const struct redis_url *url);

/* Sends to the slot's holder, or keeps the trip until the first map is there.
 * False: at once, err_text() says why. */
bool redis_cluster_send(struct redis_cluster *c, struct redis_trip *trip);

/* The node that "MOVED slot host:port" or "ASK slot host:port" names, where
 * from said so; NULL: it makes no sense.  A move is noted. */
struct redis_node *redis_cluster_redirect(struct redis_cluster *c,
                                          struct redis_node *from,
                                          const char *error);

/* The nodes, for (i = 0; (node = redis_cluster_at(c, i)); i++). */
struct redis_node *redis_cluster_at(struct redis_cluster *c, unsigned i);

/* Once a second: asks again where it must, closes what holds nothing. */
void redis_cluster_pulse(struct redis_cluster *c);

/* As redis_conn_state. */
enum err redis_cluster_state(const struct redis_cluster *c);

/* Answers what is pending, as redis_link_drain. */
void redis_cluster_drain(struct redis_cluster *c);

/* NULL is fine. */
void redis_cluster_free(struct redis_cluster *c);
