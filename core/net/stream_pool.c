/* stream_pool.c -- idle connections kept for the next user. */
#include "net/stream_pool.h"
#include "base/log.h"
#include <stdlib.h>

static void drop_pool(struct stream_pool *pool)
{
    if (log_enabled(LOG_DEBUG))
        log_write(LOG_DEBUG,
                  "lua tcp socket keepalive: free connection pool for \"%.*s\"",
                  SLICE_FMT(pool->key));
    table_remove(&pool->all->pools, pool->key);
    free((char *)(uintptr_t)pool->key.data);
    free(pool);
}

static void unlink_idle(struct stream *s)
{
    *s->prev = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->pool->idle_count--;
    s->pool = NULL;
    stream_unwait(s, STREAM_IN);
    uv_timer_stop(&s->timer);
}

void stream_pools_fini(struct stream_pools *all)
{
    void *value;
    for (size_t i = 0; table_next(&all->pools, &i, &value);) {
        struct stream_pool *pool = value;
        while (pool->idle) {
            struct stream *s = pool->idle;
            unlink_idle(s);
            stream_close(s);
        }
        free((char *)(uintptr_t)pool->key.data);
        free(pool);
    }
    table_free(&all->pools);
}

struct stream_pool *stream_pool_find(struct stream_pools *all, struct slice key)
{
    return table_get(&all->pools, key);
}

struct stream_pool *stream_pool_new(struct stream_pools *all, struct slice key,
                                    unsigned size, int backlog)
{
    struct stream_pool *pool = calloc(1, sizeof *pool);
    char *name = malloc(key.len + 1);
    if (pool && name) {
        memcpy(name, key.data, key.len);
        *pool = (struct stream_pool){ .all = all,
                                      .key = SLICE_OF(name, key.len),
                                      .size = size,
                                      .backlog = backlog,
                                      .last = &pool->first };
        if (table_put(&all->pools, pool->key, pool))
            return pool;
    }
    free(name);
    free(pool);
    return NULL;
}

static void dequeue(struct stream_turn *turn)
{
    *turn->prev = turn->next;
    if (turn->next)
        turn->next->prev = turn->prev;
    else
        turn->pool->last = turn->prev;
}

/* The first in the queue goes on, and is counted still. */
static void grant(struct stream_pool *pool)
{
    struct stream_turn *turn = pool->first;
    if (!turn)
        return;
    dequeue(turn);
    turn->granted(turn);
}

void stream_pool_leave(struct stream_pool *pool)
{
    pool->connections--;
    if (pool->first)
        grant(pool);
    else if (!pool->connections)
        drop_pool(pool);
}

static void close_idle(struct stream *s)
{
    struct stream_pool *pool = s->pool;
    unlink_idle(s);
    stream_close(s);
    stream_pool_leave(pool);
}

static void on_idle_timer(uv_timer_t *timer)
{
    if (log_enabled(LOG_DEBUG))
        log_write(LOG_DEBUG, "lua tcp socket keepalive max idle timeout");
    close_idle(timer->data);
}

static void on_idle_input(void *user)
{
    struct stream *s = user;
    if (stream_is_stale(s))
        close_idle(s);
    else
        stream_wait(s, STREAM_IN, on_idle_input, s);
}

struct stream *stream_pool_take(struct stream_pool *pool)
{
    struct stream *s = pool->idle;
    if (!s)
        return NULL;
    unlink_idle(s);
    s->reused++;
    return s;
}

enum err stream_pool_join(struct stream_pool *pool, struct stream_turn *turn)
{
    unsigned n = pool->connections + 1;
    if (pool->backlog >= 0 && n > pool->size + (unsigned)pool->backlog)
        return ERR_TOO_LARGE;
    pool->connections = n;
    if (pool->backlog < 0 || n <= pool->size)
        return OK;
    turn->pool = pool;
    turn->next = NULL;
    turn->prev = pool->last;
    *pool->last = turn;
    pool->last = &turn->next;
    return PENDING;
}

void stream_pool_withdraw(struct stream_turn *turn)
{
    dequeue(turn);
    turn->pool->connections--;
}

static struct stream *oldest(const struct stream_pool *pool)
{
    struct stream *s = pool->idle;
    while (s->next)
        s = s->next;
    return s;
}

bool stream_pool_keep(struct stream_pool *pool, struct stream *s, uint64_t msec,
                      bool counted)
{
    if (!counted)
        pool->connections++;
    if (pool->idle_count >= pool->size)
        close_idle(oldest(pool));
    if (stream_is_stale(s)) {
        stream_close(s);
        stream_pool_leave(pool);
        return false;
    }
    buf_free(&s->in);
    s->at = 0;
    s->next = pool->idle;
    s->prev = &pool->idle;
    if (s->next)
        s->next->prev = &s->next;
    pool->idle = s;
    pool->idle_count++;
    s->pool = pool;
    stream_wait(s, STREAM_IN, on_idle_input, s);
    if (msec)
        uv_timer_start(&s->timer, on_idle_timer, msec, 0);
    grant(pool);
    return true;
}
