/* keyring.h -- a user's latest session keys, newest first.
 *
 * A platform may replace the key between login and decryption, so open data
 * is tried against each key in turn.  A key is kept as the platform's text:
 * signatures take the text itself, ciphers its decoded bytes.  A dropped key
 * is wiped.
 *
 * `struct keyring ring = { 0 };` is empty and ready.  Pure functions; `now`
 * is in unix seconds.  One thread at a time. */
#pragma once
#include "base/buf.h"
#include <stdint.h>

enum {
    KEYRING_MAX = 12,
    KEYRING_TEXT = 64,
    KEYRING_FRESH = 10 /* s: no key so young is dropped for number */
};

enum keyring_verdict {
    KEYRING_UNKNOWN, /* not known whether the platform still holds it */
    KEYRING_GOOD,    /* so the last login or check said */
    KEYRING_STALE    /* a check said no; data sealed before may still open */
};

struct session_key {
    char text[KEYRING_TEXT]; /* no NUL at the end */
    uint8_t len;
    uint8_t verdict;   /* enum keyring_verdict */
    uint64_t learnt;   /* when a login brought it last */
    uint64_t used;     /* when it last opened or signed; 0: never */
    uint64_t verified; /* when the verdict was given; 0: never */
    uint64_t checked;  /* when the platform was asked last; 0: never */
};

struct keyring {
    unsigned count;
    struct session_key keys[KEYRING_MAX];
};

/* The key's text; lives as long as the ring is not changed. */
static inline struct slice keyring_text(const struct session_key *key)
{
    return (struct slice){ key->text, key->len };
}

/* A login that was sent at `now` brought this key: it stands before those of
 * the same second and of earlier calls, whoever is heard first, and is good.  A
 * key that the ring has already moves there and keeps when it was used; a full
 * ring drops its oldest.  False, and nothing done, where text is empty or over
 * KEYRING_TEXT. */
bool keyring_push(struct keyring *ring, struct slice text, uint64_t now);

/* Drops all but the newest `keep` keys and those of the last KEYRING_FRESH
 * seconds, and those that were learnt more than
 * `window` seconds ago (0: age does not matter). */
void keyring_trim(struct keyring *ring, uint64_t now, unsigned keep,
                  uint64_t window);

/* Key number rank (0: the newest) worked. */
void keyring_used(struct keyring *ring, unsigned rank, uint64_t now);

/* A check of key number rank ended so. */
void keyring_judge(struct keyring *ring, unsigned rank,
                   enum keyring_verdict verdict, uint64_t now);

/* The platform was asked about the newest key, whatever it said. */
void keyring_checked(struct keyring *ring, uint64_t now);

/* "good", "stale", "unknown". */
const char *keyring_verdict_name(enum keyring_verdict verdict);

/* Appends the ring's binary form (secret: seal it, wipe the buf). */
void keyring_encode(const struct keyring *ring, struct buf *out);

/* Reads exactly what keyring_encode writes.  False on anything else; the
 * ring is empty then.  What the ring held is wiped either way. */
bool keyring_decode(struct keyring *ring, struct slice bytes);

/* Empties it and leaves nothing behind. */
void keyring_wipe(struct keyring *ring);
