/* keys_record.h -- what a store on disk notes of the master keys that seal it.
 *
 * A sealed record of its own, in hex: [count 1][key id 4]... of all keys that
 * have sealed here, then seal_keys' lookup, so that keyed hashes outlive a
 * rotation.  A key that is missing is told at the start, not by every record
 * that does not open later. */
#pragma once
#include "crypto/seal_keys.h"
#include "store/engine.h"

#define KEYS_RECORD "latchkey/keys"

/* Before the writer starts: compares the note with keys, brings it up to date
 * and gives keys the store's lookup.  ERR_CONFIG where a key is missing that
 * records still want; ERR_STORE, ERR_NOMEM.  err_text() is one line. */
enum err keys_record_settle(const struct store_engine *engine, void *db,
                            struct seal_keys *keys);

/* The same without bringing it up to date, for a store that is only read. */
enum err keys_record_check(const struct store_engine *engine, void *db,
                           struct seal_keys *keys);
