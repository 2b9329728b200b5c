/* redis_loop.h -- a conn on a loop of its own, for who may block: the start,
 * and commands. */
#pragma once
#include "store/redis_conn.h"

struct redis_loop {
    uv_loop_t loop;
    uv_timer_t tick;
    struct redis_conn *conn; /* or NULL */
};

/* Waits until the conn is ready, three seconds at most.  PENDING or as
 * redis_conn_state: it is not.  redis_loop_close in any case. */
enum err redis_loop_open(struct redis_loop *l,
                         const struct redis_conn_settings *settings);
void redis_loop_close(struct redis_loop *l);
