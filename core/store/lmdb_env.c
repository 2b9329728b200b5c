/* lmdb_env.c -- LMDB's environment, which is opened anew where it must be. */
#define _GNU_SOURCE /* pthread_rwlockattr_setkind_np */
#include "store/lmdb_env.h"
#include "base/log.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READERS = 512, PANIC_TRIES = 100, PANIC_USEC = 1000 };

/* Address space, not disk: the file grows as it fills. */
static const size_t first_map = (size_t)16 << 20;

/* ---- opening ------------------------------------------------------------- */

static int open_dbs(struct lmdb_env *e, unsigned how, unsigned create)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(e->env, NULL, how, &txn);
    if (rc)
        return rc;
    if ((rc = mdb_dbi_open(txn, "records", create, &e->records)) ||
        (rc = mdb_dbi_open(txn, "due", create, &e->due))) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

static size_t length_of(const struct lmdb_env *e, char file[PATH_MAX])
{
    struct stat st;
    snprintf(file, PATH_MAX, "%s/data.mdb", e->path);
    return stat(file, &st) ? 0 : (size_t)st.st_size;
}

static volatile char walked; /* so that it is really read */

static int walk_db(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_cursor *at;
    MDB_val k, v;
    int rc = mdb_cursor_open(txn, dbi, &at);
    while (!rc && !(rc = mdb_cursor_get(at, &k, &v, MDB_NEXT)))
        if (v.mv_size) /* its last page, where it has several */
            walked = ((const char *)v.mv_data)[v.mv_size - 1];
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Reads all pages that are in use, with what is free, as another process. */
static int walk_all(const char *path)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi records, due;
    int rc = mdb_env_create(&env);
    if (rc || (rc = mdb_env_set_maxdbs(env, 2)) ||
        (rc = mdb_env_open(env, path, MDB_RDONLY | MDB_NOLOCK, 0600)) ||
        (rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn)))
        return rc;
    if ((rc = walk_db(txn, 0)) || (rc = walk_db(txn, 1)))
        return rc;
    rc = mdb_dbi_open(txn, "records", 0, &records);
    if (!rc)
        rc = walk_db(txn, records);
    if (!rc && !(rc = mdb_dbi_open(txn, "due", 0, &due)))
        rc = walk_db(txn, due);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* A page beyond the file's end would be our end: a child tries. */
static bool is_whole(const char *path)
{
    int status = 1;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGBUS, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        _exit(walk_all(path) != 0);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* LMDB does not write a page at the end that a commit took and gave back, so a
 * short file may be whole; it is looked through, and made as long as it says.
 */
static int check_length(struct lmdb_env *e, bool writable)
{
    char file[PATH_MAX];
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_env_info(e->env, &info);
    if (rc || (rc = mdb_env_stat(e->env, &stat)))
        return rc;
    size_t says = (info.me_last_pgno + 1) * stat.ms_psize;
    e->length = length_of(e, file);
    if (e->length >= says)
        return 0;
    if (!is_whole(e->path)) {
        log_write(LOG_EMERG,
                  "store directory %s: data.mdb is cut, it has %zu bytes of "
                  "%zu: put a copy of it back",
                  e->path, e->length, says);
        return MDB_INVALID;
    }
    if (writable && !truncate(file, (off_t)says))
        e->length = says;
    return 0;
}

/* MDB_NOTLS: a read transaction belongs to a conn, not to a thread.
 * MDB_NORDAHEAD: keys are mostly hashes, so neighbours are of no use.
 * Not MDB_WRITEMAP (a stray pointer would write to disk), not MDB_NOSYNC and
 * its kin (an acknowledged write must be on disk), not MDB_NOMEMINIT (what
 * lay in memory does not belong into the file). */
static int open_env(struct lmdb_env *e, unsigned how)
{
    int dead, rc = mdb_env_create(&e->env);
    if (rc) {
        e->env = NULL;
        return rc;
    }
    if (!(rc = mdb_env_set_mapsize(e->env, e->map)) &&
        !(rc = mdb_env_set_maxdbs(e->env, 2)) &&
        !(rc = mdb_env_set_maxreaders(e->env, READERS)) &&
        !(rc = mdb_env_open(e->env, e->path, MDB_NOTLS | MDB_NORDAHEAD | how,
                            0600)) &&
        !(rc = check_length(e, !(how & MDB_RDONLY))) &&
        !(rc = mdb_reader_check(e->env, &dead))) /* slots of the killed */
        rc = open_dbs(e, MDB_RDONLY, 0);
    if (rc == MDB_NOTFOUND && !(how & MDB_RDONLY))
        rc = open_dbs(e, 0, MDB_CREATE);
    e->writable = !rc && !(how & MDB_RDONLY);
    if (rc) {
        mdb_env_close(e->env);
        e->env = NULL;
    }
    return rc;
}

/* For writing, or else for reading.  Without a writer nobody needs LMDB's
 * table of readers, which lies in a file of its own. */
static int open_any(struct lmdb_env *e)
{
    MDB_envinfo info;
    int rc = open_env(e, 0);
    if ((rc == EROFS || rc == EACCES) &&
        !open_env(e, MDB_RDONLY | MDB_NOLOCK)) {
        log_write(LOG_ERR, "store directory %s cannot be written: %s", e->path,
                  mdb_strerror(rc));
        rc = 0;
    }
    if (!rc && !mdb_env_info(e->env, &info))
        e->map = info.me_mapsize; /* at least what the file has */
    return rc;
}

/* Behind the shut gate. */
static void close_env(struct lmdb_env *e)
{
    for (struct lmdb_reader *r = e->readers; r; r = r->next) {
        mdb_txn_abort(r->txn);
        r->txn = NULL;
    }
    if (e->env)
        mdb_env_close(e->env);
    e->env = NULL;
}

static int reopen(struct lmdb_env *e)
{
    close_env(e);
    return open_any(e);
}

static int open_anew(struct lmdb_env *e, size_t map)
{
    size_t before = e->map;
    pthread_rwlock_wrlock(&e->gate);
    e->map = map;
    int rc = reopen(e);
    if (rc && map > before) { /* no room in the address space */
        e->map = before;
        reopen(e);
    }
    pthread_rwlock_unlock(&e->gate);
    return rc;
}

/* A writer that waits goes first: it is quick, and readers never end. */
static void init_gate(pthread_rwlock_t *gate)
{
    pthread_rwlockattr_t fair;
    pthread_rwlockattr_init(&fair);
    pthread_rwlockattr_setkind_np(&fair,
                                  PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(gate, &fair);
    pthread_rwlockattr_destroy(&fair);
}

static enum err open_path(struct lmdb_env *e, const char *path, bool to_read)
{
    *e = (struct lmdb_env){ .map = first_map, .path = strdup(path) };
    if (!e->path)
        return err_set(ERR_NOMEM, "no memory");
    init_gate(&e->gate);
    char lock[PATH_MAX];
    snprintf(lock, sizeof lock, "%s/lock.mdb", path);
    unsigned none = access(lock, F_OK) ? MDB_NOLOCK : 0; /* nobody writes */
    int rc = to_read ? open_env(e, MDB_RDONLY | none) : open_any(e);
    if (!rc)
        return OK;
    lmdb_env_close(e);
    return err_set(ERR_STORE, "store directory %s: %s", path, mdb_strerror(rc));
}

enum err lmdb_env_open(struct lmdb_env *e, const char *path)
{
    return open_path(e, path, false);
}

enum err lmdb_env_open_to_read(struct lmdb_env *e, const char *path)
{
    return open_path(e, path, true);
}

void lmdb_env_close(struct lmdb_env *e)
{
    if (!e->path)
        return;
    if (e->env)
        mdb_env_close(e->env);
    pthread_rwlock_destroy(&e->gate);
    free(e->path);
    e->path = NULL;
}

/* ---- the writer ---------------------------------------------------------- */

/* What lies beyond a file's end must not be touched: nothing is any more. */
static int look_for_cut(struct lmdb_env *e)
{
    char file[PATH_MAX];
    size_t length = e->cut || !e->env ? e->length : length_of(e, file);
    if (e->cut)
        return MDB_INVALID;
    if (length >= e->length) {
        e->length = length;
        return 0;
    }
    log_write(LOG_EMERG,
              "store directory %s: data.mdb was cut from %zu to %zu bytes "
              "while in use; nothing is read or written any more: stop, put a "
              "copy of it back, and start",
              e->path, e->length, length);
    pthread_rwlock_wrlock(&e->gate);
    e->cut = true;
    close_env(e);
    pthread_rwlock_unlock(&e->gate);
    return MDB_INVALID;
}

/* Whether the data file can be written now, without opening it. */
static int may_write(const struct lmdb_env *e)
{
    char file[PATH_MAX];
    snprintf(file, sizeof file, "%s/data.mdb", e->path);
    return access(file, W_OK) ? errno : 0;
}

static int make_ready(struct lmdb_env *e)
{
    int rc = look_for_cut(e);
    if (rc)
        return rc;
    if (e->env && !e->writable && (rc = may_write(e)))
        return rc;
    if (!e->env || !e->writable || e->full)
        rc = open_anew(e, e->full ? 2 * e->map : e->map);
    e->full = false;
    if (!rc && e->env && !e->writable)
        rc = EROFS;
    if (rc || !e->dirty)
        return rc;
    /* LMDB has put its old page back into the file, maybe not onto the disk;
     * there the new one may lie, of a commit that nobody was told of.  It must
     * go before what it points to is used for something else. */
    rc = mdb_env_sync(e->env, 1);
    e->dirty = rc != 0;
    return rc;
}

int lmdb_env_begin(struct lmdb_env *e, MDB_txn **txn)
{
    int rc = make_ready(e);
    return rc ? rc : mdb_txn_begin(e->env, NULL, 0, txn);
}

/* LMDB gives an environment up where it cannot write its last page. */
static bool has_panicked(const struct lmdb_env *e)
{
    MDB_txn *txn;
    int rc = e->env ? mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn) : 0;
    if (e->env && !rc)
        mdb_txn_abort(txn);
    return rc == MDB_PANIC;
}

bool lmdb_env_failed(struct lmdb_env *e, int rc)
{
    if (rc == MDB_MAP_FULL) {
        e->full = true;
    } else if (has_panicked(e)) {
        e->dirty = true;
        open_anew(e, e->map);
    }
    return rc == MDB_MAP_FULL;
}

/* ---- readers ------------------------------------------------------------- */

/* Before each look, as a page that is gone would end the process. */
static bool is_cut(const struct lmdb_env *e)
{
    mdb_filehandle_t fd;
    struct stat st;
    size_t length = e->length; /* first: the file grows meanwhile */
    return e->cut || (!mdb_env_get_fd(e->env, &fd) && !fstat(fd, &st) &&
                      (size_t)st.st_size < length);
}

static int enter(struct lmdb_reader *r)
{
    pthread_rwlock_rdlock(&r->env->gate);
    int rc = r->env->cut ? MDB_INVALID : ENODEV;
    if (r->env->env && is_cut(r->env))
        rc = MDB_INVALID;
    else if (r->env->env)
        rc = r->txn ? mdb_txn_renew(r->txn)
                    : mdb_txn_begin(r->env->env, NULL, MDB_RDONLY, &r->txn);
    if (rc)
        pthread_rwlock_unlock(&r->env->gate);
    return rc;
}

/* Between a commit that broke off and the opening anew lies a moment. */
int lmdb_env_enter(struct lmdb_reader *r)
{
    int rc = enter(r);
    for (int i = 0; rc == MDB_PANIC && i < PANIC_TRIES; i++) {
        usleep(PANIC_USEC);
        rc = enter(r);
    }
    return rc;
}

void lmdb_env_leave(struct lmdb_reader *r)
{
    mdb_txn_reset(r->txn);
    pthread_rwlock_unlock(&r->env->gate);
}

enum err lmdb_env_attach(struct lmdb_env *e, struct lmdb_reader **out)
{
    struct lmdb_reader *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(ERR_NOMEM, "no memory");
    r->env = e;
    pthread_rwlock_wrlock(&e->gate);
    r->next = e->readers;
    r->prev = &e->readers;
    if (r->next)
        r->next->prev = &r->next;
    e->readers = r;
    pthread_rwlock_unlock(&e->gate);
    *out = r;
    return OK;
}

void lmdb_env_detach(struct lmdb_reader *r)
{
    pthread_rwlock_wrlock(&r->env->gate);
    mdb_txn_abort(r->txn);
    *r->prev = r->next;
    if (r->next)
        r->next->prev = r->prev;
    pthread_rwlock_unlock(&r->env->gate);
    free(r);
}
