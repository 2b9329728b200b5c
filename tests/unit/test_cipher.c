/* test_cipher.c -- AES-CBC and the strictness of its padding. */
#include "base/text.h"
#include "crypto/cipher.h"
#include "unit.h"
#include <pthread.h>

static const uint8_t iv[CIPHER_BLOCK] = "0123456789abcde";
static const char bytes[32] = "not a secret, but long enough!!";

static struct slice key_of(size_t len)
{
    return (struct slice){ bytes, len };
}

/* NIST SP 800-38A F.2.1, F.2.3, F.2.5: first block of each. */
static void blocks_are_those_of_nist(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "2b7e151628aed2a6abf7158809cf4f3c",
          "7649abac8119b246cee98e9b12e9197d" },
        { "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
          "4f021db243bc633d7178183a9fa071e8" },
        { "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
          "f58c4c04d6e5f1ba779eabfb5f7bfbd6" },
    };
    for (size_t i = 0; i < 3; i++) {
        struct buf key = { 0 }, sealed = { 0 }, hex = { 0 };
        uint8_t nist_iv[CIPHER_BLOCK], out[CIPHER_BLOCK];
        for (uint8_t n = 0; n < CIPHER_BLOCK; n++)
            nist_iv[n] = n;
        assert_true(text_unhex(&key, slice_str(cases[i][0])));
        assert_true(text_unhex(&sealed, slice_str(cases[i][1])));
        assert_int_equal(
            cipher_cbc_raw(buf_slice(&key), nist_iv, buf_slice(&sealed), out),
            OK);
        text_hex(&hex, SLICE_OF(out, sizeof out));
        assert_slice(buf_slice(&hex), "6bc1bee22e409f96e93d7e117393172a");
        buf_free(&key);
        buf_free(&sealed);
        buf_free(&hex);
    }
}

static void any_length_comes_back(void **state)
{
    (void)state;
    char plain[100];
    memset(plain, 'x', sizeof plain);
    for (size_t key = 16; key <= 32; key += 8)
        for (size_t len = 0; len <= sizeof plain; len++) {
            struct buf sealed = { 0 }, back = { 0 };
            struct slice text = { plain, len };
            buf_add_str(&back, "before");
            assert_int_equal(cipher_cbc_encrypt(key_of(key), iv, text, &sealed),
                             OK);
            assert_int_equal(sealed.len, len / 16 * 16 + 16);
            assert_int_equal(
                cipher_cbc_decrypt(key_of(key), iv, buf_slice(&sealed), &back),
                OK);
            assert_true(slice_eq(slice_from(buf_slice(&back), 6), text));
            buf_free(&sealed);
            buf_free(&back);
        }
}

static void lengths_that_cannot_be_are_invalid(void **state)
{
    (void)state;
    static const size_t keys[] = { 0, 8, 15, 17, 31, 33, 40 };
    struct buf out = { 0 };
    char data[64] = { 0 };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char key[40] = { 0 };
        struct slice k = { key, keys[i] };
        assert_int_equal(cipher_cbc_decrypt(k, iv, SLICE_OF(data, 16), &out),
                         ERR_INVALID);
        assert_int_equal(cipher_cbc_encrypt(k, iv, SLICE("a"), &out),
                         ERR_INVALID);
    }
    for (size_t len = 0; len < sizeof data; len++)
        if (len == 0 || len % 16)
            assert_int_equal(
                cipher_cbc_decrypt(key_of(16), iv, SLICE_OF(data, len), &out),
                ERR_INVALID);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static void padding_is_one_to_sixteen_equal_bytes(void **state)
{
    (void)state;
    uint8_t blocks[32];
    for (unsigned value = 0; value < 256; value++) {
        memset(blocks, 0xee, sizeof blocks);
        size_t right = value <= 16 ? value : 1;
        memset(blocks + sizeof blocks - right, (int)value, right);
        blocks[31] = (uint8_t)value;
        assert_int_equal(cipher_unpad(blocks, sizeof blocks),
                         value <= 16 ? value : 0);
    }
    memset(blocks, 32, sizeof blocks); /* a block of 32 is not ours */
    assert_int_equal(cipher_unpad(blocks, sizeof blocks), 0);
    assert_int_equal(cipher_unpad(blocks, 0), 0);
    assert_int_equal(cipher_unpad(blocks, 15), 0);
}

static void one_wrong_byte_in_the_padding_is_enough(void **state)
{
    (void)state;
    uint8_t blocks[32];
    for (unsigned pad = 1; pad <= 16; pad++)
        for (unsigned at = 1; at <= pad; at++)
            for (unsigned flip = 1; flip < 256; flip <<= 1) {
                memset(blocks, 0xee, sizeof blocks);
                memset(blocks + sizeof blocks - pad, (int)pad, pad);
                blocks[32 - at] ^= (uint8_t)flip;
                /* The last byte may now name a shorter padding. */
                size_t got = cipher_unpad(blocks, sizeof blocks);
                if (at > 1 || (pad ^ flip) != 1)
                    assert_int_equal(got, 0);
                else
                    assert_int_equal(got, 1);
            }
}

static void bytes_before_the_padding_may_be_anything(void **state)
{
    (void)state;
    uint8_t blocks[16];
    memset(blocks, 3, sizeof blocks);
    assert_int_equal(cipher_unpad(blocks, sizeof blocks), 3);
}

static void bad_padding_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    struct buf sealed = { 0 }, out = { 0 };
    assert_int_equal(
        cipher_cbc_encrypt(key_of(16), iv, SLICE("some text"), &sealed), OK);
    buf_add_str(&out, "kept");
    uint8_t other[CIPHER_BLOCK];
    memcpy(other, iv, sizeof other);
    other[15] ^= 0x40; /* the padding's last byte, through the iv */
    assert_int_equal(
        cipher_cbc_decrypt(key_of(16), other, buf_slice(&sealed), &out),
        ERR_REFUSED);
    assert_slice(buf_slice(&out), "kept");
    buf_free(&sealed);
    buf_free(&out);
}

static void *seal_and_open(void *arg)
{
    any_length_comes_back(arg);
    return NULL;
}

static void threads_do_not_share_contexts(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, seal_and_open, state), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_those_of_nist),
        cmocka_unit_test(any_length_comes_back),
        cmocka_unit_test(lengths_that_cannot_be_are_invalid),
        cmocka_unit_test(padding_is_one_to_sixteen_equal_bytes),
        cmocka_unit_test(one_wrong_byte_in_the_padding_is_enough),
        cmocka_unit_test(bytes_before_the_padding_may_be_anything),
        cmocka_unit_test(bad_padding_is_refused_and_leaves_nothing),
        cmocka_unit_test(threads_do_not_share_contexts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
