/* test_secret.c -- chance, comparing, wiping. */
#include "crypto/secret.h"
#include "unit.h"

static void only_the_same_bytes_are_equal(void **state)
{
    (void)state;
    assert_true(secret_equal(SLICE("key"), SLICE("key")));
    assert_true(secret_equal(SLICE_NONE, SLICE("")));
    assert_false(secret_equal(SLICE("key"), SLICE("kez")));
    assert_false(secret_equal(SLICE("key"), SLICE("ke")));
    assert_false(secret_equal(SLICE("key"), SLICE_NONE));
    assert_false(secret_equal(SLICE("a\0b"), SLICE("a\0c")));
}

static void randomness_fills_all_and_does_not_repeat(void **state)
{
    (void)state;
    uint8_t seen[32] = { 0 }, out[32], again[32];
    for (int round = 0; round < 64; round++) {
        assert_true(secret_random(out, sizeof out));
        for (size_t i = 0; i < sizeof out; i++)
            seen[i] |= out[i];
    }
    for (size_t i = 0; i < sizeof seen; i++)
        assert_int_not_equal(seen[i], 0);
    assert_true(secret_random(again, sizeof again));
    assert_memory_not_equal(out, again, sizeof out);
    assert_true(secret_random(NULL, 0));
}

static void wiping_leaves_zeros_and_nothing_else(void **state)
{
    (void)state;
    char bytes[] = "0123456789";
    secret_wipe(bytes + 2, 3);
    assert_memory_equal(bytes,
                        "01\0\0\0"
                        "56789",
                        sizeof bytes);
    secret_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_same_bytes_are_equal),
        cmocka_unit_test(randomness_fills_all_and_does_not_repeat),
        cmocka_unit_test(wiping_leaves_zeros_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
