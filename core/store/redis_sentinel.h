/* redis_sentinel.h -- asks Sentinels who the master is.
 *
 * They are asked one after the other, each time beginning with the one that
 * answered last.  The loop's thread only. */
#pragma once
#include "store/redis_conn.h"

struct redis_sentinel;

/* ERR_NOMEM. */
enum err redis_sentinel_new(struct redis_sentinel **out, uv_loop_t *loop,
                            const struct redis_conn_settings *settings);

/* Connects link to the master, or fails it.  Several links may ask. */
void redis_sentinel_ask(struct redis_sentinel *s, struct redis_link *link);

/* After all links that asked were closed.  NULL is fine. */
void redis_sentinel_free(struct redis_sentinel *s);
