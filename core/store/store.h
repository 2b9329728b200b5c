/* store.h -- lasting records: key -> value with a version and an expiry.
 *
 * One struct store for the process, one struct store_conn for each thread
 * that uses it.  Values are sealed on the caller's thread before they leave
 * it; keys are stored as they are, so secret ones are hashed by the caller.
 * Writes are answered after their commit is on disk, or has been taken by
 * Redis (redis.h). */
#pragma once
#include "base/buf.h"
#include "base/mailbox.h"
#include "store/redis_trip.h"
#include <stdint.h>

enum {
    STORE_KEY_MAX = 400,
    STORE_VALUE_MAX = 1024 * 1024,
    STORE_GRACE = 60, /* seconds that a mark stands without Redis */
};

struct seal_keys;
struct store;
struct store_conn;

/* What was read of a key, for asking later whether it is still that. */
struct store_mark {
    uint64_t version;       /* never 0 where something was read */
    uint64_t expires;       /* unix seconds, 0: never */
    uint32_t bucket, count; /* changes.h; over a network: read when */
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
    struct store_conn *conn; /* the store's own, and what follows */
    struct redis_trip trip;
    void (*on_record)(struct store_read *read, enum err e, struct slice record);
};

struct store_write {
    struct slice key, value;
    uint64_t expires;    /* unix seconds, 0: never */
    bool remove;         /* value and expires do not count */
    bool check;          /* write only if the version there is still expect */
    uint64_t expect;     /* 0: no such record, or an expired one */
    uint64_t version;    /* given by store_put: the new record's, random */
    bool resealed;       /* the record keeps its version */
    struct slice record; /* the store's own, and what follows */
    uint16_t slot;
    bool sent;
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
    struct redis_trip trip;
    bool checking;
    uint64_t began;
    void (*on_settled)(struct store_commit *commit, enum err e);
};

enum { STORE_POSITION = 48, STORE_AFTER_MAX = 8 + STORE_KEY_MAX };

/* Keys that begin with prefix, in order; over Redis without one, a key may come
 * twice, and any number of keys of other prefixes is looked at.  A scan that
 * only counts has its own order, in which keys holds what it looked at last. */
struct store_scan {
    struct slice prefix;
    bool counts;        /* tell how many of them expire after beyond, */
    uint64_t beyond;    /* unix seconds */
    struct slice after; /* only keys beyond it (Redis: where next was); none:
                         * from the start; it lives until the answer */
    unsigned max;       /* how many to look at, expired ones too */
    struct buf keys;    /* the caller's, emptied first: for store_scan_next */
    uint64_t count;     /* where it counts */
    bool more;          /* there may be keys beyond the last one */
    char next[STORE_POSITION]; /* Redis: after for what follows */
    enum err result;
    void (*on_done)(struct store_scan *scan); /* only after PENDING */
    void *user;
};

struct store_stat {
    char engine[24];  /* "lmdb", "redis"; never the rest of the URL */
    uint64_t records; /* expired ones count until they are swept */
    uint64_t bytes;   /* used on disk, or of memory */
    uint64_t commits; /* commits answered with OK */
    uint64_t conflicts;
    uint64_t batches;  /* transactions that these took */
    uint64_t failures; /* transactions that failed */
    uint64_t swept;    /* expired records removed */
    uint64_t usec;     /* spent in transactions, microseconds */
    char error[256];   /* why the last one failed; "" where none did */
    bool failing;      /* writing does not work, or Redis is away */
};

/* Opens "lmdb:DIR" (DIR is made where it is absent, mode 0700), "memory:" or
 * a URL of redis_url.h; a Redis that is merely away is a line in the log.
 * Takes a reference of keys.  Starts a thread, so a daemon forks before it.
 * Errors have one line of text fit for an operator: ERR_CONFIG for the URL,
 * ERR_STORE for the rest, ERR_NOMEM. */
enum err store_open(struct store **out, const char *url,
                    struct seal_keys *keys);

/* Whether store_open would work, for a store that is there; changes nothing in
 * it.  Errors as store_open's. */
enum err store_check(const char *url, struct seal_keys *keys);

/* Commits and answers all that was handed over, then takes no more writes.
 * Conns may be detached before or after it, on their own threads, and read
 * until then; the directory is free again when all is let go. */
void store_close(struct store *store);

/* A conn for the thread that runs loop.  It does not keep the loop alive
 * while nothing is pending. */
enum err store_attach(struct store *store, uv_loop_t *loop,
                      struct store_conn **out);

/* Whether store_get may be PENDING. */
bool store_waits(const struct store_conn *conn);

/* On the conn's thread: waits until what is pending is on disk (milliseconds;
 * for Redis a second at most) and calls its on_done, then lets go.  The loop
 * must run once more, so that the handle can close.  NULL is fine. */
void store_detach(struct store_conn *conn);

/* On the conn's thread.  OK, ERR_NOT_FOUND (also: has expired), ERR_STORE
 * (cannot be read, or does not unseal), ERR_INVALID (the key's length),
 * ERR_NOMEM or ERR_CLOSED at once, or PENDING (store_waits): then one of these
 * comes as read->result with on_done, and read stays where it is until then.
 * read->result is set in either case.  While Redis is away, what mark says is
 * the same for STORE_GRACE seconds after it was last read. */
enum err store_get(struct store_conn *conn, struct store_read *read);

/* On the conn's thread.  OK, or ERR_STORE, ERR_INVALID (lengths), ERR_NOMEM,
 * ERR_CLOSED; takes time with max only.  PENDING as store_get. */
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

/* As store_put, but values are records as store_walk gives them: version and
 * expiry are theirs. */
enum err store_restore(struct store_conn *conn, struct store_commit *commit);

/* A visitor of all records, also expired ones. */
struct store_walk {
    /* false: enough, or err_text() says what is wrong. */
    bool (*each)(struct store_walk *walk, struct slice key,
                 struct slice record);
};

/* Opens what another process may be writing to.  Nothing can be attached. */
enum err store_open_to_read(struct store **out, const char *url,
                            struct seal_keys *keys);

/* On the caller's thread, as long as it takes.  LMDB: all as it was at one
 * moment.  Redis: what is there all the while, at least once; other records
 * perhaps.  OK also where each had enough; ERR_STORE. */
enum err store_walk(struct store *store, struct store_walk *walk);

/* From any thread, while the store is open or a conn is attached. */
void store_stat(struct store *store, struct store_stat *out);
