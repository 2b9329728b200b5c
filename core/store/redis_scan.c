/* redis_scan.c -- keys of a prefix, as far as one step through Redis goes.
 *
 * Redis has no order: where a scan goes on is "NODE:CURSOR", and a key may
 * come twice. */
#include "store/engine.h"
#include "store/redis.h"
#include "store/redis_key.h"
#include "store/redis_page.h"
#include <stdio.h>
#include <stdlib.h>

enum { LOOKS_MIN = 1000 };

struct scanning {
    struct redis_page page;
    struct redis_conn *conn;
    struct store_scan *scan;
    unsigned node;
    struct buf match;
};

static bool each(struct redis_page *page, struct slice key, struct slice record)
{
    struct scanning *s = page->user;
    if (slice_starts(key, s->scan->prefix))
        store_scanned(s->scan, key, record);
    return true;
}

static void on_done(struct redis_page *page, enum err e)
{
    struct scanning *s = page->user;
    struct store_scan *scan = s->scan;
    bool over = !strcmp(page->cursor, "0");
    unsigned node = s->node + over;
    scan->more = !over || redis_conn_node(s->conn, node);
    snprintf(scan->next, sizeof scan->next, "%u:%s", node, page->cursor);
    scan->result = e || buf_ok(&scan->keys) ? e : ERR_NOMEM;
    buf_free(&s->match);
    free(s);
    scan->on_done(scan);
}

/* "latchkey:user/{shop/" and whatever follows; what SCAN would take for a
 * pattern stands for itself. */
static void make_match(struct buf *out, struct slice prefix)
{
    struct buf name = { 0 };
    redis_key_name(prefix, &name);
    if (slice_find(prefix, '/') < prefix.len)
        name.len--; /* the brace that ends it */
    for (size_t i = 0; i < name.len; i++) {
        if (strchr("*?[]\\", name.data[i]))
            buf_add_char(out, '\\');
        buf_add_char(out, name.data[i]);
    }
    buf_add_char(out, '*');
    buf_free(&name);
}

/* What is no position is the beginning. */
static void read_position(struct scanning *s, struct slice after)
{
    char text[STORE_POSITION];
    unsigned long long cursor = 0;
    snprintf(text, sizeof text, "%.*s", SLICE_FMT(after));
    if (sscanf(text, "%u:%llu", &s->node, &cursor) != 2)
        s->node = 0;
    snprintf(s->page.cursor, sizeof s->page.cursor, "%llu", cursor);
}

static enum err start(struct scanning *s)
{
    struct redis_node *node = redis_conn_node(s->conn, s->node);
    if (!node)
        return OK; /* there are fewer of them now */
    make_match(&s->match, s->scan->prefix);
    s->page.link = node->reads;
    s->page.match = buf_slice(&s->match);
    s->page.looks = s->scan->max > LOOKS_MIN ? s->scan->max : LOOKS_MIN;
    s->page.heads = true;
    s->page.each = each;
    s->page.on_done = on_done;
    s->page.user = s;
    return redis_page_start(&s->page) ? PENDING : ERR_STORE;
}

enum err redis_scan(struct redis_conn *conn, struct store_scan *scan)
{
    struct scanning *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(ERR_NOMEM, "no memory");
    s->conn = conn;
    s->scan = scan;
    read_position(s, scan->after);
    enum err e = start(s);
    if (e == PENDING)
        return PENDING;
    buf_free(&s->match);
    free(s);
    return e;
}
