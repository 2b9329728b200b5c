/* rsa.c -- RSA with PKCS#1 v1.5 padding.
 *
 * OpenSSL gives the raw block and the padding is taken off here: what its own
 * unpadding does with a bad one depends on its version. */
#include "crypto/rsa.h"
#include "crypto/secret.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdint.h>

enum { BITS_MIN = 1024, BLOCK_MAX = 1024, PAD = 11, PEM_MAX = 65536 };

/* A key with a passphrase is no key: nobody is asked at the terminal. */
static int no_passphrase(char *out, int size, int writes, void *user)
{
    (void)out, (void)size, (void)writes, (void)user;
    return -1;
}

static EVP_PKEY *read_key(struct slice pem, bool public)
{
    EVP_PKEY *key = NULL;
    if (!pem.len || pem.len > PEM_MAX)
        return NULL;
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    if (bio && public)
        key = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    else if (bio)
        key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (key && (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA ||
                EVP_PKEY_get_bits(key) < BITS_MIN ||
                EVP_PKEY_get_size(key) > BLOCK_MAX)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

/* All ones where x is 0, else 0. */
static uint32_t if_zero(uint32_t x)
{
    return (uint32_t)((int32_t)(~x & (x - 1)) >> 31);
}

/* Where the text of the block 00 02 (8 or more non-zeros) 00 text begins; 0:
 * the block is none.  In constant time. */
static size_t text_start(const uint8_t *block, size_t len)
{
    uint32_t good = if_zero(block[0]) & if_zero(block[1] ^ 2);
    uint32_t looking = ~0U, at = 0;
    for (size_t i = 2; i < len; i++) {
        uint32_t end = looking & if_zero(block[i]);
        at |= end & (uint32_t)(i + 1);
        looking &= ~end;
    }
    good &= ~looking;
    good &= ~(uint32_t)((int32_t)(at - PAD) >> 31); /* at >= PAD */
    return at & good;
}

static bool open_block(EVP_PKEY_CTX *ctx, const uint8_t *sealed, size_t len,
                       struct buf *out)
{
    uint8_t block[BLOCK_MAX];
    size_t size = sizeof block;
    bool ok =
        EVP_PKEY_decrypt(ctx, block, &size, sealed, len) == 1 && size == len;
    size_t start = ok ? text_start(block, len) : 0;
    if (start)
        buf_add(out, SLICE_OF(block + start, len - start));
    secret_wipe(block, sizeof block);
    return start != 0;
}

static bool open_all(EVP_PKEY *key, struct slice sealed, struct buf *out)
{
    size_t size = (size_t)EVP_PKEY_get_size(key);
    const uint8_t *at = (const uint8_t *)sealed.data;
    bool ok = sealed.len && sealed.len % size == 0;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    ok = ok && ctx && EVP_PKEY_decrypt_init(ctx) == 1 &&
         EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1;
    for (size_t i = 0; ok && i < sealed.len; i += size)
        ok = open_block(ctx, at + i, size, out);
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

enum err rsa_open(struct slice pem, struct slice sealed, struct buf *out)
{
    struct buf text = { 0 };
    EVP_PKEY *key = sealed.len <= RSA_SEALED_MAX ? read_key(pem, false) : NULL;
    bool ok =
        key && buf_reserve(&text, sealed.len) && open_all(key, sealed, &text);
    EVP_PKEY_free(key); /* wipes it */
    ERR_clear_error();
    if (ok)
        buf_add(out, buf_slice(&text));
    buf_wipe(&text);
    if (!ok)
        return err_set(ERR_REFUSED, "the data does not open");
    return buf_ok(out) ? OK : ERR_NOMEM;
}

static bool seal_all(EVP_PKEY_CTX *ctx, size_t size, struct slice plain,
                     struct buf *out)
{
    do { /* an empty text has a block too */
        size_t len = plain.len < size - PAD ? plain.len : size - PAD;
        size_t room = size;
        uint8_t block[BLOCK_MAX];
        if (EVP_PKEY_encrypt(ctx, block, &room, (const uint8_t *)plain.data,
                             len) != 1)
            return false;
        buf_add(out, SLICE_OF(block, room));
        plain = slice_from(plain, len);
    } while (plain.len);
    return true;
}

enum err rsa_seal(struct slice pem, struct slice plain, struct buf *out)
{
    EVP_PKEY *key = read_key(pem, true);
    EVP_PKEY_CTX *ctx = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    bool ok = ctx && EVP_PKEY_encrypt_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
              seal_all(ctx, (size_t)EVP_PKEY_get_size(key), plain, out);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (!ok)
        return err_set(ERR_INVALID, "no RSA key to seal for");
    return buf_ok(out) ? OK : ERR_NOMEM;
}
