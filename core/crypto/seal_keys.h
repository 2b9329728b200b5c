/* seal_keys.h -- the master keys that seal what is stored.
 *
 * Text of base64 lines, 32 bytes each, newest first: what is sealed from now
 * on takes the first, the others still open what they sealed (rotation).
 * Immutable once loaded, so any thread may read; shared by reference. */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdatomic.h>
#include <stdint.h>

enum { SEAL_KEYS_MAX = 8, SEAL_KEY = 32, SEAL_KEY_ID = 4, SEAL_LOOKUP = 32 };

struct seal_key {
    uint8_t id[SEAL_KEY_ID]; /* of SHA-256("latchkey key id" || bytes) */
    uint8_t bytes[SEAL_KEY];
};

struct seal_keys {
    atomic_uint refs;
    unsigned count; /* at least 1 */
    struct seal_key keys[SEAL_KEYS_MAX];
    /* What seal_mac derives from: of the newest key, until a store that has
     * seen other keys brings its own, before other threads start. */
    uint8_t lookup[SEAL_LOOKUP];
};

/* Loads from "file:PATH" (as the process sees it) or "env:NAME"; blank lines
 * and lines that start with '#' do not count.  make: an absent file is made
 * with one random key, mode 0600, on disk before this returns; of several
 * processes that start at once, all load the one that came first.
 * ERR_CONFIG, with the source and line in err_text() but never the key's
 * text; ERR_IO where the file does not open or is not made; ERR_NOMEM.
 * The caller owns one reference of *out. */
enum err seal_keys_load(struct seal_keys **out, const char *spec, bool make);

/* One more reference. */
struct seal_keys *seal_keys_ref(struct seal_keys *keys);

/* Drops a reference; the last one wipes and frees.  NULL is fine. */
void seal_keys_free(struct seal_keys *keys);
