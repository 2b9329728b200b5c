/* secret.c -- what every secret needs: chance, comparing, wiping. */
#include "crypto/secret.h"
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

bool secret_random(void *out, size_t n)
{
    return n <= INT_MAX && RAND_bytes(out, (int)n) == 1;
}

bool secret_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (!a.len || !CRYPTO_memcmp(a.data, b.data, a.len));
}

void secret_wipe(void *p, size_t n)
{
    if (n)
        OPENSSL_cleanse(p, n);
}
