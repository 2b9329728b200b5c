/* lmdb.c -- records on disk, in LMDB (one file, read in place).
 *
 * Two databases: "records" (key -> record) and "due" (expiry as 8 bytes big
 * endian, then the key -> nothing), so that what has expired is found without
 * a scan.  Commits are synchronous: what is acknowledged survives a kill and
 * a power cut, as far as the disk keeps its promises. */
#include "base/log.h"
#include "store/dirlock.h"
#include "store/engine.h"
#include "store/lmdb_env.h"
#include "store/record.h"
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DUE_TIME = 8, DUE_MAX = DUE_TIME + STORE_KEY_MAX };

struct lmdb {
    struct lmdb_env env;
    int lock;
    MDB_txn *txn; /* the writer's */
};

/* The writer's. */
static enum err fail(struct lmdb *db, int rc)
{
    return err_set(lmdb_env_failed(&db->env, rc) ? ERR_TOO_LARGE : ERR_STORE,
                   "lmdb: %s", mdb_strerror(rc));
}

static enum err fail_read(int rc)
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
    int rc = mdb_get(db->txn, db->env.records, &k, &v);
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
    return del(db, db->env.due, due_key(space, head.expires, key));
}

static int put(struct lmdb *db, const struct store_write *w)
{
    char space[DUE_MAX];
    MDB_val key = val(w->key), value = val(w->record), none = { 0 };
    int rc = drop_due(db, w->key);
    if (!rc)
        rc = mdb_put(db->txn, db->env.records, &key, &value, 0);
    if (rc || !w->expires)
        return rc;
    key = due_key(space, w->expires, w->key);
    return mdb_put(db->txn, db->env.due, &key, &none, 0);
}

static int take_out(struct lmdb *db, struct slice key)
{
    int rc = drop_due(db, key);
    return rc ? rc : del(db, db->env.records, val(key));
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
            return fail(db, rc);
        if (!record_allows(old, &set->writes[i], now))
            return ERR_CONFLICT;
    }
    for (unsigned i = 0; i < set->count && !rc; i++) {
        const struct store_write *w = &set->writes[i];
        rc = w->remove ? take_out(db, w->key) : put(db, w);
    }
    return rc ? fail(db, rc) : OK;
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
    return del(db, db->env.records, val(key));
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
    int rc = mdb_cursor_open(db->txn, db->env.due, &due);
    if (rc)
        return fail(db, rc);
    while (*removed < max && !(rc = sweep_first(db, due, now, &done)) && !done)
        (*removed)++;
    mdb_cursor_close(due);
    return rc ? fail(db, rc) : OK;
}

static enum err lmdb_begin(void *arg)
{
    struct lmdb *db = arg;
    int rc = lmdb_env_begin(&db->env, &db->txn);
    return rc ? fail(db, rc) : OK;
}

static enum err lmdb_commit(void *arg)
{
    struct lmdb *db = arg;
    int rc = mdb_txn_commit(db->txn);
    return rc ? fail(db, rc) : OK;
}

static void lmdb_abort(void *arg)
{
    mdb_txn_abort(((struct lmdb *)arg)->txn);
}

static void lmdb_release(void *arg)
{
    lmdb_env_leave(arg);
}

static enum err lmdb_get(void *arg, struct slice key, struct slice *record)
{
    struct lmdb_reader *r = arg;
    MDB_val k = val(key), v;
    int rc = lmdb_env_enter(r);
    if (rc)
        return fail_read(rc);
    rc = mdb_get(r->txn, r->env->records, &k, &v);
    if (!rc) {
        *record = SLICE_OF(v.mv_data, v.mv_size);
        return OK;
    }
    lmdb_env_leave(r);
    return rc == MDB_NOTFOUND ? ERR_NOT_FOUND : fail_read(rc);
}

/* A scan that counts needs no record: "due" tells in a tenth of the pages, and
 * what has expired by then is not even looked at. */
static MDB_val scan_start(char space[DUE_MAX], const struct store_scan *scan)
{
    if (scan->after.len)
        return val(scan->after);
    return scan->counts ? due_key(space, scan->beyond + 1, SLICE(""))
                        : val(scan->prefix);
}

static void note(struct store_scan *scan, struct slice key, struct slice value)
{
    if (scan->counts)
        store_counted(scan, key,
                      slice_starts(slice_from(key, DUE_TIME), scan->prefix));
    else
        store_scanned(scan, key, value);
}

/* From the first key beyond scan->after. */
static int scan_from(MDB_cursor *at, struct store_scan *scan)
{
    char space[DUE_MAX];
    MDB_val k = scan_start(space, scan), v;
    int rc = mdb_cursor_get(at, &k, &v, k.mv_size ? MDB_SET_RANGE : MDB_FIRST);
    if (!rc && scan->after.len &&
        slice_eq(SLICE_OF(k.mv_data, k.mv_size), scan->after))
        rc = mdb_cursor_get(at, &k, &v, MDB_NEXT);
    for (unsigned n = 0; !rc; n++) {
        struct slice key = SLICE_OF(k.mv_data, k.mv_size);
        if (!scan->counts && !slice_starts(key, scan->prefix))
            return 0;
        scan->more = n == scan->max;
        if (scan->more)
            return 0;
        note(scan, key, SLICE_OF(v.mv_data, v.mv_size));
        rc = mdb_cursor_get(at, &k, &v, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static enum err lmdb_scan(void *arg, struct store_scan *scan)
{
    struct lmdb_reader *r = arg;
    MDB_cursor *cursor;
    int rc = lmdb_env_enter(r);
    if (rc)
        return fail_read(rc);
    rc = mdb_cursor_open(r->txn, scan->counts ? r->env->due : r->env->records,
                         &cursor);
    if (!rc) {
        rc = scan_from(cursor, scan);
        mdb_cursor_close(cursor);
    }
    lmdb_env_leave(r);
    return rc ? fail_read(rc) : OK;
}

static bool is_sealed_by(MDB_val record, const uint8_t *id, uint64_t now)
{
    struct record_head head;
    struct slice r = SLICE_OF(record.mv_data, record.mv_size);
    return record_read_head(r, &head) && !record_expired(head, now) &&
           slice_starts(record_sealed(r), SLICE_OF(id, SEAL_KEY_ID));
}

static bool lmdb_has_seal(void *arg, const uint8_t *id, uint64_t now)
{
    struct lmdb_reader *r = arg;
    MDB_cursor *cursor;
    MDB_val k, v;
    bool found = false;
    if (lmdb_env_enter(r))
        return true; /* who knows */
    int rc = mdb_cursor_open(r->txn, r->env->records, &cursor);
    if (!rc) {
        while (!found && !(rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)))
            found = is_sealed_by(v, id, now);
        mdb_cursor_close(cursor);
    }
    lmdb_env_leave(r);
    return found || rc != MDB_NOTFOUND;
}

static enum err open_reader(void *arg, void **out)
{
    struct lmdb_reader *r = NULL;
    enum err e = lmdb_env_attach(&((struct lmdb *)arg)->env, &r);
    *out = r;
    return e;
}

static void close_reader(void *reader)
{
    lmdb_env_detach(reader);
}

static void lmdb_stat(void *arg, struct store_stat *out)
{
    struct lmdb *db = arg;
    struct lmdb_reader *r;
    MDB_stat records;
    MDB_envinfo info;
    if (lmdb_env_attach(&db->env, &r))
        return;
    if (!lmdb_env_enter(r)) {
        mdb_stat(r->txn, db->env.records, &records);
        mdb_env_info(db->env.env, &info);
        out->records = records.ms_entries;
        out->bytes = (info.me_last_pgno + 1) * (uint64_t)records.ms_psize;
        lmdb_env_leave(r);
    }
    lmdb_env_detach(r);
}

static void lmdb_close(void *arg)
{
    struct lmdb *db = arg;
    lmdb_env_close(&db->env);
    if (db->lock >= 0)
        close(db->lock);
    free(db);
}

/* The lock's file says whether there has been a store: an empty data.mdb,
 * which LMDB takes for a new one, has then lost its records. */
static enum err check_empty(int lock, const char *path)
{
    char file[PATH_MAX];
    struct stat st;
    bool was = !fstat(lock, &st) && st.st_size > 0;
    snprintf(file, sizeof file, "%s/data.mdb", path);
    if (was && !stat(file, &st) && !st.st_size)
        return err_set(ERR_STORE,
                       "store directory %s: data.mdb is empty, its records are "
                       "lost: put a copy of it back, or remove it",
                       path);
    return OK;
}

static void note_made(int lock)
{
    struct stat st;
    if (!fstat(lock, &st) && !st.st_size && write(lock, "made\n", 5) != 5)
        log_write(LOG_WARN, "store: its lock cannot be written: %s",
                  strerror(errno));
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
    e = check_empty(db->lock, path);
    if (!e)
        e = lmdb_env_open(&db->env, path);
    if (!e)
        note_made(db->lock);
    if (e) {
        close(db->lock);
        free(db);
        return e;
    }
    *out = db;
    return OK;
}

/* Beside the process that writes, so without its lock. */
static enum err lmdb_open_to_read(void **out, const char *path)
{
    struct lmdb *db = calloc(1, sizeof *db);
    if (!db)
        return err_set(ERR_NOMEM, "no memory");
    db->lock = -1;
    enum err e = lmdb_env_open_to_read(&db->env, path);
    if (e)
        free(db);
    else
        *out = db;
    return e;
}

static enum err lmdb_walk(void *arg, struct store_walk *walk)
{
    struct lmdb *db = arg;
    struct lmdb_reader *r;
    MDB_cursor *cursor;
    MDB_val k, v;
    enum err e = lmdb_env_attach(&db->env, &r);
    if (e)
        return e;
    int rc = lmdb_env_enter(r);
    if (!rc && !(rc = mdb_cursor_open(r->txn, db->env.records, &cursor))) {
        while (!(rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) &&
               walk->each(walk, SLICE_OF(k.mv_data, k.mv_size),
                          SLICE_OF(v.mv_data, v.mv_size)))
            ;
        mdb_cursor_close(cursor);
        lmdb_env_leave(r);
    }
    lmdb_env_detach(r);
    return rc && rc != MDB_NOTFOUND ? fail_read(rc) : OK;
}

const struct store_engine lmdb_engine = {
    .scheme = "lmdb",
    .open = lmdb_open,
    .close = lmdb_close,
    .open_to_read = lmdb_open_to_read,
    .walk = lmdb_walk,
    .stat = lmdb_stat,
    .reader_open = open_reader,
    .reader_close = close_reader,
    .get = lmdb_get,
    .release = lmdb_release,
    .scan = lmdb_scan,
    .has_seal = lmdb_has_seal,
    .begin = lmdb_begin,
    .apply = lmdb_apply,
    .sweep = lmdb_sweep,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
};
