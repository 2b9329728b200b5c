/* test_digest.c -- hashes against the values of their RFCs. */
#include "base/text.h"
#include "crypto/digest.h"
#include "unit.h"

static void assert_hex(const uint8_t *got, size_t len, const char *want)
{
    struct buf hex = { 0 };
    text_hex(&hex, SLICE_OF(got, len));
    assert_slice(buf_slice(&hex), want);
    buf_free(&hex);
}

static void hashes_are_those_of_the_rfcs(void **state)
{
    (void)state;
    uint8_t out[DIGEST_SHA256];
    digest_md5(SLICE("abc"), out); /* RFC 1321 A.5 */
    assert_hex(out, DIGEST_MD5, "900150983cd24fb0d6963f7d28e17f72");
    digest_sha1(SLICE("abc"), out); /* RFC 3174 */
    assert_hex(out, DIGEST_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d");
    digest_sha256(SLICE("abc"), out); /* FIPS 180-2 B.1 */
    assert_hex(out, DIGEST_SHA256,
               "ba7816bf8f01cfea414140de5dae2223"
               "b00361a396177a9cb410ff61f20015ad");
}

static void nothing_has_a_hash_too(void **state)
{
    (void)state;
    uint8_t out[DIGEST_SHA256];
    digest_md5(SLICE_NONE, out);
    assert_hex(out, DIGEST_MD5, "d41d8cd98f00b204e9800998ecf8427e");
    digest_sha1(SLICE_NONE, out);
    assert_hex(out, DIGEST_SHA1, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    digest_sha256(SLICE_NONE, out);
    assert_hex(out, DIGEST_SHA256,
               "e3b0c44298fc1c149afbf4c8996fb924"
               "27ae41e4649b934ca495991b7852b855");
}

static void a_pair_hashes_like_the_whole(void **state)
{
    (void)state;
    uint8_t whole[DIGEST_SHA256], pair[DIGEST_SHA256];
    struct slice text = SLICE("the quick brown fox");
    for (size_t i = 0; i <= text.len; i++) {
        struct slice head = { text.data, i };
        digest_sha1(text, whole);
        digest_sha1_pair(head, slice_from(text, i), pair);
        assert_memory_equal(whole, pair, DIGEST_SHA1);
        digest_sha256(text, whole);
        digest_sha256_pair(head, slice_from(text, i), pair);
        assert_memory_equal(whole, pair, DIGEST_SHA256);
    }
}

static void hmacs_are_those_of_the_rfcs(void **state)
{
    (void)state;
    uint8_t out[DIGEST_SHA256];
    struct slice data = SLICE("what do ya want for nothing?");
    digest_hmac_sha1(SLICE("Jefe"), data, out); /* RFC 2202 */
    assert_hex(out, DIGEST_SHA1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    digest_hmac_sha256(SLICE("Jefe"), data, out); /* RFC 4231 4.3 */
    assert_hex(out, DIGEST_SHA256,
               "5bdcc146bf60754e6a042426089575c7"
               "5a003f089d2739839dec58b964ec3843");
}

static void an_hmac_key_has_any_length(void **state)
{
    (void)state;
    uint8_t out[DIGEST_SHA256];
    char key[131]; /* RFC 4231 4.7: longer than a block */
    memset(key, 0xaa, sizeof key);
    digest_hmac_sha256(
        SLICE_OF(key, sizeof key),
        SLICE("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    assert_hex(out, DIGEST_SHA256,
               "60e431591ee0b67f0d8a26aacbf5b77f"
               "8e0bc6213728c5140546040f0ee37f54");
    digest_hmac_sha256(SLICE_NONE, SLICE_NONE, out);
    assert_hex(out, DIGEST_SHA256,
               "b613679a0814d9ec772f95d778c35fc5"
               "ff1697c493715653c6c712144292c5ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_the_rfcs),
        cmocka_unit_test(nothing_has_a_hash_too),
        cmocka_unit_test(a_pair_hashes_like_the_whole),
        cmocka_unit_test(hmacs_are_those_of_the_rfcs),
        cmocka_unit_test(an_hmac_key_has_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
