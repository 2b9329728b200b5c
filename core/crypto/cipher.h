/* cipher.h -- AES-CBC as the platforms use it, with strict PKCS#7.
 *
 * The key's length chooses AES-128, -192 or -256.  Any thread: each keeps
 * contexts of its own until it ends, with the last key's schedule in them.
 *
 * CBC does not authenticate.  Whoever tells a caller that padding was bad,
 * and not something else, has built a padding oracle. */
#pragma once
#include "base/buf.h"
#include <stdint.h>

enum { CIPHER_BLOCK = 16 };

/* 16, 24 or 32 bytes. */
bool cipher_key_fits(size_t len);

/* Decrypts data into out (data.len bytes, the caller's) and leaves the
 * padding on.  ERR_INVALID: the key does not fit, data is empty or not whole
 * blocks.  ERR_TOO_LARGE: from 2 GB.  ERR_NOMEM. */
enum err cipher_cbc_raw(struct slice key, const uint8_t iv[CIPHER_BLOCK],
                        struct slice data, uint8_t *out);

/* How many bytes of padding end these whole blocks: 1 to 16, all equal; 0
 * where they are anything else.  In constant time. */
size_t cipher_unpad(const uint8_t *blocks, size_t len);

/* Appends what data says without its padding.  ERR_REFUSED: bad padding, so
 * most likely another key; else as cipher_cbc_raw, or ERR_NOMEM.  After any
 * error nothing is appended. */
enum err cipher_cbc_decrypt(struct slice key, const uint8_t iv[CIPHER_BLOCK],
                            struct slice data, struct buf *out);

/* Pads, encrypts and appends; errors as above. */
enum err cipher_cbc_encrypt(struct slice key, const uint8_t iv[CIPHER_BLOCK],
                            struct slice plain, struct buf *out);
