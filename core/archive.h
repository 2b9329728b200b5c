/* archive.h -- a store's records in a file, sealed as they are in the store.
 *
 *   "latchkey records 1\n"
 *   [key length u16 LE][record length u32 LE][key][record] ...
 *   [0 u16][0 u32][count u64 LE][digest 32]
 *
 * The digest is of all records, each with the digest before it, so that what
 * is cut short, changed or out of order is known. */
#pragma once
#include "base/buf.h"
#include "crypto/digest.h"
#include <stdint.h>
#include <stdio.h>

struct archive {
    FILE *file; /* the caller's */
    uint64_t count;
    uint8_t digest[DIGEST_SHA256];
    struct buf bytes; /* the last key and record */
};

/* ERR_IO. */
enum err archive_create(struct archive *a, FILE *file);
enum err archive_add(struct archive *a, struct slice key, struct slice record);

/* Writes the end; it is on disk where the file is on one. */
enum err archive_end(struct archive *a);

/* ERR_INVALID: it is none. */
enum err archive_open(struct archive *a, FILE *file);

/* key and record live until the next call.  ERR_NOT_FOUND: a good end;
 * ERR_INVALID: cut short or damaged; ERR_NOMEM. */
enum err archive_next(struct archive *a, struct slice *key,
                      struct slice *record);

/* Frees the buffer; the file stays the caller's. */
void archive_fini(struct archive *a);
