/* records_batch.c -- many records into a store, some hundred in a commit. */
#include "records_batch.h"
#include "crypto/secret.h"

static void on_done(struct store_commit *commit)
{
    (void)commit; /* the loop ends, as nothing else is pending */
}

static enum err commit(struct records_batch *b, struct store_write *writes,
                       unsigned count)
{
    struct store_commit c = { .writes = writes,
                              .count = count,
                              .on_done = on_done };
    enum err e =
        writes->check ? store_put(b->conn, &c) : store_restore(b->conn, &c);
    if (e != PENDING)
        return e;
    uv_run(&b->loop, UV_RUN_DEFAULT);
    if (!c.result)
        b->done += count;
    return c.result;
}

/* Someone else wrote one of them: each alone, and that one not. */
static enum err commit_singly(struct records_batch *b)
{
    enum err e = OK;
    for (unsigned i = 0; i < b->count && (!e || e == ERR_CONFLICT); i++)
        e = commit(b, &b->writes[i], 1);
    return e == ERR_CONFLICT ? OK : e;
}

enum err records_batch_flush(struct records_batch *b)
{
    enum err e = b->count ? commit(b, b->writes, b->count) : OK;
    if (e == ERR_CONFLICT)
        e = commit_singly(b);
    for (unsigned i = 0; i < b->count; i++)
        secret_wipe((void *)(uintptr_t)b->writes[i].value.data,
                    b->writes[i].value.len);
    b->count = 0;
    b->bytes = 0;
    arena_reset(&b->arena);
    return e;
}

enum err records_batch_add(struct records_batch *b, struct slice key,
                           struct slice value, uint64_t expect,
                           uint64_t expires)
{
    b->writes[b->count] =
        (struct store_write){ .key = arena_dup(&b->arena, key),
                              .value = arena_dup(&b->arena, value),
                              .check = expect != 0,
                              .expect = expect,
                              .expires = expires };
    struct store_write *w = &b->writes[b->count++];
    if (!w->key.data || !w->value.data)
        return err_set(ERR_NOMEM, "no memory");
    b->bytes += value.len;
    bool full = b->count == RECORDS_BATCH || b->bytes > RECORDS_BATCH_BYTES;
    return full ? records_batch_flush(b) : OK;
}

enum err records_batch_open(struct records_batch *b, const char *url,
                            struct seal_keys *keys)
{
    enum err e = store_open(&b->store, url, keys);
    if (e)
        return e;
    uv_loop_init(&b->loop);
    return store_attach(b->store, &b->loop, &b->conn);
}

void records_batch_close(struct records_batch *b)
{
    if (!b->store)
        return;
    store_detach(b->conn);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    uv_loop_close(&b->loop);
    store_close(b->store);
    arena_free(&b->arena);
}
