/* test_token.c -- the form of our session tokens. */
#include "login/token.h"
#include "unit.h"

static void a_made_token_parses_to_its_hash(void **state)
{
    (void)state;
    char token[TOKEN_LEN + 1];
    uint8_t hash[TOKEN_HASH], want[TOKEN_HASH];
    for (int i = 0; i < 200; i++) {
        assert_true(token_make(token));
        assert_int_equal(strlen(token), TOKEN_LEN);
        assert_true(slice_starts(slice_str(token), SLICE("lk_")));
        assert_true(token_parse(slice_str(token), hash));
        digest_sha256(slice_str(token), want);
        assert_memory_equal(hash, want, sizeof hash);
    }
}

static void tokens_do_not_repeat(void **state)
{
    (void)state;
    char a[TOKEN_LEN + 1], b[TOKEN_LEN + 1];
    assert_true(token_make(a));
    assert_true(token_make(b));
    assert_string_not_equal(a, b);
}

/* 32 zero bytes; crc32 of the first 46 characters by another program. */
static void the_form_is_fixed(void **state)
{
    (void)state;
    uint8_t hash[TOKEN_HASH];
    assert_true(token_parse(
        SLICE("lk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5NW1dQ"), hash));
    /* Right sums over spare bits and over another alphabet. */
    assert_false(token_parse(
        SLICE("lk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABfdzkzw"), hash));
    assert_false(token_parse(
        SLICE("lk_++++++++++++++++++++++++++++++++++++++++++A1bahRg"), hash));
}

static void one_wrong_character_anywhere_is_refused(void **state)
{
    (void)state;
    char token[TOKEN_LEN + 1];
    uint8_t hash[TOKEN_HASH];
    assert_true(token_make(token));
    for (size_t i = 0; i < TOKEN_LEN; i++)
        for (int c = 0; c < 256; c++) {
            char was = token[i];
            token[i] = (char)c;
            assert_int_equal(token_parse(SLICE_OF(token, TOKEN_LEN), hash),
                             token[i] == was);
            token[i] = was;
        }
}

static void swapped_neighbours_are_refused(void **state)
{
    (void)state;
    char token[TOKEN_LEN + 1];
    uint8_t hash[TOKEN_HASH];
    assert_true(token_make(token));
    for (size_t i = 0; i + 1 < TOKEN_LEN; i++) {
        char swapped[TOKEN_LEN + 1];
        memcpy(swapped, token, sizeof swapped);
        swapped[i] = token[i + 1];
        swapped[i + 1] = token[i];
        if (strcmp(swapped, token))
            assert_false(token_parse(slice_str(swapped), hash));
    }
}

static void other_lengths_are_refused(void **state)
{
    (void)state;
    char token[TOKEN_LEN + 2];
    uint8_t hash[TOKEN_HASH];
    assert_true(token_make(token));
    token[TOKEN_LEN] = 'A';
    for (size_t len = 0; len <= TOKEN_LEN + 1; len++)
        assert_int_equal(token_parse(SLICE_OF(token, len), hash),
                         len == TOKEN_LEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_made_token_parses_to_its_hash),
        cmocka_unit_test(tokens_do_not_repeat),
        cmocka_unit_test(the_form_is_fixed),
        cmocka_unit_test(one_wrong_character_anywhere_is_refused),
        cmocka_unit_test(swapped_neighbours_are_refused),
        cmocka_unit_test(other_lengths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
