/* digest.c -- hashes and keyed hashes in one call.
 *
 * Algorithms are fetched once: naming them anew costs more than hashing a
 * token does. */
#include "crypto/digest.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

static struct {
    EVP_MD *md5, *sha1, *sha256;
    EVP_MAC *hmac;
} algorithms; /* for the life of the process */

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void fetch(void)
{
    algorithms.md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    algorithms.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    algorithms.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    algorithms.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(algorithms.sha1 && algorithms.sha256 && algorithms.hmac);
}

static void ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fetch);
}

static void hash(const EVP_MD *md, struct slice a, struct slice b, uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    must(md && ctx && EVP_DigestInit_ex2(ctx, md, NULL) &&
         EVP_DigestUpdate(ctx, a.data, a.len) &&
         EVP_DigestUpdate(ctx, b.data, b.len) &&
         EVP_DigestFinal_ex(ctx, out, NULL));
    EVP_MD_CTX_free(ctx);
}

static void hmac(char *md, struct slice key, struct slice data, uint8_t *out,
                 size_t size)
{
    ready();
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, md, 0),
        OSSL_PARAM_construct_end(),
    };
    /* A NULL key would mean "the one of before". */
    const char *bytes = key.len ? key.data : "";
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(algorithms.hmac);
    must(ctx && EVP_MAC_init(ctx, (const uint8_t *)bytes, key.len, params) &&
         EVP_MAC_update(ctx, (const uint8_t *)data.data, data.len) &&
         EVP_MAC_final(ctx, out, &size, size));
    EVP_MAC_CTX_free(ctx);
}

void digest_md5(struct slice data, uint8_t out[DIGEST_MD5])
{
    ready();
    hash(algorithms.md5, data, SLICE_NONE, out);
}

void digest_sha1(struct slice data, uint8_t out[DIGEST_SHA1])
{
    digest_sha1_pair(data, SLICE_NONE, out);
}

void digest_sha256(struct slice data, uint8_t out[DIGEST_SHA256])
{
    digest_sha256_pair(data, SLICE_NONE, out);
}

void digest_sha1_pair(struct slice a, struct slice b, uint8_t out[DIGEST_SHA1])
{
    ready();
    hash(algorithms.sha1, a, b, out);
}

void digest_sha256_pair(struct slice a, struct slice b,
                        uint8_t out[DIGEST_SHA256])
{
    ready();
    hash(algorithms.sha256, a, b, out);
}

void digest_hmac_sha1(struct slice key, struct slice data,
                      uint8_t out[DIGEST_SHA1])
{
    hmac("SHA1", key, data, out, DIGEST_SHA1);
}

void digest_hmac_sha256(struct slice key, struct slice data,
                        uint8_t out[DIGEST_SHA256])
{
    hmac("SHA256", key, data, out, DIGEST_SHA256);
}
