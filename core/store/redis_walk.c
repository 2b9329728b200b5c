/* redis_walk.c -- all records of a Redis, one node after the other. */
#include "store/redis.h"
#include "store/redis_key.h"
#include "store/redis_loop.h"
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

/* What is on its way: a page of keys, then a GET for each of them. */
struct page {
    struct redis_link *link;
    struct store_walk *walk;
    struct redis_call scan;
    char cursor[32];
    struct buf key;
    unsigned pending;
    bool stop, failed;
    char why[256];
};

struct fetch {
    struct redis_call call;
    struct page *page;
    struct buf name;
};

static void give_up(struct page *p)
{
    if (!p->failed)
        snprintf(p->why, sizeof p->why, "%s", err_text());
    p->failed = p->stop = true;
}

static void on_record(struct redis_call *call, struct redisReply *reply)
{
    struct fetch *f = (struct fetch *)call;
    struct page *p = f->page;
    p->pending--;
    buf_clear(&p->key);
    if (!reply)
        give_up(p);
    else if (!p->stop && reply->type == REDIS_REPLY_STRING &&
             redis_key_read(buf_slice(&f->name), &p->key) && buf_ok(&p->key))
        p->stop = !p->walk->each(p->walk, buf_slice(&p->key),
                                 SLICE_OF(reply->str, reply->len));
    buf_free(&f->name);
    free(f);
}

static bool fetch(struct page *p, const struct redisReply *name)
{
    struct fetch *f = calloc(1, sizeof *f);
    if (!f || name->type != REDIS_REPLY_STRING) {
        free(f);
        return err_set(ERR_STORE, "redis: no page of keys") == OK;
    }
    f->page = p;
    f->call.on_reply = on_record;
    buf_add(&f->name, SLICE_OF(name->str, name->len));
    struct slice words[] = { SLICE("GET"), buf_slice(&f->name) };
    if (redis_link_call(p->link, &f->call, words, 2)) {
        p->pending++;
        return true;
    }
    buf_free(&f->name);
    free(f);
    return false;
}

static void on_page(struct redis_call *call, struct redisReply *reply)
{
    struct page *p =
        (struct page *)((char *)call - offsetof(struct page, scan));
    p->pending--;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !reply->element[0]->str) {
        if (reply)
            err_set(ERR_STORE, "redis: %s",
                    reply->str ? reply->str : "no page of keys");
        give_up(p);
        return;
    }
    snprintf(p->cursor, sizeof p->cursor, "%s", reply->element[0]->str);
    const struct redisReply *names = reply->element[1];
    for (size_t i = 0; i < names->elements && !p->failed; i++)
        if (!fetch(p, names->element[i]))
            give_up(p);
}

static enum err walk_node(struct redis_loop *loop, struct redis_node *node,
                          struct store_walk *walk, bool *stop)
{
    struct page p = { .link = node->reads, .walk = walk, .cursor = "0" };
    do {
        struct slice words[] = { SLICE("SCAN"),  slice_str(p.cursor),
                                 SLICE("MATCH"), SLICE("latchkey:*"),
                                 SLICE("COUNT"), SLICE("500") };
        p.scan = (struct redis_call){ .on_reply = on_page };
        if (redis_link_call(p.link, &p.scan, words, 6))
            p.pending++;
        else
            give_up(&p);
        while (p.pending)
            uv_run(&loop->loop, UV_RUN_ONCE);
    } while (!p.stop && strcmp(p.cursor, "0"));
    buf_free(&p.key);
    *stop = p.stop;
    return p.failed ? err_set(ERR_STORE, "%s", p.why) : OK;
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
