/* test_buf.c -- the growing buffer. */
#include "base/buf.h"
#include "unit.h"
#include <stdlib.h>

static void what_is_added_lies_in_order(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_add(&b, SLICE("a\0b"));
    buf_add_str(&b, "cd");
    buf_add_char(&b, 'e');
    buf_addf(&b, "%03d", 7);
    buf_add(&b, SLICE_NONE);
    buf_add_str(&b, NULL);
    assert_true(buf_ok(&b));
    assert_int_equal(b.len, 9);
    assert_memory_equal(b.data, "a\0bcde007", 9);
    buf_free(&b);
}

static void it_grows_as_needed(void **state)
{
    (void)state;
    struct buf b = { 0 };
    for (int i = 0; i < 10000; i++)
        buf_addf(&b, "%04d", i);
    assert_int_equal(b.len, 40000);
    assert_memory_equal(b.data + 4 * 1234, "1234", 4);
    assert_memory_equal(b.data + 4 * 9999, "9999", 4);
    buf_free(&b);
}

static void a_formatted_text_of_any_length_fits(void **state)
{
    (void)state;
    for (int n = 60; n < 70; n++) { /* around the first capacity */
        struct buf b = { 0 };
        buf_addf(&b, "%*s", n, "x");
        assert_int_equal(b.len, n);
        assert_int_equal(b.data[n - 1], 'x');
        buf_free(&b);
    }
}

static void whole_numbers_are_written_in_decimal(void **state)
{
    (void)state;
    struct buf b = { 0 };
    const int64_t numbers[] = { 0, 10, -7, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        buf_add_int(&b, numbers[i]);
        buf_add_char(&b, ' ');
    }
    assert_slice(buf_slice(&b),
                 "0 10 -7 9223372036854775807 -9223372036854775808 ");
    buf_free(&b);
}

static void the_ending_nul_is_not_counted(void **state)
{
    (void)state;
    struct buf b = { 0 };
    assert_string_equal(buf_str(&b), "");
    for (int i = 0; i < 64; i++)
        buf_add_char(&b, 'x'); /* exactly full */
    assert_int_equal(strlen(buf_str(&b)), 64);
    assert_int_equal(b.len, 64);
    buf_free(&b);
}

static void too_much_breaks_it_until_cleared(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_add_str(&b, "abc");
    assert_null(buf_reserve(&b, SIZE_MAX - 1));
    assert_false(buf_ok(&b));
    buf_add_str(&b, "lost");
    buf_addf(&b, "%d", 1);
    assert_null(buf_str(&b));
    assert_slice(buf_slice(&b), "abc");
    buf_clear(&b);
    buf_add_str(&b, "again");
    assert_true(buf_ok(&b));
    assert_slice(buf_slice(&b), "again");
    buf_free(&b);
}

static void room_for_nothing_is_still_a_pointer(void **state)
{
    (void)state;
    struct buf b = { 0 };
    assert_non_null(buf_reserve(&b, 0)); /* NULL would mean: no memory */
    assert_true(buf_ok(&b));
    buf_free(&b);
}

static void taken_bytes_belong_to_the_taker(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_add_str(&b, "mine");
    buf_str(&b);
    char *data = buf_take(&b);
    assert_string_equal(data, "mine");
    assert_int_equal(b.len, 0);
    assert_null(b.data);
    free(data);
    buf_free(&b);
}

static void wiping_leaves_an_empty_buffer(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_wipe(&b);
    buf_add_str(&b, "secret");
    buf_wipe(&b);
    assert_null(b.data);
    assert_int_equal(b.len + b.cap, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_lies_in_order),
        cmocka_unit_test(it_grows_as_needed),
        cmocka_unit_test(a_formatted_text_of_any_length_fits),
        cmocka_unit_test(whole_numbers_are_written_in_decimal),
        cmocka_unit_test(the_ending_nul_is_not_counted),
        cmocka_unit_test(too_much_breaks_it_until_cleared),
        cmocka_unit_test(room_for_nothing_is_still_a_pointer),
        cmocka_unit_test(taken_bytes_belong_to_the_taker),
        cmocka_unit_test(wiping_leaves_an_empty_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
