/* lmdb.c -- records on disk, in LMDB (one file, read in place).
 *
 * Two databases: "records" (key -> record) and "due" (expiry as 8 bytes big
 * endian, then the key -> nothing), so that what has expired is found without
 * a scan.  Commits are synchronous: what is acknowledged survives a kill and
 * a power cut, as far as the disk keeps its promises. */
#include "store/dirlock.h"
#include "store/engine.h"
#include "store/record.h"
#include <endian.h>
#include <lmdb.h>
#include <stdlib.h>
#include <unistd.h>

enum { DUE_TIME = 8, DUE_MAX = DUE_TIME + STORE_KEY_MAX, READERS = 512 };

/* Address space, not disk: the file grows as it fills. */
static const size_t map_size = (size_t)64 << 30;

struct lmdb {
    int lock;
    MDB_env *env;
    MDB_dbi records, due;
    MDB_txn *txn; /* the writer's */
};

struct lmdb_reader {
    struct lmdb *db;
    MDB_txn *txn; /* reset between gets, so that it holds no old pages */
};

static enum err fail(int rc)
{
    return err_set(ERR_STORE, "lmdb: %s", mdb_strerror(rc));
}

static MDB_val val(struct slice s)
{
    return (MDB_val){ s.len, (void *)(uintptr_t)s.data };
}

/* The key in "due" of a record's expiry. */
static MDB_val due_key(char space[DUE_MAX], uint64_t expires, struct slice key)
{
    uint64_t time = htobe64(expires);
    memcpy(space, &time, DUE_TIME);
    memcpy(space + DUE_TIME, key.data, key.len);
    return (MDB_val){ DUE_TIME + key.len, space };
}

/* rc is 0 also where there is no such record: then data is NULL. */
static int find(struct lmdb *db, struct slice key, struct slice *record)
{
    MDB_val k = val(key), v = { 0 };
    int rc = mdb_get(db->txn, db->records, &k, &v);
    *record = rc ? SLICE_NONE : SLICE_OF(v.mv_data, v.mv_size);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int del(struct lmdb *db, MDB_dbi dbi, MDB_val key)
{
    int rc = mdb_del(db->txn, dbi, &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Takes the due entry of what lies under key, before that is replaced. */
static int drop_due(struct lmdb *db, struct slice key)
{
    char space[DUE_MAX];
    struct slice old;
    struct record_head head;
    int rc = find(db, key, &old);
    if (rc || !old.data || !record_read_head(old, &head) || !head.expires)
        return rc;
    return del(db, db->due, due_key(space, head.expires, key));
}

static int put(struct lmdb *db, const struct store_write *w)
{
    char space[DUE_MAX];
    MDB_val key = val(w->key), value = val(w->record), none = { 0 };
    int rc = drop_due(db, w->key);
    if (!rc)
        rc = mdb_put(db->txn, db->records, &key, &value, 0);
    if (rc || !w->expires)
        return rc;
    key = due_key(space, w->expires, w->key);
    return mdb_put(db->txn, db->due, &key, &none, 0);
}

static int take_out(struct lmdb *db, struct slice key)
{
    int rc = drop_due(db, key);
    return rc ? rc : del(db, db->records, val(key));
}

static enum err lmdb_apply(void *arg, const struct store_commit *set,
                           uint64_t now)
{
    struct lmdb *db = arg;
    int rc = 0;
    for (unsigned i = 0; i < set->count; i++) {
        struct slice old;
        if (!set->writes[i].check)
            continue;
        if ((rc = find(db, set->writes[i].key, &old)))
            return fail(rc);
        if (!record_allows(old, &set->writes[i], now))
            return ERR_CONFLICT;
    }
    for (unsigned i = 0; i < set->count && !rc; i++) {
        const struct store_write *w = &set->writes[i];
        rc = w->remove ? take_out(db, w->key) : put(db, w);
    }
    return rc ? fail(rc) : OK;
}

/* Removes the record that a due entry names, unless it was written since
 * with another expiry and the entry is a stray one. */
static int expire(struct lmdb *db, uint64_t expires, struct slice key)
{
    struct slice record;
    struct record_head head;
    int rc = find(db, key, &record);
    if (rc || !record.data || !record_read_head(record, &head) ||
        head.expires != expires)
        return rc;
    return del(db, db->records, val(key));
}

/* Removes what the first due entry names, where its time has come; *done:
 * there is no such entry. */
static int sweep_first(struct lmdb *db, MDB_cursor *due, uint64_t now,
                       bool *done)
{
    MDB_val k, v;
    uint64_t expires;
    int rc = mdb_cursor_get(due, &k, &v, MDB_FIRST);
    *done = rc == MDB_NOTFOUND;
    if (rc)
        return *done ? 0 : rc;
    memcpy(&expires, k.mv_data, DUE_TIME);
    expires = be64toh(expires);
    if ((*done = expires > now))
        return 0;
    rc = expire(db, expires,
                slice_from(SLICE_OF(k.mv_data, k.mv_size), DUE_TIME));
    return rc ? rc : mdb_cursor_del(due, 0);
}

static enum err lmdb_sweep(void *arg, uint64_t now, unsigned max,
                           unsigned *removed)
{
    struct lmdb *db = arg;
    MDB_cursor *due;
    bool done = false;
    *removed = 0;
    int rc = mdb_cursor_open(db->txn, db->due, &due);
    if (rc)
        return fail(rc);
    while (*removed < max && !(rc = sweep_first(db, due, now, &done)) && !done)
        (*removed)++;
    mdb_cursor_close(due);
    return rc ? fail(rc) : OK;
}

static enum err lmdb_begin(void *arg)
{
    struct lmdb *db = arg;
    int rc = mdb_txn_begin(db->env, NULL, 0, &db->txn);
    return rc ? fail(rc) : OK;
}

static enum err lmdb_commit(void *arg)
{
    struct lmdb *db = arg;
    int rc = mdb_txn_commit(db->txn);
    return rc ? fail(rc) : OK;
}

static void lmdb_abort(void *arg)
{
    mdb_txn_abort(((struct lmdb *)arg)->txn);
}

static void lmdb_release(void *arg)
{
    mdb_txn_reset(((struct lmdb_reader *)arg)->txn);
}

static enum err lmdb_get(void *arg, struct slice key, struct slice *record)
{
    struct lmdb_reader *r = arg;
    MDB_val k = val(key), v;
    int rc = mdb_txn_renew(r->txn);
    if (rc)
        return fail(rc);
    rc = mdb_get(r->txn, r->db->records, &k, &v);
    if (!rc) {
        *record = SLICE_OF(v.mv_data, v.mv_size);
        return OK;
    }
    lmdb_release(r);
    return rc == MDB_NOTFOUND ? ERR_NOT_FOUND : fail(rc);
}

/* From the first key beyond scan->after. */
static int scan_from(MDB_cursor *at, struct store_scan *scan)
{
    struct slice start = scan->after.len ? scan->after : scan->prefix;
    MDB_val k = val(start), v;
    int rc = start.len ? mdb_cursor_get(at, &k, &v, MDB_SET_RANGE)
                       : mdb_cursor_get(at, &k, &v, MDB_FIRST);
    if (!rc && scan->after.len &&
        slice_eq(SLICE_OF(k.mv_data, k.mv_size), scan->after))
        rc = mdb_cursor_get(at, &k, &v, MDB_NEXT);
    for (unsigned n = 0; !rc; n++) {
        struct slice key = SLICE_OF(k.mv_data, k.mv_size);
        if (!slice_starts(key, scan->prefix))
            return 0;
        scan->more = n == scan->max;
        if (scan->more)
            return 0;
        store_scanned(scan, key, SLICE_OF(v.mv_data, v.mv_size));
        rc = mdb_cursor_get(at, &k, &v, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static enum err lmdb_scan(void *arg, struct store_scan *scan)
{
    struct lmdb_reader *r = arg;
    MDB_cursor *cursor;
    int rc = mdb_txn_renew(r->txn);
    if (rc)
        return fail(rc);
    rc = mdb_cursor_open(r->txn, r->db->records, &cursor);
    if (!rc) {
        rc = scan_from(cursor, scan);
        mdb_cursor_close(cursor);
    }
    lmdb_release(r);
    return rc ? fail(rc) : OK;
}

static enum err lmdb_reader_open(void *db, void **out)
{
    struct lmdb_reader *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(ERR_NOMEM, "no memory");
    r->db = db;
    int rc = mdb_txn_begin(r->db->env, NULL, MDB_RDONLY, &r->txn);
    if (rc) {
        free(r);
        return fail(rc);
    }
    mdb_txn_reset(r->txn);
    *out = r;
    return OK;
}

static void lmdb_reader_close(void *arg)
{
    struct lmdb_reader *r = arg;
    mdb_txn_abort(r->txn);
    free(r);
}

static void lmdb_stat(void *arg, struct store_stat *out)
{
    struct lmdb *db = arg;
    MDB_txn *txn;
    MDB_stat records;
    MDB_envinfo info;
    if (mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn))
        return;
    mdb_stat(txn, db->records, &records);
    mdb_txn_abort(txn);
    mdb_env_info(db->env, &info);
    out->records = records.ms_entries;
    out->bytes = (info.me_last_pgno + 1) * (uint64_t)records.ms_psize;
}

static void lmdb_close(void *arg)
{
    struct lmdb *db = arg;
    mdb_env_close(db->env);
    if (db->lock >= 0)
        close(db->lock);
    free(db);
}

/* MDB_NOTLS: a read transaction belongs to a conn, not to a thread.
 * MDB_NORDAHEAD: keys are mostly hashes, so neighbours are of no use.
 * Not MDB_WRITEMAP (a stray pointer would write to disk), not MDB_NOSYNC and
 * its kin (an acknowledged write must be on disk), not MDB_NOMEMINIT (what
 * lay in memory does not belong into the file). */
static int open_env(struct lmdb *db, const char *path, unsigned flags)
{
    int rc = mdb_env_create(&db->env);
    if (rc)
        return rc;
    if ((rc = mdb_env_set_mapsize(db->env, map_size)) ||
        (rc = mdb_env_set_maxdbs(db->env, 2)) ||
        (rc = mdb_env_set_maxreaders(db->env, READERS)))
        return rc;
    return mdb_env_open(db->env, path, MDB_NOTLS | MDB_NORDAHEAD | flags, 0600);
}

static int open_dbs(struct lmdb *db)
{
    int rc = mdb_txn_begin(db->env, NULL, 0, &db->txn);
    if (rc)
        return rc;
    if ((rc = mdb_dbi_open(db->txn, "records", MDB_CREATE, &db->records)) ||
        (rc = mdb_dbi_open(db->txn, "due", MDB_CREATE, &db->due))) {
        mdb_txn_abort(db->txn);
        return rc;
    }
    return mdb_txn_commit(db->txn);
}

static enum err lmdb_open(void **out, const char *path)
{
    if (!*path)
        return err_set(ERR_CONFIG, "store \"lmdb:\" wants a directory");
    struct lmdb *db = calloc(1, sizeof *db);
    if (!db)
        return err_set(ERR_NOMEM, "no memory");
    enum err e = dirlock_take(path, &db->lock);
    if (e) {
        free(db);
        return e;
    }
    int rc, dead; /* slots of readers that were killed */
    if ((rc = open_env(db, path, 0)) ||
        (rc = mdb_reader_check(db->env, &dead)) || (rc = open_dbs(db))) {
        lmdb_close(db);
        return err_set(ERR_STORE, "store directory %s: %s", path,
                       mdb_strerror(rc));
    }
    *out = db;
    return OK;
}

/* Beside the process that writes, so without its lock. */
static enum err lmdb_open_to_read(void **out, const char *path)
{
    struct lmdb *db = calloc(1, sizeof *db);
    MDB_txn *txn;
    if (!db)
        return err_set(ERR_NOMEM, "no memory");
    db->lock = -1;
    int rc = open_env(db, path, MDB_RDONLY);
    if (!rc && !(rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn))) {
        rc = mdb_dbi_open(txn, "records", 0, &db->records);
        mdb_txn_commit(txn); /* the handle is kept by it */
    }
    if (rc) {
        lmdb_close(db);
        return err_set(ERR_STORE, "store directory %s: %s", path,
                       mdb_strerror(rc));
    }
    *out = db;
    return OK;
}

static enum err lmdb_walk(void *arg, struct store_walk *walk)
{
    struct lmdb *db = arg;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return fail(rc);
    rc = mdb_cursor_open(txn, db->records, &cursor);
    if (!rc) {
        while (!(rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) &&
               walk->each(walk, SLICE_OF(k.mv_data, k.mv_size),
                          SLICE_OF(v.mv_data, v.mv_size)))
            ;
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return rc && rc != MDB_NOTFOUND ? fail(rc) : OK;
}

const struct store_engine lmdb_engine = {
    .scheme = "lmdb",
    .open = lmdb_open,
    .close = lmdb_close,
    .open_to_read = lmdb_open_to_read,
    .walk = lmdb_walk,
    .stat = lmdb_stat,
    .reader_open = lmdb_reader_open,
    .reader_close = lmdb_reader_close,
    .get = lmdb_get,
    .release = lmdb_release,
    .scan = lmdb_scan,
    .begin = lmdb_begin,
    .apply = lmdb_apply,
    .sweep = lmdb_sweep,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
};
