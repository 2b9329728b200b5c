/* redis_loop.c -- a conn on a loop of its own, for who may block. */
#include "store/redis_loop.h"

enum { TICK_MSEC = 10, START_MSEC = 3000 };

static void on_tick(uv_timer_t *timer)
{
    (void)timer; /* the loop turns */
}

enum err redis_loop_open(struct redis_loop *l,
                         const struct redis_conn_settings *settings)
{
    uv_loop_init(&l->loop);
    uv_timer_init(&l->loop, &l->tick);
    uv_timer_start(&l->tick, on_tick, TICK_MSEC, TICK_MSEC);
    enum err e = redis_conn_new(&l->conn, &l->loop, settings);
    uint64_t end = uv_now(&l->loop) + START_MSEC;
    while (l->conn && uv_now(&l->loop) < end) {
        e = redis_conn_state(l->conn);
        if (e != PENDING)
            break;
        uv_run(&l->loop, UV_RUN_ONCE);
    }
    return e;
}

void redis_loop_close(struct redis_loop *l)
{
    if (l->conn)
        redis_conn_free(l->conn);
    uv_close((uv_handle_t *)&l->tick, NULL);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    uv_loop_close(&l->loop);
}
