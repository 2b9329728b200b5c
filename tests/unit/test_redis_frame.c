/* test_redis_frame.c -- which answers of Redis are believed. */
#include "store/redis_frame.h"
#include "unit.h"

static bool takes(const char *text)
{
    struct redis_frame whole = { 0 }, pieces = { 0 };
    bool once = redis_frame_take(&whole, slice_str(text)), each = true;
    for (size_t i = 0; text[i] && each; i++)
        each = redis_frame_take(&pieces, SLICE_OF(text + i, 1));
    assert_int_equal(once, each);
    return once;
}

static void answers_pass(void **state)
{
    (void)state;
    static const char *const good[] = {
        "+OK\r\n",
        ":-7\r\n",
        "-ERR a b\r\n",
        "$-1\r\n",
        "$0\r\n\r\n",
        "$3\r\na\nb\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*2\r\n*1\r\n:1\r\n$1\r\nx\r\n+OK\r\n",
        "$4194304\r\nxxx",
        "*131072\r\n",
        "+\r\n",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(takes(good[i]));
}

static void what_is_none_or_too_much_does_not(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "*1000000000\r\n",
        "*131073\r\n",
        "*99999999999999999999\r\n",
        "*-2\r\n",
        "*\r\n",
        "$4194305\r\n",
        "$-2\r\n",
        "$1x\r\n",
        "$ 1\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        "*131072\r\n*1\r\n",
        "+OK\n",
        "\r\n",
        "%1\r\n",
        "HTTP/1.1 400\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(takes(bad[i]));
}

static void lines_and_answers_have_an_end(void **state)
{
    (void)state;
    struct redis_frame f = { 0 };
    char line[REDIS_FRAME_LINE + 2];
    memset(line, 'x', sizeof line);
    line[0] = '+';
    assert_false(redis_frame_take(&f, SLICE_OF(line, sizeof line)));
    assert_false(redis_frame_take(&f, SLICE("+OK\r\n")));
}

static void many_answers_are_not_one(void **state)
{
    (void)state;
    struct redis_frame f = { 0 };
    for (int i = 0; i < 3 * REDIS_FRAME_ELEMENTS; i++)
        assert_true(redis_frame_take(&f, SLICE("*1\r\n:1\r\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_pass),
        cmocka_unit_test(what_is_none_or_too_much_does_not),
        cmocka_unit_test(lines_and_answers_have_an_end),
        cmocka_unit_test(many_answers_are_not_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
