/* store.c -- opening, sealing, and the way to the engine and back. */
#include "store/store.h"
#include "base/clock.h"
#include "crypto/seal.h"
#include "crypto/secret.h"
#include "store/changes.h"
#include "store/faults.h"
#include "store/keys_record.h"
#include "store/record.h"
#include "store/redis.h"
#include "store/writer.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Shared: main holds a reference until store_close, each conn one. */
struct store {
    atomic_uint refs;
    atomic_bool closed;
    char scheme[24];
    struct redis *redis; /* NULL: what follows serves */
    const struct store_engine *engine;
    void *db;
    struct writer *writer;
    struct seal_keys *keys;
    struct changes changes;
};

struct store_conn {
    struct store *store;
    struct mailbox mailbox; /* where the writer answers */
    struct sealer *sealer;
    struct redis_conn *redis; /* NULL: what follows serves */
    void *reader;
    unsigned pending;   /* commits with the writer, */
    unsigned resealing; /* of these our own */
    bool closing;
};

enum { RESEALED_AT_ONCE = 16 }; /* by a conn */

static const struct store_engine *const engines[] = {
    &lmdb_engine,
    &memory_engine,
};

static void unref(struct store *s)
{
    if (atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    if (s->writer)
        writer_free(s->writer);
    if (s->db)
        s->engine->close(s->db);
    if (s->redis)
        redis_close(s->redis);
    seal_keys_free(s->keys);
    free(s);
}

static const struct store_engine *engine_of(struct slice scheme)
{
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
        if (slice_eq(scheme, slice_str(engines[i]->scheme)))
            return engines[i];
    return NULL;
}

static bool key_fits(struct slice key)
{
    return key.len > 0 && key.len <= STORE_KEY_MAX;
}

/* Appends the record of w to out and gives w its version. */
static enum err seal_write(struct sealer *sealer, struct store_write *w,
                           struct buf *out)
{
    if (!w->resealed)
        w->version = 0;
    while (!w->version)
        if (!secret_random(&w->version, sizeof w->version))
            return err_set(ERR_STORE, "store: no random numbers");
    size_t start = out->len;
    struct record_head head = { w->version, w->expires };
    enum err e = record_seal(sealer, w->key, head, w->value, out);
    w->record.len = out->len - start;
    return e;
}

static enum err check_writes(const struct store_commit *c, size_t *size)
{
    *size = 0;
    if (!c->count)
        return err_set(ERR_INVALID, "store: nothing to write");
    for (unsigned i = 0; i < c->count; i++) {
        if (!key_fits(c->writes[i].key))
            return err_set(ERR_INVALID, "store: a key has 1 to %d bytes",
                           STORE_KEY_MAX);
        if (c->writes[i].value.len > STORE_VALUE_MAX)
            return err_set(ERR_INVALID, "store: a value has at most %d bytes",
                           STORE_VALUE_MAX);
        if (!c->writes[i].remove)
            *size += RECORD_HEAD + SEAL_OVERHEAD + c->writes[i].value.len;
    }
    return OK;
}

/* All records of the commit, one after the other in c->sealed. */
static enum err seal_all(struct sealer *sealer, struct store_commit *c)
{
    size_t size;
    enum err e = check_writes(c, &size);
    if (e)
        return e;
    if (size && !buf_reserve(&c->sealed, size))
        return err_set(ERR_NOMEM, "no memory");
    for (unsigned i = 0; i < c->count; i++)
        if (!c->writes[i].remove &&
            (e = seal_write(sealer, &c->writes[i], &c->sealed)))
            return e;
    const char *at = c->sealed.data;
    for (unsigned i = 0; i < c->count; i++) {
        struct store_write *w = &c->writes[i];
        if (w->remove)
            continue;
        w->record.data = at;
        at += w->record.len;
    }
    return OK;
}

/* err_text() of an answer: what the writer noted on its own thread.  Redis's
 * is there already. */
static void set_text(struct store *s, enum err result)
{
    char why[256];
    if (result == ERR_CONFLICT) {
        err_set(result, "the record was changed meanwhile");
    } else if (result == ERR_STORE && s->writer) {
        writer_error(s->writer, why, sizeof why);
        err_set(result, "%s", why);
    } else if (result && result != ERR_STORE) {
        err_set(result, "%s", err_name(result));
    }
}

static void on_answer(struct message *message)
{
    struct store_commit *c = (struct store_commit *)message;
    struct store_conn *conn = c->conn;
    if (!conn->redis && !--conn->pending)
        uv_unref((uv_handle_t *)&conn->mailbox.async);
    buf_free(&c->sealed);
    set_text(conn->store, c->result);
    c->on_done(c);
}

static enum err post(struct store_conn *conn, struct store_commit *c)
{
    if (conn->redis)
        return redis_put(conn->redis, c);
    if (!writer_post(conn->store->writer, c))
        return ERR_CLOSED;
    if (!conn->pending++)
        uv_ref((uv_handle_t *)&conn->mailbox.async);
    return PENDING;
}

/* Records come as they were: sealed, with version and expiry. */
static enum err take_records(struct store_commit *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        struct store_write *w = &c->writes[i];
        struct record_head head;
        if (!key_fits(w->key) || !record_read_head(w->value, &head))
            return err_set(ERR_INVALID, "store: what is given is no record");
        w->record = w->value;
        w->version = head.version;
        w->expires = head.expires;
    }
    return OK;
}

static enum err put(struct store_conn *conn, struct store_commit *c,
                    bool sealed)
{
    c->sealed = (struct buf){ 0 };
    enum err e = ERR_CLOSED;
    if (conn->closing || conn->store->closed ||
        (e = sealed ? take_records(c) : seal_all(conn->sealer, c)))
        goto fail;
    c->message.run = on_answer;
    c->conn = conn;
    c->reply = &conn->mailbox;
    c->result = PENDING;
    e = post(conn, c);
    if (e == PENDING)
        return PENDING;

fail:
    buf_free(&c->sealed);
    if (e == ERR_CLOSED)
        err_set(e, "store: closed");
    return c->result = e;
}

/* ---- sealing anew what an older master key has sealed, as it is read ----- */

struct resealing {
    struct store_commit commit;
    struct store_write write;
    char key[STORE_KEY_MAX];
};

static void on_resealed(struct store_commit *c)
{
    c->conn->resealing--;
    free(c->user);
}

/* The record stays what it is, version and all, so that nobody who holds it
 * need look again; where it is changed meanwhile, that has sealed it. */
static void reseal(struct store_conn *conn, const struct store_read *read,
                   struct record_head head)
{
    struct resealing *r =
        conn->resealing < RESEALED_AT_ONCE ? calloc(1, sizeof *r) : NULL;
    if (!r)
        return; /* when it is read again */
    memcpy(r->key, read->key.data, read->key.len);
    r->write = (struct store_write){ .key = SLICE_OF(r->key, read->key.len),
                                     .value = buf_slice(&read->value),
                                     .expires = head.expires,
                                     .version = head.version,
                                     .check = true,
                                     .expect = head.version,
                                     .resealed = true };
    r->commit = (struct store_commit){
        .writes = &r->write, .count = 1, .on_done = on_resealed, .user = r
    };
    conn->resealing++;
    if (store_put(conn, &r->commit) == PENDING)
        r->write.value = SLICE_NONE; /* the caller's again; it is sealed */
    else
        on_resealed(&r->commit);
}

static enum err open_it(struct store_conn *conn, struct store_read *read,
                        struct slice record)
{
    struct record_head head;
    if (!record_read_head(record, &head))
        return err_set(ERR_STORE, "store: a record is of an unknown format");
    if (record_expired(head, clock_settled()))
        return ERR_NOT_FOUND;
    read->same = read->mark.version == head.version;
    read->mark.version = head.version;
    read->mark.expires = head.expires;
    if (read->same)
        return OK;
    if (read->value.cap < record.len)
        buf_wipe(&read->value); /* growing would leave its bytes about */
    enum err e = record_open(conn->sealer, read->key, record, &read->value);
    if (!e && !seal_is_newest(conn->store->keys, record_sealed(record)))
        reseal(conn, read, head);
    return e;
}

/* What is there and cannot be read never passes for what is not there. */
static enum err open_value(struct store_conn *conn, struct store_read *read,
                           struct slice record)
{
    enum err e = open_it(conn, read, record);
    if (e == ERR_STORE || e == ERR_CONFIG)
        faults_note(read->key, e);
    return e;
}

/* Whether nothing was written near the key since it was read.  If not, the
 * mark is made to count from now. */
static bool mark_stands(const struct changes *changes, struct store_read *read)
{
    struct store_mark *m = &read->mark;
    if (!m->version)
        m->bucket = changes_bucket(read->key);
    uint32_t count = changes_count(changes, m->bucket);
    bool stands = m->version && m->count == count &&
                  (!m->expires || clock_settled() < m->expires);
    m->count = count;
    return stands;
}

enum err store_put(struct store_conn *conn, struct store_commit *c)
{
    return put(conn, c, false);
}

enum err store_restore(struct store_conn *conn, struct store_commit *c)
{
    return put(conn, c, true);
}

/* Without Redis, what was read lately stands a while. */
static bool is_recent(const struct store_read *read)
{
    uint64_t now = clock_settled();
    const struct store_mark *m = &read->mark;
    return m->version && now <= (uint64_t)m->count + STORE_GRACE &&
           (!m->expires || now < m->expires);
}

static enum err settle_read(struct store_read *read, enum err e,
                            struct slice record)
{
    if (!e) {
        e = open_value(read->conn, read, record);
        read->mark.count = (uint32_t)clock_settled();
    } else if (e == ERR_STORE && is_recent(read)) {
        read->same = true;
        e = OK;
    }
    return read->result = e;
}

static void on_record(struct store_read *read, enum err e, struct slice record)
{
    settle_read(read, e, record);
    read->on_done(read);
}

static enum err get_afar(struct store_conn *conn, struct store_read *read)
{
    read->conn = conn;
    read->same = false;
    read->on_record = on_record;
    enum err e = redis_get(conn->redis, read);
    return e == PENDING ? read->result = e : settle_read(read, e, SLICE_NONE);
}

bool store_waits(const struct store_conn *conn)
{
    return conn->redis != NULL;
}

enum err store_get(struct store_conn *conn, struct store_read *read)
{
    struct slice record;
    buf_clear(&read->value);
    if (conn->closing)
        return read->result = err_set(ERR_CLOSED, "store: closed");
    if (!key_fits(read->key))
        return read->result =
                   err_set(ERR_INVALID, "store: a key has 1 to %d bytes",
                           STORE_KEY_MAX);
    if (conn->redis)
        return get_afar(conn, read);
    read->same = mark_stands(&conn->store->changes, read);
    if (read->same)
        return read->result = OK;
    read->result = conn->store->engine->get(conn->reader, read->key, &record);
    if (!read->result) {
        read->result = open_value(conn, read, record);
        conn->store->engine->release(conn->reader);
    }
    return read->result;
}

/* In scan->keys: [expires 8][length 2][key], as this machine writes numbers. */
enum { SCANNED = 8 + 2 };

static void add_key(struct store_scan *scan, struct slice key, uint64_t expires)
{
    uint16_t len = (uint16_t)key.len;
    buf_add(&scan->keys, SLICE_OF(&expires, 8));
    buf_add(&scan->keys, SLICE_OF(&len, 2));
    buf_add(&scan->keys, key);
}

void store_counted(struct store_scan *scan, struct slice at, bool counts)
{
    buf_clear(&scan->keys);
    add_key(scan, at, 0);
    scan->count += counts;
}

void store_scanned(struct store_scan *scan, struct slice key,
                   struct slice record)
{
    struct record_head head = { 0 };
    record_read_head(record, &head);
    if (scan->counts)
        store_counted(scan, key, head.expires > scan->beyond);
    else
        add_key(scan, key, head.expires);
}

bool store_scan_next(struct slice *keys, struct slice *key, uint64_t *expires)
{
    uint16_t len;
    if (keys->len < SCANNED)
        return false;
    memcpy(expires, keys->data, 8);
    memcpy(&len, keys->data + 8, 2);
    *key = SLICE_OF(keys->data + SCANNED, len);
    *keys = slice_from(*keys, SCANNED + len);
    return true;
}

enum err store_scan(struct store_conn *conn, struct store_scan *scan)
{
    buf_clear(&scan->keys);
    scan->more = false;
    scan->count = 0;
    if (conn->closing)
        return scan->result = err_set(ERR_CLOSED, "store: closed");
    if (!scan->max || scan->prefix.len > STORE_KEY_MAX ||
        scan->after.len > STORE_AFTER_MAX)
        return scan->result = err_set(ERR_INVALID, "store: no such scan");
    if (conn->redis)
        return scan->result = redis_scan(conn->redis, scan);
    scan->result = conn->store->engine->scan(conn->reader, scan);
    if (!scan->result && !buf_ok(&scan->keys))
        scan->result = err_set(ERR_NOMEM, "no memory");
    return scan->result;
}

enum err store_attach(struct store *s, uv_loop_t *loop, struct store_conn **out)
{
    struct store_conn *conn = calloc(1, sizeof *conn);
    enum err e = ERR_NOMEM;
    if (!conn || !(conn->sealer = sealer_new(s->keys)))
        goto fail;
    conn->store = s;
    if (s->redis)
        e = redis_attach(s->redis, loop, &conn->redis);
    else
        e = s->engine->reader_open(s->db, &conn->reader);
    if (e)
        goto fail;
    e = mailbox_init(&conn->mailbox, loop);
    if (e)
        goto fail;
    uv_unref((uv_handle_t *)&conn->mailbox.async);
    atomic_fetch_add(&s->refs, 1);
    *out = conn;
    return OK;

fail:
    if (conn && conn->reader)
        s->engine->reader_close(conn->reader);
    if (conn && conn->redis)
        redis_conn_free(conn->redis);
    if (conn)
        sealer_free(conn->sealer);
    free(conn);
    return e;
}

static void on_closed(uv_handle_t *handle)
{
    struct mailbox *mailbox = handle->data;
    free((char *)mailbox - offsetof(struct store_conn, mailbox));
}

void store_detach(struct store_conn *conn)
{
    if (!conn)
        return;
    conn->closing = true;
    if (conn->redis) {
        redis_conn_free(conn->redis);
    } else {
        writer_flush(conn->store->writer);
        conn->store->engine->reader_close(conn->reader);
    }
    mailbox_close(&conn->mailbox, on_closed);
    sealer_free(conn->sealer);
    unref(conn->store);
}

static enum err open_here(struct store *s, const char *url, bool to_read)
{
    struct slice scheme = slice_str(s->scheme);
    s->engine = engine_of(scheme);
    if (!s->engine || strlen(url) == scheme.len)
        return err_set(ERR_CONFIG,
                       "unknown store \"%s\": lmdb:DIR, redis://... or "
                       "memory: expected",
                       s->scheme); /* never the URL: passwords */
    url += scheme.len + 1;
    if (to_read)
        return s->engine->open_to_read(&s->db, url);
    enum err e = s->engine->open(&s->db, url);
    if (!e && s->engine->has_seal)
        e = keys_record_settle(s->engine, s->db, s->keys);
    return e ? e : writer_start(&s->writer, s->engine, s->db, &s->changes);
}

static enum err open_any(struct store **out, const char *url,
                         struct seal_keys *keys, bool to_read)
{
    struct slice text = slice_str(url);
    struct slice scheme = { text.data, slice_find(text, ':') };
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(ERR_NOMEM, "no memory");
    s->refs = 1;
    s->keys = seal_keys_ref(keys);
    snprintf(s->scheme, sizeof s->scheme, "%.*s", SLICE_FMT(scheme));
    enum err e = slice_starts(scheme, SLICE("redis"))
                     ? redis_open(&s->redis, url)
                     : open_here(s, url, to_read);
    if (e)
        unref(s);
    else
        *out = s;
    return e;
}

enum err store_open(struct store **out, const char *url, struct seal_keys *keys)
{
    return open_any(out, url, keys, false);
}

enum err store_open_to_read(struct store **out, const char *url,
                            struct seal_keys *keys)
{
    return open_any(out, url, keys, true);
}

enum err store_check(const char *url, struct seal_keys *keys)
{
    struct store *s;
    enum err e = slice_starts(slice_str(url), SLICE("lmdb:"))
                     ? store_open_to_read(&s, url, keys)
                     : store_open(&s, url, keys);
    if (e)
        return e;
    if (!s->redis && s->engine->has_seal)
        e = keys_record_check(s->engine, s->db, keys);
    store_close(s);
    return e;
}

enum err store_walk(struct store *s, struct store_walk *walk)
{
    return s->redis ? redis_walk(s->redis, walk) : s->engine->walk(s->db, walk);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    s->closed = true;
    if (s->writer)
        writer_stop(s->writer);
    unref(s);
}

void store_stat(struct store *s, struct store_stat *out)
{
    if (s->redis) {
        redis_stat(s->redis, out);
    } else {
        writer_stat(s->writer, out);
        s->engine->stat(s->db, out);
        if (s->engine->has_seal && out->records)
            out->records--; /* keys_record.h */
    }
    memcpy(out->engine, s->scheme, sizeof out->engine);
}
