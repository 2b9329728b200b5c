/* test_err.c -- error names, and the text that goes with an error. */
#include "base/err.h"
#include "unit.h"
#include <pthread.h>
#include <string.h>

static void every_code_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < ERR_COUNT; i++) {
        assert_non_null(err_name((enum err)i));
        assert_string_not_equal(err_name((enum err)i), "");
    }
    assert_string_equal(err_name(ERR_TIMEOUT), "timeout");
    assert_string_equal(err_name((enum err)99), "unknown error");
    assert_string_equal(err_name((enum err) - 1), "unknown error");
}

static void a_text_is_kept_until_the_next(void **state)
{
    (void)state;
    assert_int_equal(err_set(ERR_IO, "disk %d", 7), ERR_IO);
    assert_string_equal(err_text(), "disk 7");
    err_set(ERR_CLOSED, "gone");
    assert_string_equal(err_text(), "gone");
}

static void a_text_may_wrap_the_one_before(void **state)
{
    (void)state;
    err_set(ERR_IO, "inner");
    err_set(ERR_CONFIG, "outer: %s", err_text());
    assert_string_equal(err_text(), "outer: inner");
}

static void a_long_text_is_cut(void **state)
{
    (void)state;
    char longer[4096];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    err_set(ERR_IO, "%s", longer);
    assert_in_range(strlen(err_text()), 500, 1023);
}

static void *another_thread(void *seen)
{
    strcpy(seen, err_text());
    err_set(ERR_IO, "theirs");
    return NULL;
}

static void each_thread_has_its_own_text(void **state)
{
    (void)state;
    char seen[1024] = "?";
    pthread_t thread;
    err_set(ERR_IO, "ours");
    assert_int_equal(pthread_create(&thread, NULL, another_thread, seen), 0);
    pthread_join(thread, NULL);
    assert_string_equal(seen, "");
    assert_string_equal(err_text(), "ours");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name),
        cmocka_unit_test(a_text_is_kept_until_the_next),
        cmocka_unit_test(a_text_may_wrap_the_one_before),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(each_thread_has_its_own_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
