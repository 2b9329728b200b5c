/* redis_walk.c -- all records of a Redis, one node after the other. */
#include "store/redis.h"
#include "store/redis_loop.h"
#include "store/redis_page.h"

enum { LOOKS = 500 };

struct walking {
    struct redis_page page;
    struct store_walk *walk;
    bool done;
    enum err result;
};

static bool each(struct redis_page *page, struct slice key, struct slice record)
{
    struct walking *w = page->user;
    return w->walk->each(w->walk, key, record);
}

static void on_done(struct redis_page *page, enum err e)
{
    struct walking *w = page->user;
    w->result = e;
    w->done = true;
}

static enum err walk_node(struct redis_loop *loop, struct redis_node *node,
                          struct store_walk *walk, bool *stop)
{
    struct walking w = { .walk = walk };
    w.page = (struct redis_page){ .link = node->reads,
                                  .match = SLICE("latchkey:*"),
                                  .looks = LOOKS,
                                  .cursor = "0",
                                  .each = each,
                                  .on_done = on_done,
                                  .user = &w };
    do {
        w.done = false;
        if (!redis_page_start(&w.page))
            return ERR_STORE;
        while (!w.done)
            uv_run(&loop->loop, UV_RUN_ONCE);
    } while (!w.page.stop && strcmp(w.page.cursor, "0"));
    *stop = w.page.stop;
    return w.result;
}

enum err redis_walk(struct redis *r, struct store_walk *walk)
{
    struct redis_loop loop;
    struct redis_node *node;
    bool stop = false;
    enum err e = redis_loop_open(&loop, redis_settings(r));
    if (e)
        e = err_set(ERR_STORE, "store: redis is away");
    for (unsigned i = 0; !e && !stop && (node = redis_conn_node(loop.conn, i));
         i++)
        e = walk_node(&loop, node, walk, &stop);
    redis_loop_close(&loop);
    return e;
}
