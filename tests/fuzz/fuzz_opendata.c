/* fuzz_opendata.c -- stored rings and open data, of any bytes.
 *
 * The first byte says what the rest is: a stored ring, encryptedData as a
 * caller sends it, or what a platform sealed under a key of the ring. */
#include "base/text.h"
#include "crypto/cipher.h"
#include "login/opendata.h"
#include <stdlib.h>

#define IV "MDEyMzQ1Njc4OTo7PD0+Pw=="

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key[16] = "0123456789abcdef";
static struct keyring ring; /* that key, and one that is none */

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* One form for each ring, and an older one that is still read. */
static void decode_ring(struct slice in)
{
    struct keyring read = { 0 }, same = { 0 };
    struct buf form = { 0 };
    if (keyring_decode(&read, in)) {
        keyring_encode(&read, &form);
        check(form.data[0] != in.data[0] || slice_eq(buf_slice(&form), in));
        check(keyring_decode(&same, buf_slice(&form)));
        check(!memcmp(&same, &read, sizeof read));
    } else {
        check(read.count == 0);
    }
    keyring_wipe(&read);
    keyring_wipe(&same);
    buf_wipe(&form);
}

static enum err open_text(struct slice text, bool strict)
{
    struct opendata_rules rules = { .appid = SLICE("wx1"),
                                    .openid = SLICE("o1"),
                                    .now = 1700000000,
                                    .max_age = strict ? 600 : 0,
                                    .skew = 120,
                                    .need_phone = strict,
                                    .need_watermark = strict };
    struct opendata out;
    enum err e = opendata_open(&ring, text, SLICE(IV), &rules, &out);
    check((e == OK) == (out.object != NULL));
    check((e == OK) == (out.cause == OPENDATA_OPEN));
    check(out.rank < (int)ring.count && (e != OK || out.rank >= 0));
    json_t *watermark = json_object_get(out.object, "watermark");
    check(!out.object || !strict || json_is_object(watermark));
    json_decref(out.object);
    return e;
}

static void open_sealed(struct slice plain, bool strict)
{
    struct buf raw = { 0 }, text = { 0 };
    json_t *object = opendata_parse(plain);
    check(cipher_cbc_encrypt(SLICE_OF(key, sizeof key),
                             (const uint8_t *)"0123456789:;<=>?", plain,
                             &raw) == OK);
    text_base64(&text, buf_slice(&raw));
    enum err e = open_text(buf_slice(&text), strict);
    check((e == ERR_INVALID) == (raw.len > OPENDATA_MAX));
    check(e != OK || object); /* nothing opens but an object */
    json_decref(object);
    buf_free(&raw);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!ring.count) {
        keyring_push(&ring, SLICE("MDEyMzQ1Njc4OWFiY2RlZg=="), 1);
        keyring_push(&ring, SLICE("no key of AES"), 2);
    }
    struct slice in = slice_from(SLICE_OF(data, size), 1);
    switch (size ? data[0] : 0) {
    case 'r':
        decode_ring(in);
        break;
    case 't':
        open_text(in, true);
        break;
    case 's':
        open_sealed(in, true);
        break;
    case 'l':
        open_sealed(in, false);
        break;
    default:
        break;
    }
    return 0;
}
