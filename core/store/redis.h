/* redis.h -- records in Redis, for any number of nodes.
 *
 * Each thread has its own pipelined connection; what must be atomic is a
 * script (redis_commit.h).  A commit is answered when Redis has taken it: it
 * is as safe as Redis's appendfsync makes it, and a failover may lose it
 * unless the URL says ?wait=N. */
#pragma once
#include "store/redis_conn.h"
#include "store/store.h"

struct redis;

/* Asks whether the URL serves: ERR_STORE where it never will (password,
 * database, certificate), with a line for the operator.  Where Redis is merely
 * away that is logged, and the result is OK. */
enum err redis_open(struct redis **out, const char *url);

/* After the last conn. */
void redis_close(struct redis *r);

/* A connection for loop's thread; redis_conn_free ends it.  ERR_NOMEM. */
enum err redis_attach(struct redis *r, uv_loop_t *loop,
                      struct redis_conn **out);

/* PENDING, then on_record with OK, ERR_NOT_FOUND or ERR_STORE; or ERR_STORE
 * at once.  record lives until on_record returns. */
enum err redis_get(struct redis_conn *conn, struct store_read *read);

/* PENDING, then scan->on_done; or OK (nothing is left), ERR_STORE or ERR_NOMEM
 * at once. */
enum err redis_scan(struct redis_conn *conn, struct store_scan *scan);

/* As redis_commit_start; result is set and message.run called. */
enum err redis_put(struct redis_conn *conn, struct store_commit *c);

/* Any thread. */
void redis_stat(struct redis *r, struct store_stat *out);

/* As the URL says; they live as long as r. */
const struct redis_conn_settings *redis_settings(const struct redis *r);

/* As store_walk. */
enum err redis_walk(struct redis *r, struct store_walk *walk);
