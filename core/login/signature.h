/* signature.h -- signatures made with a session key's text (not its decoded
 * bytes).  Pure functions, any thread. */
#pragma once
#include "crypto/digest.h"
#include "login/keyring.h"

enum { SIGNATURE_HMAC = 2 * DIGEST_SHA256 + 1 };

/* Which key of the ring signed rawData as sent by the client (the exact
 * bytes): hex SHA-1 of rawData and the key's text.  The rank, 0 the newest;
 * -1: none.  Time does not tell which. */
int signature_rank(const struct keyring *ring, struct slice raw_data,
                   struct slice signature);

/* Lower-case hex HMAC-SHA256, NUL-terminated, as WeChat's checksession and
 * its like want it. */
void signature_hmac(struct slice key_text, struct slice message,
                    char out[SIGNATURE_HMAC]);
