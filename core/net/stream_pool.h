/* stream_pool.h -- idle connections kept for the next user, by key, and who
 * waits for one where their number is limited.
 *
 * A pool counts its connections: the idle ones, those in use that were made
 * with it, and whoever waits for one.  It goes when none is left. */
#pragma once
#include "base/table.h"
#include "net/stream.h"

struct stream_pools {
    uv_loop_t *loop;
    struct table pools; /* key to struct stream_pool */
};

/* Waits in a pool's queue; the user's memory. */
struct stream_turn {
    struct stream_pool *pool;
    struct stream_turn *next, **prev;
    void (*granted)(struct stream_turn *turn); /* must not wait or leave */
};

struct stream_pool {
    struct stream_pools *all;
    struct slice key;
    unsigned size, connections;
    int backlog; /* so many may wait for a connection; -1: no limit */
    unsigned idle_count;
    struct stream *idle; /* the one used last comes first */
    struct stream_turn *first, **last;
};

/* Closes what is idle.  Nobody waits or uses one any more. */
void stream_pools_fini(struct stream_pools *all);

/* The pool of that name, or NULL. */
struct stream_pool *stream_pool_find(struct stream_pools *all,
                                     struct slice key);

/* A new one; NULL: no memory.  It goes with its last connection, so the
 * caller adds one. */
struct stream_pool *stream_pool_new(struct stream_pools *all, struct slice key,
                                    unsigned size, int backlog);

/* An idle connection, which stays counted, or NULL. */
struct stream *stream_pool_take(struct stream_pool *pool);

/* Counts one connection more, which the caller makes.  PENDING: it has to
 * wait until it is granted its turn; ERR_TOO_LARGE: too many wait. */
enum err stream_pool_join(struct stream_pool *pool, struct stream_turn *turn);

/* Out of the queue before its turn, and not counted any more. */
void stream_pool_withdraw(struct stream_turn *turn);

/* One connection less; the next in the queue gets its turn.  The pool may be
 * gone then. */
void stream_pool_leave(struct stream_pool *pool);

/* Keeps s, for msec milliseconds (0: for ever), and closes the one used the
 * longest ago where there are too many; counted: s was, before.  False: s was
 * at its end, and is closed. */
bool stream_pool_keep(struct stream_pool *pool, struct stream *s, uint64_t msec,
                      bool counted);
