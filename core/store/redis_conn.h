/* redis_conn.h -- a thread's way to Redis: finds who holds a key, sends, and
 * sends again where it was told of another place.  The loop's thread only. */
#pragma once
#include "store/redis_node.h"

struct redis_conn_settings {
    struct redis_url url;
    SSL_CTX *tls;
    const char *script, *digest;    /* as in redis_link.h */
    void (*on_failure)(void *user); /* of a connection; err_text() says why */
    /* What redis_conn_state says has changed, from PENDING on; or NULL. */
    void (*on_state)(void *user, enum err before, enum err now);
    void (*on_records)(void *user, uint64_t n); /* now and then */
    void *user;
};

/* settings outlive the conn.  ERR_NOMEM. */
enum err redis_conn_new(struct redis_conn **out, uv_loop_t *loop,
                        const struct redis_conn_settings *settings);

/* Answers what is pending, then closes; the loop must run once more. */
void redis_conn_free(struct redis_conn *conn);

/* Whether commands would be sent: OK; PENDING, it connects; ERR_CONNECT; or
 * ERR_REFUSED, by the server's word or for its certificate. */
enum err redis_conn_state(const struct redis_conn *conn);

/* PENDING, and on_answer comes; ERR_STORE at once, err_text() says why.  slot,
 * writes, send and on_answer are set, the rest is zeroed. */
enum err redis_conn_send(struct redis_conn *conn, struct redis_trip *trip);

/* Appends the name that Redis has for a key; the slot of it in a cluster. */
uint16_t redis_conn_key(const struct redis_conn *conn, struct slice key,
                        struct buf *out);

/* settings->user */
void *redis_conn_user(const struct redis_conn *conn);

/* All that hold records, for (i = 0; (node = redis_conn_node(conn, i)); i++);
 * NULL where none is left. */
struct redis_node *redis_conn_node(struct redis_conn *conn, unsigned i);
