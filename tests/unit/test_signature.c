/* test_signature.c -- signatures by a session key's text. */
#include "base/text.h"
#include "login/signature.h"
#include "unit.h"

static const struct slice raw = { "{\"nickName\":\"x\"}", 16 };

/* The hex signature of raw by this key. */
static void sign(struct slice key, char out[2 * DIGEST_SHA1 + 1])
{
    struct buf hex = { 0 };
    uint8_t sha1[DIGEST_SHA1];
    digest_sha1_pair(raw, key, sha1);
    text_hex(&hex, SLICE_OF(sha1, sizeof sha1));
    strcpy(out, buf_str(&hex));
    buf_free(&hex);
}

static void the_key_that_signed_is_found(void **state)
{
    (void)state;
    struct keyring ring = { 0 };
    char by_a[41], by_b[41], by_c[41];
    keyring_push(&ring, SLICE("a"), 1);
    keyring_push(&ring, SLICE("b"), 2);
    sign(SLICE("a"), by_a);
    sign(SLICE("b"), by_b);
    sign(SLICE("c"), by_c);
    assert_int_equal(signature_rank(&ring, raw, slice_str(by_b)), 0);
    assert_int_equal(signature_rank(&ring, raw, slice_str(by_a)), 1);
    assert_int_equal(signature_rank(&ring, raw, slice_str(by_c)), -1);
    assert_int_equal(signature_rank(&ring, SLICE("{}"), slice_str(by_a)), -1);
}

static void an_empty_ring_signed_nothing(void **state)
{
    (void)state;
    struct keyring ring = { 0 };
    char unkeyed[41];
    sign(SLICE_NONE, unkeyed);
    assert_int_equal(signature_rank(&ring, raw, slice_str(unkeyed)), -1);
}

static void what_is_not_forty_hex_digits_is_no_signature(void **state)
{
    (void)state;
    struct keyring ring = { 0 };
    char signature[41];
    keyring_push(&ring, SLICE("a"), 1);
    sign(SLICE("a"), signature);
    for (size_t len = 0; len < 40; len++)
        assert_int_equal(signature_rank(&ring, raw, SLICE_OF(signature, len)),
                         -1);
    assert_int_equal(signature_rank(&ring, raw, SLICE_OF(signature, 41)), -1);
    signature[7] = 'g';
    assert_int_equal(signature_rank(&ring, raw, slice_str(signature)), -1);
}

static void every_digit_of_a_signature_counts(void **state)
{
    (void)state;
    struct keyring ring = { 0 };
    char signature[41];
    keyring_push(&ring, SLICE("a"), 1);
    sign(SLICE("a"), signature);
    for (size_t i = 0; i < 40; i++) {
        char was = signature[i];
        signature[i] = was == '0' ? '1' : '0';
        assert_int_equal(signature_rank(&ring, raw, slice_str(signature)), -1);
        signature[i] = was;
    }
    assert_int_equal(signature_rank(&ring, raw, slice_str(signature)), 0);
}

static void an_hmac_is_hex_of_the_right_length(void **state)
{
    (void)state;
    char out[SIGNATURE_HMAC];
    memset(out, '!', sizeof out);
    signature_hmac(SLICE("Jefe"), SLICE("what do ya want for nothing?"), out);
    assert_string_equal(out, "5bdcc146bf60754e6a042426089575c7"
                             "5a003f089d2739839dec58b964ec3843");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_that_signed_is_found),
        cmocka_unit_test(an_empty_ring_signed_nothing),
        cmocka_unit_test(what_is_not_forty_hex_digits_is_no_signature),
        cmocka_unit_test(every_digit_of_a_signature_counts),
        cmocka_unit_test(an_hmac_is_hex_of_the_right_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
