/* test_slice.c -- pointers with a length. */
#include "base/slice.h"
#include "unit.h"

static void equal_means_same_length_and_bytes(void **state)
{
    (void)state;
    assert_true(slice_eq(SLICE("abc"), slice_str("abc")));
    assert_false(slice_eq(SLICE("abc"), SLICE("ab")));
    assert_false(slice_eq(SLICE("abc"), SLICE("abd")));
    assert_false(slice_eq(SLICE("a\0b"), SLICE("a\0c")));
    assert_true(slice_eq(SLICE_NONE, SLICE("")));
    assert_true(slice_eq(slice_str(NULL), SLICE_NONE));
}

static void case_matters_only_where_asked(void **state)
{
    (void)state;
    assert_false(slice_eq(SLICE("Host"), SLICE("hOST")));
    assert_true(slice_eq_nocase(SLICE("Host"), SLICE("hOST")));
    assert_false(slice_eq_nocase(SLICE("Host"), SLICE("Hosts")));
    assert_true(slice_eq_nocase(SLICE_NONE, SLICE("")));
}

static void a_prefix_may_be_empty_but_not_longer(void **state)
{
    (void)state;
    assert_true(slice_starts(SLICE("lk_x"), SLICE("lk_")));
    assert_true(slice_starts(SLICE("lk_"), SLICE("lk_")));
    assert_true(slice_starts(SLICE_NONE, SLICE_NONE));
    assert_false(slice_starts(SLICE("lk"), SLICE("lk_")));
    assert_false(slice_starts(SLICE("LK_x"), SLICE("lk_")));
}

static void a_start_past_the_end_leaves_nothing(void **state)
{
    (void)state;
    assert_slice(slice_from(SLICE("abc"), 1), "bc");
    assert_slice(slice_from(SLICE("abc"), 3), "");
    assert_slice(slice_from(SLICE("abc"), 4), "");
    assert_slice(slice_from(SLICE("abc"), (size_t)-1), "");
}

static void what_is_not_found_is_at_the_end(void **state)
{
    (void)state;
    assert_int_equal(slice_find(SLICE("a=b=c"), '='), 1);
    assert_int_equal(slice_find(SLICE("abc"), '='), 3);
    assert_int_equal(slice_find(SLICE_NONE, '='), 0);
    assert_int_equal(slice_find(SLICE("a\xff"), '\xff'), 1);
}

static void trimming_takes_blanks_and_tabs_only(void **state)
{
    (void)state;
    assert_slice(slice_trim(SLICE(" \t a b\t ")), "a b");
    assert_slice(slice_trim(SLICE(" \t ")), "");
    assert_slice(slice_trim(SLICE("\na\r")), "\na\r");
    assert_slice(slice_trim(SLICE_NONE), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_means_same_length_and_bytes),
        cmocka_unit_test(case_matters_only_where_asked),
        cmocka_unit_test(a_prefix_may_be_empty_but_not_longer),
        cmocka_unit_test(a_start_past_the_end_leaves_nothing),
        cmocka_unit_test(what_is_not_found_is_at_the_end),
        cmocka_unit_test(trimming_takes_blanks_and_tabs_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
