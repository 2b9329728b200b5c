/* digest.h -- hashes and keyed hashes in one call.
 *
 * Any thread, no state.  None of them can fail: where OpenSSL has no memory
 * left or lacks the algorithm, the process aborts, for a wrong hash would be
 * worse. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

enum { DIGEST_MD5 = 16, DIGEST_SHA1 = 20, DIGEST_SHA256 = 32 };

void digest_md5(struct slice data, uint8_t out[DIGEST_MD5]);
void digest_sha1(struct slice data, uint8_t out[DIGEST_SHA1]);
void digest_sha256(struct slice data, uint8_t out[DIGEST_SHA256]);

/* The hash of a followed by b, without joining them first. */
void digest_sha1_pair(struct slice a, struct slice b, uint8_t out[DIGEST_SHA1]);
void digest_sha256_pair(struct slice a, struct slice b,
                        uint8_t out[DIGEST_SHA256]);

/* RFC 2104; a key of any length, none included. */
void digest_hmac_sha1(struct slice key, struct slice data,
                      uint8_t out[DIGEST_SHA1]);
void digest_hmac_sha256(struct slice key, struct slice data,
                        uint8_t out[DIGEST_SHA256]);
