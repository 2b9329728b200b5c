/* seal.h -- AES-256-GCM for what is stored.
 *
 *   [key id 4][nonce 12, random][ciphertext][tag 16]
 *
 * The aad (what the record is and whose) is not stored; who opens must name
 * the same, so that a record moved elsewhere does not open.  Nonces are
 * random: rotate the master key before some 2^32 records were sealed by it
 * (NIST SP 800-38D section 8.3). */
#pragma once
#include "base/buf.h"
#include "crypto/digest.h"
#include "crypto/seal_keys.h"

enum { SEAL_NONCE = 12, SEAL_TAG = 16 };

/* What sealing adds to the plain text's length. */
enum { SEAL_OVERHEAD = SEAL_KEY_ID + SEAL_NONCE + SEAL_TAG };

/* One thread's keyed contexts.  Never use one on both sides of a fork: the
 * two would draw the same nonces. */
struct sealer;

/* Takes a reference of keys.  NULL: no memory. */
struct sealer *sealer_new(struct seal_keys *keys);

/* Wipes; NULL is fine. */
void sealer_free(struct sealer *s);

/* Appends plain, sealed by the newest key.  ERR_NOMEM, or ERR_IO where there
 * is no randomness; then nothing is appended. */
enum err seal_put(struct sealer *s, struct slice aad, struct slice plain,
                  struct buf *out);

/* Appends what sealed holds.  ERR_NOT_FOUND: sealed by a key that is not
 * among ours.  ERR_REFUSED: too short, changed, or not of this aad.
 * ERR_NOMEM.  After any error nothing is appended. */
enum err seal_open(struct sealer *s, struct slice aad, struct slice sealed,
                   struct buf *plain);

/* False: the record wants sealing anew, as its key has been followed. */
bool seal_is_newest(const struct seal_keys *keys, struct slice sealed);

/* A keyed hash for looking up what must not be stored as it is (codes,
 * phones): HMAC-SHA256 under a subkey of keys->lookup for this label.  Any
 * thread. */
void seal_mac(const struct seal_keys *keys, struct slice label,
              struct slice data, uint8_t out[DIGEST_SHA256]);
