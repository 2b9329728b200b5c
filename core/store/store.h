/* store.h -- records on disk: key -> value with a version and an expiry.
 *
 * One struct store for the process, one struct store_conn for each thread
 * that uses it.  Values are sealed on the caller's thread before they leave
 * it; keys are stored as they are, so secret ones are hashed by the caller.
 * Writes are grouped and answered after their commit is on disk.  The shape
 * is asynchronous throughout, so that an engine across a network fits too. */
#pragma once
#include "base/buf.h"
#include "base/mailbox.h"
#include <stdint.h>

enum {
    STORE_KEY_MAX = 400,
    STORE_VALUE_MAX = 1024 * 1024,
};

struct seal_keys;
struct store;
struct store_conn;

/* What was read of a key, for asking later whether it is still that. */
struct store_mark {
    uint64_t version;       /* never 0 where something was read */
    uint64_t expires;       /* unix seconds, 0: never */
    uint32_t bucket, count; /* changes.h */
};

struct store_read {
    struct slice key; /* lives until the answer */
    /* What an earlier read of the key gave, or zeroed; always filled. */
    struct store_mark mark;
    bool same; /* OK: it still is what mark said, and value is empty */
    /* The caller's, emptied before it is filled; buf_wipe it in the end. */
    struct buf value;
    enum err result;
    void (*on_done)(struct store_read *read); /* only after PENDING */
    void *user;
};

struct store_write {
    struct slice key, value;
    uint64_t expires;    /* unix seconds, 0: never */
    bool remove;         /* value and expires do not count */
    bool check;          /* write only if the version there is still expect */
    uint64_t expect;     /* 0: no such record, or an expired one */
    uint64_t version;    /* given by store_put: the new record's, random */
    struct slice record; /* the store's own, as is this: */
    bool resealed;       /* the record keeps its version */
};

/* All of its writes, or none.  Keys within one commit differ, and all checks
 * are made before the first write. */
struct store_commit {
    struct message message; /* the store's own, as are those at the end */
    struct store_write *writes;
    unsigned count;
    enum err result;
    void (*on_done)(struct store_commit *commit);
    void *user;
    struct store_conn *conn;
    struct mailbox *reply;
    struct buf sealed;
};

/* Keys that begin with prefix, in order. */
struct store_scan {
    struct slice prefix;
    struct slice after; /* only keys beyond it; none: from the start */
    unsigned max;       /* how many to look at, expired ones too */
    struct buf keys;    /* the caller's, emptied first: for store_scan_next */
    bool more;          /* there may be keys beyond the last one */
    enum err result;
};

struct store_stat {
    char engine[16];  /* "lmdb", "memory"; never the rest of the URL */
    uint64_t records; /* expired ones count until they are swept */
    uint64_t bytes;   /* used on disk, or of memory */
    uint64_t commits; /* commits answered with OK */
    uint64_t conflicts;
    uint64_t batches;  /* transactions that these took */
    uint64_t failures; /* transactions that failed */
    uint64_t swept;    /* expired records removed */
    uint64_t usec;     /* spent in transactions, microseconds */
    char error[256];   /* why the last one failed; "" where none did */
};

/* Opens "lmdb:DIR" (DIR is made where it is absent, mode 0700) or "memory:".
 * Takes a reference of keys.  Starts a thread, so a daemon forks before it.
 * Errors have one line of text fit for an operator: ERR_CONFIG for the URL,
 * ERR_STORE for the rest, ERR_NOMEM. */
enum err store_open(struct store **out, const char *url,
                    struct seal_keys *keys);

/* Commits and answers all that was handed over, then takes no more writes.
 * Conns may be detached before or after it, on their own threads, and read
 * until then; the directory is free again when all is let go. */
void store_close(struct store *store);

/* A conn for the thread that runs loop.  It does not keep the loop alive
 * while nothing is pending. */
enum err store_attach(struct store *store, uv_loop_t *loop,
                      struct store_conn **out);

/* On the conn's thread: waits until what is pending is on disk (milliseconds)
 * and calls its on_done, then lets go.  The loop must run once more, so that
 * the handle can close.  NULL is fine. */
void store_detach(struct store_conn *conn);

/* On the conn's thread.  OK, ERR_NOT_FOUND (also: has expired), ERR_STORE
 * (cannot be read, or does not unseal), ERR_INVALID (the key's length),
 * ERR_NOMEM or ERR_CLOSED at once, or PENDING: then one of these comes as
 * read->result with on_done.  read->result is set in either case. */
enum err store_get(struct store_conn *conn, struct store_read *read);

/* On the conn's thread.  OK, or ERR_STORE, ERR_INVALID (lengths), ERR_NOMEM,
 * ERR_CLOSED, ERR_REFUSED (an engine that has no order of keys); takes time
 * with max only. */
enum err store_scan(struct store_conn *conn, struct store_scan *scan);

/* Takes the next key off *keys (at first: the slice of scan->keys), with its
 * expiry (0: never; it may be over); false at the end. */
bool store_scan_next(struct slice *keys, struct slice *key, uint64_t *expires);

/* On the conn's thread.  PENDING, and on_done comes on the conn's loop with
 * result OK (it is on disk), ERR_CONFLICT (a check failed, nothing was
 * written), ERR_STORE or ERR_NOMEM; err_text() is set.  commit, its writes,
 * keys and values stay alive until then, and are the caller's again in
 * on_done.  Anything else (ERR_INVALID: lengths, ERR_NOMEM, ERR_CLOSED,
 * ERR_STORE: not sealed) is at once, and no on_done comes. */
enum err store_put(struct store_conn *conn, struct store_commit *commit);

/* From any thread, while the store is open or a conn is attached. */
void store_stat(struct store *store, struct store_stat *out);
