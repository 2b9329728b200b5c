/* lmdb_env.h -- LMDB's environment, which is opened anew where it must be.
 *
 * LMDB can neither grow its map while somebody reads, nor go on after a disk
 * failed it in the midst of a commit.  One mechanism answers both: readers
 * pass a gate, and who opens anew holds it shut for that moment (well below a
 * millisecond).  Where files cannot be opened for writing they are opened for
 * reading, until they can. */
#pragma once
#include "base/err.h"
#include <lmdb.h>
#include <pthread.h>
#include <stdbool.h>

struct lmdb_reader {
    struct lmdb_env *env;
    MDB_txn *txn; /* reset between looks, so that it holds no old pages */
    struct lmdb_reader *next, **prev;
};

struct lmdb_env {
    char *path;
    pthread_rwlock_t gate; /* of env, of databases, of readers and theirs */
    MDB_env *env;          /* NULL: it did not open again */
    MDB_dbi records, due;
    size_t map; /* address space for the file, bytes */
    bool full;  /* the map is: open anew with more, */
    bool dirty; /* a commit broke off: put what the file says onto the disk */
    bool writable;
    bool cut;              /* the file was, while in use: for good */
    _Atomic size_t length; /* of the file when last seen; it never shrinks */
    struct lmdb_reader *readers;
};

/* Opens the files in path, or makes them.  ERR_STORE, with the path in
 * err_text(). */
enum err lmdb_env_open(struct lmdb_env *e, const char *path);

/* Opens files that another process may be writing.  ERR_STORE likewise. */
enum err lmdb_env_open_to_read(struct lmdb_env *e, const char *path);

/* After the last reader; also of a zeroed one. */
void lmdb_env_close(struct lmdb_env *e);

/* The writer's thread: a transaction, after what earlier failures ask for.
 * 0, or what mdb_strerror tells. */
int lmdb_env_begin(struct lmdb_env *e, MDB_txn **txn);

/* The writer's thread, after its transaction ended with rc: readers can go on
 * when this returns.  True: it had no room, and will have it if it is begun
 * again. */
bool lmdb_env_failed(struct lmdb_env *e, int rc);

/* On the reader's thread, as are enter and leave. */
enum err lmdb_env_attach(struct lmdb_env *e, struct lmdb_reader **out);
void lmdb_env_detach(struct lmdb_reader *r);

/* 0: r->txn sees the last commit until lmdb_env_leave, which must come
 * soon, as nobody can write into a full map until then. */
int lmdb_env_enter(struct lmdb_reader *r);
void lmdb_env_leave(struct lmdb_reader *r);
