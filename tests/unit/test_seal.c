/* test_seal.c -- sealing at rest, its keys and their rotation. */
#include "base/text.h"
#include "crypto/seal.h"
#include "unit.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_B "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

static const struct slice aad = { "session/7", 9 };

static struct seal_keys *keys_of(const char *text)
{
    struct seal_keys *keys = NULL;
    setenv("TEST_SEAL", text, 1);
    assert_int_equal(seal_keys_load(&keys, "env:TEST_SEAL", false), OK);
    return keys;
}

/* A sealer of these keys, which it alone holds. */
static struct sealer *sealer_of(const char *text)
{
    struct seal_keys *keys = keys_of(text);
    struct sealer *s = sealer_new(keys);
    assert_non_null(s);
    seal_keys_free(keys);
    return s;
}

static void assert_config(const char *text, const char *says)
{
    struct seal_keys *keys = NULL;
    setenv("TEST_SEAL", text, 1);
    assert_int_equal(seal_keys_load(&keys, "env:TEST_SEAL", true), ERR_CONFIG);
    assert_null(keys);
    assert_slice(slice_str(err_text()), says);
}

static void what_was_sealed_opens(void **state)
{
    (void)state;
    struct sealer *s = sealer_of(KEY_A);
    char plain[300];
    memset(plain, 'p', sizeof plain);
    for (size_t len = 0; len <= sizeof plain; len++) {
        struct buf sealed = { 0 }, back = { 0 };
        struct slice text = { plain, len };
        buf_add_char(&sealed, '!');
        buf_add_char(&back, '!');
        assert_int_equal(seal_put(s, aad, text, &sealed), OK);
        struct slice record = slice_from(buf_slice(&sealed), 1);
        assert_int_equal(record.len, len + SEAL_OVERHEAD);
        assert_int_equal(seal_open(s, aad, record, &back), OK);
        assert_true(slice_eq(slice_from(buf_slice(&back), 1), text));
        buf_free(&sealed);
        buf_free(&back);
    }
    sealer_free(s);
}

static void empty_aad_and_text_are_sealed_too(void **state)
{
    (void)state;
    struct sealer *s = sealer_of(KEY_A);
    struct buf sealed = { 0 }, back = { 0 };
    assert_int_equal(seal_put(s, SLICE_NONE, SLICE_NONE, &sealed), OK);
    assert_int_equal(seal_open(s, SLICE_NONE, buf_slice(&sealed), &back), OK);
    assert_int_equal(back.len, 0);
    assert_int_equal(seal_open(s, SLICE("a"), buf_slice(&sealed), &back),
                     ERR_REFUSED);
    sealed.data[sealed.len - 1] ^= 1;
    assert_int_equal(seal_open(s, SLICE_NONE, buf_slice(&sealed), &back),
                     ERR_REFUSED);
    buf_free(&sealed);
    buf_free(&back);
    sealer_free(s);
}

static void every_byte_is_guarded(void **state)
{
    (void)state;
    struct sealer *s = sealer_of(KEY_A);
    struct buf sealed = { 0 }, back = { 0 };
    assert_int_equal(seal_put(s, aad, SLICE("a session key"), &sealed), OK);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 0x10;
        assert_int_equal(seal_open(s, aad, buf_slice(&sealed), &back),
                         i < SEAL_KEY_ID ? ERR_NOT_FOUND : ERR_REFUSED);
        sealed.data[i] ^= 0x10;
    }
    for (size_t len = 0; len < sealed.len; len++)
        assert_int_equal(seal_open(s, aad, SLICE_OF(sealed.data, len), &back),
                         ERR_REFUSED);
    assert_int_equal(
        seal_open(s, SLICE("session/8"), buf_slice(&sealed), &back),
        ERR_REFUSED);
    assert_int_equal(back.len, 0);
    assert_int_equal(seal_open(s, aad, buf_slice(&sealed), &back), OK);
    buf_free(&sealed);
    buf_free(&back);
    sealer_free(s);
}

static void a_refused_text_is_not_left_in_the_buffer(void **state)
{
    (void)state;
    struct sealer *s = sealer_of(KEY_A);
    struct buf sealed = { 0 }, back = { 0 };
    assert_int_equal(seal_put(s, aad, SLICE("a session key"), &sealed), OK);
    sealed.data[sealed.len - 1] ^= 1;
    assert_int_equal(seal_open(s, aad, buf_slice(&sealed), &back), ERR_REFUSED);
    for (size_t i = 0; i < 13; i++)
        assert_int_equal(back.data[i], 0);
    buf_free(&sealed);
    buf_free(&back);
    sealer_free(s);
}

static void nonces_do_not_repeat(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    static char nonces[COUNT][SEAL_NONCE];
    struct sealer *s = sealer_of(KEY_A);
    struct buf sealed = { 0 };
    for (size_t i = 0; i < COUNT; i++) {
        buf_clear(&sealed);
        assert_int_equal(seal_put(s, aad, SLICE("same"), &sealed), OK);
        memcpy(nonces[i], sealed.data + SEAL_KEY_ID, SEAL_NONCE);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(nonces[i], nonces[j], SEAL_NONCE);
    }
    buf_free(&sealed);
    sealer_free(s);
}

static void after_a_rotation_old_records_open_and_ask_for_the_new(void **state)
{
    (void)state;
    struct sealer *old = sealer_of(KEY_A);
    struct sealer *both = sealer_of(KEY_B "\n" KEY_A);
    struct sealer *fresh = sealer_of(KEY_B);
    struct seal_keys *keys = keys_of(KEY_B "\n" KEY_A);
    struct buf before = { 0 }, after = { 0 }, back = { 0 };
    assert_int_equal(seal_put(old, aad, SLICE("text"), &before), OK);
    assert_int_equal(seal_open(both, aad, buf_slice(&before), &back), OK);
    assert_slice(buf_slice(&back), "text");
    assert_false(seal_is_newest(keys, buf_slice(&before)));
    assert_int_equal(seal_put(both, aad, SLICE("text"), &after), OK);
    assert_true(seal_is_newest(keys, buf_slice(&after)));
    assert_int_equal(seal_open(fresh, aad, buf_slice(&after), &back), OK);
    assert_int_equal(seal_open(fresh, aad, buf_slice(&before), &back),
                     ERR_NOT_FOUND);
    assert_false(seal_is_newest(keys, SLICE("abc")));
    buf_free(&before);
    buf_free(&after);
    buf_free(&back);
    seal_keys_free(keys);
    sealer_free(old);
    sealer_free(both);
    sealer_free(fresh);
}

static void a_key_file_may_have_comments_and_blank_lines(void **state)
{
    (void)state;
    struct seal_keys *keys =
        keys_of("# the new one\r\n\n  " KEY_B " \r\n\t\n#\n" KEY_A);
    assert_int_equal(keys->count, 2);
    assert_int_equal(keys->keys[0].bytes[0], 1);
    assert_int_equal(keys->keys[1].bytes[0], 0);
    seal_keys_free(keys);
}

static void a_wrong_line_is_named_and_not_shown(void **state)
{
    (void)state;
    assert_config(KEY_A "\n# x\nAAAA!", "env:TEST_SEAL: line 3: not base64");
    assert_config("\nAAAA", "env:TEST_SEAL: line 2: not 32 bytes");
    assert_config(KEY_A "\n" KEY_A,
                  "env:TEST_SEAL: line 2: a key that is there already");
    assert_config("", "env:TEST_SEAL: holds no key");
    assert_config("# nothing\n\n", "env:TEST_SEAL: holds no key");
}

static void nine_keys_are_too_many(void **state)
{
    (void)state;
    struct buf text = { 0 };
    char key[SEAL_KEY] = { 0 };
    for (char i = 0; i < 9; i++) {
        key[0] = i;
        text_base64(&text, SLICE_OF(key, sizeof key));
        buf_add_char(&text, '\n');
    }
    assert_config(buf_str(&text), "env:TEST_SEAL: line 9: more keys than 8");
    buf_free(&text);
}

static void a_source_must_be_named_and_there(void **state)
{
    (void)state;
    struct seal_keys *keys = NULL;
    unsetenv("TEST_SEAL");
    assert_int_equal(seal_keys_load(&keys, "env:TEST_SEAL", true), ERR_CONFIG);
    assert_int_equal(seal_keys_load(&keys, "master.key", true), ERR_CONFIG);
    assert_int_equal(seal_keys_load(&keys, "file:/nowhere/at/all", false),
                     ERR_CONFIG);
    assert_int_equal(seal_keys_load(&keys, "file:/nowhere/at/all", true),
                     ERR_IO);
    assert_null(keys);
}

static void an_absent_file_is_made_once_and_private(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_seal.XXXXXX", spec[64];
    struct seal_keys *made = NULL, *again = NULL;
    struct stat st;
    assert_non_null(mkdtemp(folder));
    snprintf(spec, sizeof spec, "file:%s/master.key", folder);
    assert_int_equal(seal_keys_load(&made, spec, false), ERR_CONFIG);
    assert_int_equal(seal_keys_load(&made, spec, true), OK);
    assert_int_equal(seal_keys_load(&again, spec, true), OK);
    assert_memory_equal(made->keys, again->keys, sizeof made->keys);
    assert_int_equal(stat(spec + 5, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_nlink, 1); /* the temporary name is gone */
    assert_int_equal(unlink(spec + 5), 0);
    assert_int_equal(rmdir(folder), 0);
    seal_keys_free(made);
    seal_keys_free(again);
}

static void keys_live_as_long_as_their_last_user(void **state)
{
    (void)state;
    struct seal_keys *keys = keys_of(KEY_A);
    struct sealer *a = sealer_new(keys), *b = sealer_new(keys);
    struct buf sealed = { 0 }, back = { 0 };
    seal_keys_free(keys);
    sealer_free(a);
    assert_int_equal(seal_put(b, aad, SLICE("x"), &sealed), OK);
    assert_int_equal(seal_open(b, aad, buf_slice(&sealed), &back), OK);
    buf_free(&sealed);
    buf_free(&back);
    sealer_free(b);
    sealer_free(NULL);
    seal_keys_free(NULL);
}

static void a_mac_depends_on_key_label_and_data(void **state)
{
    (void)state;
    struct seal_keys *a = keys_of(KEY_A), *b = keys_of(KEY_B "\n" KEY_A);
    uint8_t out[5][DIGEST_SHA256];
    seal_mac(a, SLICE("phone"), SLICE("13800000000"), out[0]);
    seal_mac(a, SLICE("phone"), SLICE("13800000001"), out[1]);
    seal_mac(a, SLICE("code"), SLICE("13800000000"), out[2]);
    seal_mac(b, SLICE("phone"), SLICE("13800000000"), out[3]);
    seal_mac(a, SLICE("phone"), SLICE("13800000000"), out[4]);
    for (int i = 1; i < 4; i++)
        assert_memory_not_equal(out[0], out[i], DIGEST_SHA256);
    assert_memory_equal(out[0], out[4], DIGEST_SHA256);
    seal_keys_free(a);
    seal_keys_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens),
        cmocka_unit_test(empty_aad_and_text_are_sealed_too),
        cmocka_unit_test(every_byte_is_guarded),
        cmocka_unit_test(a_refused_text_is_not_left_in_the_buffer),
        cmocka_unit_test(nonces_do_not_repeat),
        cmocka_unit_test(after_a_rotation_old_records_open_and_ask_for_the_new),
        cmocka_unit_test(a_key_file_may_have_comments_and_blank_lines),
        cmocka_unit_test(a_wrong_line_is_named_and_not_shown),
        cmocka_unit_test(nine_keys_are_too_many),
        cmocka_unit_test(a_source_must_be_named_and_there),
        cmocka_unit_test(an_absent_file_is_made_once_and_private),
        cmocka_unit_test(keys_live_as_long_as_their_last_user),
        cmocka_unit_test(a_mac_depends_on_key_label_and_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
