/* cipher.c -- AES-CBC as the platforms use it, with strict PKCS#7. */
#include "crypto/cipher.h"
#include "crypto/secret.h"
#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>

enum { KEY_SIZES = 3 };

static EVP_CIPHER *ciphers[KEY_SIZES]; /* 128, 192, 256 bits */
static pthread_key_t at_thread_end;
static _Thread_local EVP_CIPHER_CTX *contexts[KEY_SIZES];

static void free_contexts(void *thread)
{
    EVP_CIPHER_CTX **ctx = thread;
    for (int i = 0; i < KEY_SIZES; i++)
        EVP_CIPHER_CTX_free(ctx[i]); /* wipes the key */
}

static void fetch(void)
{
    ciphers[0] = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
    ciphers[1] = EVP_CIPHER_fetch(NULL, "AES-192-CBC", NULL);
    ciphers[2] = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    pthread_key_create(&at_thread_end, free_contexts);
}

/* This thread's context for keys of that many bytes, or NULL. */
static EVP_CIPHER_CTX *context(size_t key_len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t size = key_len / 8 - 2;
    if (contexts[size])
        return contexts[size];
    pthread_once(&once, fetch);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx || pthread_setspecific(at_thread_end, contexts) ||
        !EVP_CipherInit_ex2(ctx, ciphers[size], NULL, NULL, 0, NULL)) {
        EVP_CIPHER_CTX_free(ctx);
        return NULL;
    }
    EVP_CIPHER_CTX_set_padding(ctx, 0); /* ours is stricter */
    return contexts[size] = ctx;
}

/* in and out may be the same bytes. */
static enum err run(bool encrypt, struct slice key, const uint8_t *iv,
                    struct slice in, uint8_t *out)
{
    if (!cipher_key_fits(key.len) || !in.len || in.len % CIPHER_BLOCK)
        return ERR_INVALID;
    if (in.len > INT_MAX)
        return ERR_TOO_LARGE;
    EVP_CIPHER_CTX *ctx = context(key.len);
    int done;
    if (!ctx ||
        !EVP_CipherInit_ex2(ctx, NULL, (const uint8_t *)key.data, iv, encrypt,
                            NULL) ||
        !EVP_CipherUpdate(ctx, out, &done, (const uint8_t *)in.data,
                          (int)in.len))
        return ERR_NOMEM;
    return OK;
}

bool cipher_key_fits(size_t len)
{
    return len == 16 || len == 24 || len == 32;
}

enum err cipher_cbc_raw(struct slice key, const uint8_t iv[CIPHER_BLOCK],
                        struct slice data, uint8_t *out)
{
    return run(false, key, iv, data, out);
}

size_t cipher_unpad(const uint8_t *blocks, size_t len)
{
    if (len < CIPHER_BLOCK)
        return 0;
    const uint8_t *last = blocks + len - 1;
    unsigned pad = *last;
    unsigned bad = (pad - 1) >> 4; /* not 0 unless 1 to 16 */
    for (unsigned i = 0; i < CIPHER_BLOCK; i++) {
        unsigned inside = 0u - ((i - pad) >> 31); /* all ones where i < pad */
        bad |= inside & (last[-(int)i] ^ pad);
    }
    unsigned good = (bad - 1) >> 31; /* 1 where bad is 0: bad < 2^31 else */
    return pad & (0u - good);
}

enum err cipher_cbc_decrypt(struct slice key, const uint8_t iv[CIPHER_BLOCK],
                            struct slice data, struct buf *out)
{
    uint8_t *to = (uint8_t *)buf_reserve(out, data.len);
    if (!to)
        return ERR_NOMEM;
    enum err e = cipher_cbc_raw(key, iv, data, to);
    if (e)
        return e;
    size_t pad = cipher_unpad(to, data.len);
    if (!pad) {
        secret_wipe(to, data.len);
        return ERR_REFUSED;
    }
    out->len += data.len - pad;
    return OK;
}

enum err cipher_cbc_encrypt(struct slice key, const uint8_t iv[CIPHER_BLOCK],
                            struct slice plain, struct buf *out)
{
    size_t pad = CIPHER_BLOCK - plain.len % CIPHER_BLOCK;
    size_t len = plain.len + pad;
    char *to = buf_reserve(out, len);
    if (!to)
        return ERR_NOMEM;
    if (plain.len)
        memcpy(to, plain.data, plain.len);
    memset(to + plain.len, (int)pad, pad);
    enum err e = run(true, key, iv, SLICE_OF(to, len), (uint8_t *)to);
    if (!e)
        out->len += len;
    return e;
}
