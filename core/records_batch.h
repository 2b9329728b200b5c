/* records_batch.h -- many records into a store, some hundred in a commit. */
#pragma once
#include "base/arena.h"
#include "store/store.h"

enum { RECORDS_BATCH = 256, RECORDS_BATCH_BYTES = 8 << 20 };

struct records_batch {
    struct store *store;
    uv_loop_t loop;
    struct store_conn *conn;
    struct store_write writes[RECORDS_BATCH];
    struct arena arena;
    size_t bytes;
    unsigned count;
    uint64_t done; /* records written */
};

/* Opens the store at url; keys outlive the batch.  It has a loop of its own,
 * and may wait. */
enum err records_batch_open(struct records_batch *b, const char *url,
                            struct seal_keys *keys);

/* expect 0: value is a sealed record, written over what is there.  Else a
 * value to be sealed, written only if that version is still there. */
enum err records_batch_add(struct records_batch *b, struct slice key,
                           struct slice value, uint64_t expect,
                           uint64_t expires);

/* Writes what is gathered and waits until it is in the store. */
enum err records_batch_flush(struct records_batch *b);

/* Fine where it was never opened. */
void records_batch_close(struct records_batch *b);
