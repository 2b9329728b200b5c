/* redis_page.c -- one step through the keys of a Redis. */
#include "store/redis_page.h"
#include "store/record.h"
#include "store/redis_key.h"
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

struct fetch {
    struct redis_call call;
    struct redis_page *page;
    struct buf name;
};

static void fetch_free(struct fetch *f)
{
    buf_free(&f->name);
    free(f);
}

static void give_up(struct redis_page *p)
{
    if (!*p->why)
        snprintf(p->why, sizeof p->why, "%s", err_text());
    p->stop = true;
}

static void settle(struct redis_page *p)
{
    if (p->pending)
        return;
    buf_free(&p->key);
    p->on_done(p, *p->why ? err_set(ERR_STORE, "%s", p->why) : OK);
}

static void on_record(struct redis_call *call, struct redisReply *reply)
{
    struct fetch *f = (struct fetch *)call;
    struct redis_page *p = f->page;
    buf_clear(&p->key);
    if (!reply)
        give_up(p);
    else if (!p->stop && reply->type == REDIS_REPLY_STRING && reply->len &&
             redis_key_read(buf_slice(&f->name), &p->key) && buf_ok(&p->key))
        p->stop =
            !p->each(p, buf_slice(&p->key), SLICE_OF(reply->str, reply->len));
    fetch_free(f);
    p->pending--;
    settle(p);
}

static bool fetch(struct redis_page *p, const struct redisReply *name)
{
    struct slice words[] = { SLICE("GET"), SLICE_NONE, SLICE("0"),
                             SLICE("16") };
    struct fetch *f = calloc(1, sizeof *f);
    if (!f) {
        err_set(ERR_NOMEM, "no memory");
        return false;
    }
    f->page = p;
    f->call.on_reply = on_record;
    buf_add(&f->name, SLICE_OF(name->str, name->len));
    words[1] = buf_slice(&f->name);
    if (p->heads)
        words[0] = SLICE("GETRANGE");
    if (!redis_link_call(p->link, &f->call, words, p->heads ? 4 : 2)) {
        fetch_free(f);
        return false;
    }
    p->pending++;
    return true;
}

static bool is_page(const struct redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           reply->element[0]->str &&
           reply->element[1]->type == REDIS_REPLY_ARRAY;
}

static void on_names(struct redis_call *call, struct redisReply *reply)
{
    struct redis_page *p =
        (struct redis_page *)((char *)call - offsetof(struct redis_page, call));
    if (reply && is_page(reply)) {
        const struct redisReply *names = reply->element[1];
        snprintf(p->cursor, sizeof p->cursor, "%s", reply->element[0]->str);
        for (size_t i = 0; i < names->elements && !*p->why; i++)
            if (!fetch(p, names->element[i]))
                give_up(p);
    } else {
        if (reply)
            err_set(ERR_STORE, "redis: %s",
                    reply->str ? reply->str : "no page of keys");
        give_up(p);
    }
    p->pending--;
    settle(p);
}

bool redis_page_start(struct redis_page *p)
{
    char looks[16];
    snprintf(looks, sizeof looks, "%u", p->looks);
    struct slice words[] = { SLICE("SCAN"),  slice_str(p->cursor),
                             SLICE("MATCH"), p->match,
                             SLICE("COUNT"), slice_str(looks) };
    p->call = (struct redis_call){ .on_reply = on_names };
    p->pending = 1;
    return redis_link_call(p->link, &p->call, words, 6);
}
