/* token.h -- our session tokens: lk_, 256 random bits, a checksum.
 *
 *   lk_ [43 base64url][6 base64url: CRC-32 of what is before]
 *
 * The checksum turns typing errors and strangers' tokens away without a
 * look into the store; it keeps nothing secret.  Only the hash is stored.
 * Any thread. */
#pragma once
#include "base/slice.h"
#include "crypto/digest.h"

enum { TOKEN_LEN = 3 + 43 + 6, TOKEN_HASH = DIGEST_SHA256 };

/* A new token, NUL-terminated; wipe it when it has been sent.  False where
 * there is no randomness or memory. */
bool token_make(char out[TOKEN_LEN + 1]);

/* False where text is not a token by its form; else its SHA-256, by which
 * sessions are stored. */
bool token_parse(struct slice text, uint8_t hash[TOKEN_HASH]);
