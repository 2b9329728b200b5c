/* store_fixture.h -- what the store's tests share: a store in a folder of its
 * own, a loop, a conn, and calls that wait for their answer. */
#pragma once
#include "crypto/seal_keys.h"
#include "store/store.h"
#include "unit.h"
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    char dir[64], url[128], master[128];
    struct seal_keys *keys;
    struct store *store;
    uv_loop_t loop;
    struct store_conn *conn;
};

static inline void fixture_open(struct fixture *f)
{
    assert_int_equal(seal_keys_load(&f->keys, f->master, true), OK);
    assert_int_equal(store_open(&f->store, f->url, f->keys), OK);
    uv_loop_init(&f->loop);
    assert_int_equal(store_attach(f->store, &f->loop, &f->conn), OK);
}

/* What follows the engine's name in the URL is the fixture's, except for
 * Redis: there engine is the URL. */
static inline void fixture_init(struct fixture *f, const char *engine)
{
    snprintf(f->dir, sizeof f->dir, "/tmp/test-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->master, sizeof f->master, "file:%s/master.key", f->dir);
    if (!strcmp(engine, "memory"))
        snprintf(f->url, sizeof f->url, "memory:");
    else if (strchr(engine, ':'))
        snprintf(f->url, sizeof f->url, "%s", engine);
    else
        snprintf(f->url, sizeof f->url, "%s:%s/store", engine, f->dir);
    fixture_open(f);
}

static inline void fixture_detach(struct fixture *f)
{
    store_detach(f->conn);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static inline void fixture_close(struct fixture *f)
{
    fixture_detach(f);
    store_close(f->store);
    seal_keys_free(f->keys);
}

static inline void fixture_fini(struct fixture *f)
{
    fixture_close(f);
    static const char *const made[] = { "/store/data.mdb", "/store/lock.mdb",
                                        "/store/lock",     "/store",
                                        "/master.key",     "" };
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", f->dir, made[i]);
        remove(path);
    }
    assert_int_not_equal(access(f->dir, F_OK), 0);
}

static inline void fixture_answered(struct store_commit *commit)
{
    *(bool *)commit->user = true;
}

/* Puts the writes and runs the loop until the answer. */
static inline enum err
fixture_commit(struct fixture *f, struct store_write *writes, unsigned count)
{
    bool done = false;
    struct store_commit c = { .writes = writes,
                              .count = count,
                              .on_done = fixture_answered,
                              .user = &done };
    enum err e = store_put(f->conn, &c);
    if (e != PENDING)
        return e;
    uv_run(&f->loop, UV_RUN_DEFAULT); /* ends: nothing else is pending */
    assert_true(done);
    return c.result;
}

static inline enum err fixture_put(struct fixture *f, const char *key,
                                   const char *value, uint64_t expires)
{
    struct store_write w = { .key = slice_str(key),
                             .value = slice_str(value),
                             .expires = expires };
    return fixture_commit(f, &w, 1);
}

static inline void fixture_spun(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
}

/* Lets the loop turn for so many milliseconds. */
static inline void fixture_spin(struct fixture *f, unsigned msec)
{
    uv_timer_t timer;
    uv_timer_init(&f->loop, &timer);
    uv_timer_start(&timer, fixture_spun, msec, 0);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static inline void fixture_read(struct store_read *read)
{
    *(bool *)read->user = true;
}

/* Gets, and runs the loop until the answer where it does not come at once. */
static inline enum err fixture_get(struct fixture *f, struct store_read *read)
{
    bool done = false;
    read->on_done = fixture_read;
    read->user = &done;
    enum err e = store_get(f->conn, read);
    if (e != PENDING)
        return e;
    assert_true(store_waits(f->conn));
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(done);
    return read->result;
}

/* Is this what lies under key?  value NULL: nothing does. */
static inline bool fixture_holds(struct fixture *f, const char *key,
                                 const char *value)
{
    struct store_read r = { .key = slice_str(key) };
    enum err e = fixture_get(f, &r);
    bool same = value ? !e && slice_eq(buf_slice(&r.value), slice_str(value))
                      : e == ERR_NOT_FOUND;
    buf_wipe(&r.value);
    return same;
}

static inline uint64_t fixture_version(struct fixture *f, const char *key)
{
    struct store_read r = { .key = slice_str(key) };
    assert_int_equal(fixture_get(f, &r), OK);
    buf_wipe(&r.value);
    return r.mark.version;
}
