/* engine.h -- what keeps records on this machine: LMDB, or memory.
 *
 * An engine knows records as bytes under keys, and their header.  Readers
 * belong to one thread each; the transaction belongs to the writer thread. */
#pragma once
#include "store/store.h"

struct store_engine {
    const char *scheme; /* of the URL */

    /* where: what follows the scheme's colon. */
    enum err (*open)(void **db, const char *where);
    void (*close)(void *db); /* after the last reader */

    /* Only walk and close may follow. */
    enum err (*open_to_read)(void **db, const char *where);

    enum err (*walk)(void *db, struct store_walk *walk);

    /* Any thread; fills records and bytes. */
    void (*stat)(void *db, struct store_stat *out);

    enum err (*reader_open)(void *db, void **reader);
    void (*reader_close)(void *reader);

    /* OK: record stays as it is until release, which must come soon, as the
     * reader holds old pages (or a lock) until then. */
    enum err (*get)(void *reader, struct slice key, struct slice *record);
    void (*release)(void *reader);

    /* Adds up to scan->max keys to scan->keys with store_scanned, or counts so
     * many, and sets scan->more.  Needs no release. */
    enum err (*scan)(void *reader, struct store_scan *scan);

    /* Whether a record that has not expired is sealed by the master key of
     * this id; reads all of them.  NULL: its records end with the process. */
    bool (*has_seal)(void *reader, const uint8_t *id, uint64_t now);

    /* From here to commit: ERR_TOO_LARGE is a transaction that did not fit,
     * and will if it is begun again. */
    enum err (*begin)(void *db);

    /* ERR_CONFLICT and ERR_NOMEM: nothing of set was written and the
     * transaction goes on; anything else: it can only be aborted. */
    enum err (*apply)(void *db, const struct store_commit *set, uint64_t now);

    /* Removes up to max records that have expired by now. */
    enum err (*sweep)(void *db, uint64_t now, unsigned max, unsigned *removed);

    enum err (*commit)(void *db); /* ends the transaction, also on errors */
    void (*abort)(void *db);
};

/* For scan: notes a key and its record, or counts it. (store.c) */
void store_scanned(struct store_scan *scan, struct slice key,
                   struct slice record);

/* For a scan that counts: notes where it is, and whether that counts.
 * (store.c) */
void store_counted(struct store_scan *scan, struct slice at, bool counts);

extern const struct store_engine lmdb_engine, memory_engine;
