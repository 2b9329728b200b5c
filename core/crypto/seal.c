/* seal.c -- AES-256-GCM for what is stored.
 *
 * Every key has contexts that stay keyed, so that a record costs a nonce and
 * its bytes, not a key schedule.  Nonces are drawn many at a time: asking
 * for 12 random bytes costs more than sealing with them. */
#include "crypto/seal.h"
#include "crypto/secret.h"
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { NONCES = 32, HEAD = SEAL_KEY_ID + SEAL_NONCE };

struct sealer {
    struct seal_keys *keys;
    EVP_CIPHER_CTX *seal; /* of the newest key */
    EVP_CIPHER_CTX *open[SEAL_KEYS_MAX];
    unsigned left; /* nonces not used yet */
    uint8_t nonces[NONCES][SEAL_NONCE];
};

static EVP_CIPHER_CTX *keyed(const EVP_CIPHER *gcm, const struct seal_key *key,
                             bool encrypt)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx && EVP_CipherInit_ex2(ctx, gcm, key->bytes, NULL, encrypt, NULL))
        return ctx;
    EVP_CIPHER_CTX_free(ctx);
    return NULL;
}

static bool key_all(struct sealer *s)
{
    EVP_CIPHER *gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    bool ok = gcm && (s->seal = keyed(gcm, &s->keys->keys[0], true));
    for (unsigned i = 0; ok && i < s->keys->count; i++)
        ok = (s->open[i] = keyed(gcm, &s->keys->keys[i], false));
    EVP_CIPHER_free(gcm); /* each context holds its own reference */
    return ok;
}

static bool draw_nonce(struct sealer *s, char *to)
{
    if (!s->left) {
        if (!secret_random(s->nonces, sizeof s->nonces))
            return false;
        s->left = NONCES;
    }
    memcpy(to, s->nonces[--s->left], SEAL_NONCE);
    return true;
}

/* Runs aad and in through ctx, which has its nonce.  False: no memory. */
static bool run(EVP_CIPHER_CTX *ctx, struct slice aad, struct slice in,
                char *out)
{
    int n;
    if (aad.len && !EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)aad.data,
                                     (int)aad.len))
        return false;
    return !in.len || EVP_CipherUpdate(ctx, (uint8_t *)out, &n,
                                       (const uint8_t *)in.data, (int)in.len);
}

static bool encrypt(struct sealer *s, struct slice aad, struct slice plain,
                    char *to)
{
    const uint8_t *nonce = (uint8_t *)to + SEAL_KEY_ID;
    char *body = to + HEAD;
    uint8_t none[1];
    int n;
    return EVP_EncryptInit_ex2(s->seal, NULL, NULL, nonce, NULL) &&
           run(s->seal, aad, plain, body) &&
           EVP_EncryptFinal_ex(s->seal, none, &n) &&
           EVP_CIPHER_CTX_ctrl(s->seal, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG,
                               body + plain.len);
}

static bool decrypt(EVP_CIPHER_CTX *ctx, struct slice aad, struct slice sealed,
                    char *to)
{
    const uint8_t *nonce = (const uint8_t *)sealed.data + SEAL_KEY_ID;
    struct slice body = { sealed.data + HEAD, sealed.len - SEAL_OVERHEAD };
    uint8_t tag[SEAL_TAG], none[1];
    int n;
    memcpy(tag, body.data + body.len, SEAL_TAG);
    return EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, NULL) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG, tag) &&
           run(ctx, aad, body, to) && EVP_DecryptFinal_ex(ctx, none, &n) > 0;
}

/* The number of the key that sealed it, or -1. */
static int key_of(const struct seal_keys *keys, struct slice sealed)
{
    for (unsigned i = 0; i < keys->count; i++)
        if (!memcmp(keys->keys[i].id, sealed.data, SEAL_KEY_ID))
            return (int)i;
    return -1;
}

struct sealer *sealer_new(struct seal_keys *keys)
{
    struct sealer *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->keys = seal_keys_ref(keys);
    if (key_all(s))
        return s;
    sealer_free(s);
    return NULL;
}

void sealer_free(struct sealer *s)
{
    if (!s)
        return;
    EVP_CIPHER_CTX_free(s->seal); /* wipes the key schedule */
    for (unsigned i = 0; i < SEAL_KEYS_MAX; i++)
        EVP_CIPHER_CTX_free(s->open[i]);
    seal_keys_free(s->keys);
    free(s);
}

enum err seal_put(struct sealer *s, struct slice aad, struct slice plain,
                  struct buf *out)
{
    if (plain.len > INT_MAX || aad.len > INT_MAX)
        return ERR_TOO_LARGE;
    char *to = buf_reserve(out, plain.len + SEAL_OVERHEAD);
    if (!to)
        return ERR_NOMEM;
    memcpy(to, s->keys->keys[0].id, SEAL_KEY_ID);
    if (!draw_nonce(s, to + SEAL_KEY_ID))
        return err_set(ERR_IO, "no randomness to seal with");
    if (!encrypt(s, aad, plain, to))
        return ERR_NOMEM;
    out->len += plain.len + SEAL_OVERHEAD;
    return OK;
}

enum err seal_open(struct sealer *s, struct slice aad, struct slice sealed,
                   struct buf *plain)
{
    if (sealed.len < SEAL_OVERHEAD || sealed.len > INT_MAX || aad.len > INT_MAX)
        return ERR_REFUSED;
    int rank = key_of(s->keys, sealed);
    if (rank < 0)
        return ERR_NOT_FOUND;
    size_t len = sealed.len - SEAL_OVERHEAD;
    char *to = buf_reserve(plain, len);
    if (!to)
        return ERR_NOMEM;
    if (!decrypt(s->open[rank], aad, sealed, to)) {
        secret_wipe(to, len); /* not authentic: nobody may see it */
        return ERR_REFUSED;
    }
    plain->len += len;
    return OK;
}

bool seal_is_newest(const struct seal_keys *keys, struct slice sealed)
{
    return sealed.len >= SEAL_KEY_ID && key_of(keys, sealed) == 0;
}

void seal_mac(const struct seal_keys *keys, struct slice label,
              struct slice data, uint8_t out[DIGEST_SHA256])
{
    uint8_t subkey[DIGEST_SHA256];
    digest_hmac_sha256(SLICE_OF(keys->lookup, SEAL_LOOKUP), label, subkey);
    digest_hmac_sha256(SLICE_OF(subkey, sizeof subkey), data, out);
    secret_wipe(subkey, sizeof subkey);
}
