/* record.h -- a stored record: a plain header, then what is sealed.
 *
 *   [format 1][version u64 LE][expires u64 LE][sealed value]
 *
 * The header is part of what the seal vouches for (its aad is key + header),
 * so that the writer may read it without keys, and nobody may change it. */
#pragma once
#include "base/buf.h"
#include "crypto/seal.h"
#include <stdint.h>

enum { RECORD_FORMAT = 1, RECORD_HEAD = 17 };

struct record_head {
    uint64_t version, expires;
};

struct store_write;

void record_write_head(struct record_head head, uint8_t out[RECORD_HEAD]);

/* False: too short, or of a format that we do not know. */
bool record_read_head(struct slice record, struct record_head *out);

/* What of a record is sealed: starts with the master key's id. */
static inline struct slice record_sealed(struct slice record)
{
    return slice_from(record, RECORD_HEAD);
}

/* now: unix seconds. */
static inline bool record_expired(struct record_head head, uint64_t now)
{
    return head.expires && head.expires <= now;
}

/* May write go ahead, where record is what lies under its key now (data NULL:
 * nothing)? */
bool record_allows(struct slice record, const struct store_write *write,
                   uint64_t now);

/* Appends a record for key to out. */
enum err record_seal(struct sealer *sealer, struct slice key,
                     struct record_head head, struct slice value,
                     struct buf *out);

/* Appends the value of key's record to out.  ERR_CONFIG: its master key is not
 * among ours; ERR_STORE: err_text() says whether the format or the record is
 * wrong; ERR_NOMEM. */
enum err record_open(struct sealer *sealer, struct slice key,
                     struct slice record, struct buf *out);
