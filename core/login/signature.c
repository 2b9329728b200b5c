/* signature.c -- signatures made with a session key's text. */
#include "login/signature.h"
#include "base/text.h"
#include "crypto/secret.h"

static int rank_of(const struct keyring *ring, struct slice raw_data,
                   struct slice sha1)
{
    int rank = -1;
    uint8_t ours[DIGEST_SHA1];
    for (unsigned i = 0; i < ring->count; i++) {
        digest_sha1_pair(raw_data, keyring_text(&ring->keys[i]), ours);
        if (secret_equal(SLICE_OF(ours, sizeof ours), sha1) && rank < 0)
            rank = (int)i;
    }
    secret_wipe(ours, sizeof ours);
    return rank;
}

int signature_rank(const struct keyring *ring, struct slice raw_data,
                   struct slice signature)
{
    struct buf sha1 = { 0 };
    int rank = -1;
    if (signature.len == 2 * DIGEST_SHA1 && text_unhex(&sha1, signature))
        rank = rank_of(ring, raw_data, buf_slice(&sha1));
    buf_free(&sha1);
    return rank;
}

void signature_hmac(struct slice key_text, struct slice message,
                    char out[SIGNATURE_HMAC])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t mac[DIGEST_SHA256];
    digest_hmac_sha256(key_text, message, mac);
    for (size_t i = 0; i < sizeof mac; i++) {
        *out++ = digits[mac[i] >> 4];
        *out++ = digits[mac[i] & 15];
    }
    *out = '\0';
}
