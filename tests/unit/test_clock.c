/* test_clock.c -- how HTTP writes time. */
#include "base/clock.h"
#include "unit.h"
#include <stdlib.h>
#include <time.h>

static const struct {
    time_t when;
    const char *http, *cookie, *local;
} table[] = {
    { 0, "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01-Jan-70 00:00:00 GMT",
      "1970-01-01 00:00:00" },
    { 784111777, "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT",
      "1994-11-06 08:49:37" },
    { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT", "Tue, 29-Feb-00 00:00:00 GMT",
      "2000-02-29 00:00:00" },
    { 2145916799, "Thu, 31 Dec 2037 23:59:59 GMT",
      "Thu, 31-Dec-37 23:59:59 GMT", "2037-12-31 23:59:59" },
    { 2145916800, "Fri, 01 Jan 2038 00:00:00 GMT",
      "Fri, 01-Jan-2038 00:00:00 GMT", "2038-01-01 00:00:00" },
    { 4102444800, "Fri, 01 Jan 2100 00:00:00 GMT",
      "Fri, 01-Jan-2100 00:00:00 GMT", "2100-01-01 00:00:00" },
};

static void times_are_written_as_browsers_read_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char http[CLOCK_HTTP], cookie[CLOCK_COOKIE], local[CLOCK_LOCAL];
        clock_http(table[i].when, http);
        clock_cookie(table[i].when, cookie);
        clock_local(table[i].when, true, local);
        assert_string_equal(http, table[i].http);
        assert_string_equal(cookie, table[i].cookie);
        assert_string_equal(local, table[i].local);
    }
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        time_t when = -1;
        assert_true(clock_parse_http(slice_str(table[i].http), &when));
        assert_int_equal(when, table[i].when);
    }
}

static void anything_else_is_not_a_time(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Mon, 06 Nov 1994 08:49:37 GMT", /* it was a Sunday */
        "Sunday, 6 Nov 1994 8:9:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
    };
    time_t when;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (clock_parse_http(slice_str(bad[i]), &when))
            fail_msg("\"%s\" is accepted", bad[i]);
}

static void times_beyond_all_calendars_do_no_harm(void **state)
{
    (void)state;
    static const time_t far[] = { INT64_MAX,    INT64_MIN, -62167219201,
                                  -62135596800, -1,        253402300799,
                                  253402300800 };
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        char http[CLOCK_HTTP], cookie[CLOCK_COOKIE], local[CLOCK_LOCAL];
        clock_http(far[i], http);
        clock_cookie(far[i], cookie);
        assert_int_equal(strlen(http), CLOCK_HTTP - 1);
        assert_in_range(strlen(cookie), 1, CLOCK_COOKIE - 1);
        for (int utc = 0; utc < 2; utc++) {
            clock_local(far[i], utc, local);
            assert_in_range(strlen(local), 16, CLOCK_LOCAL - 1);
        }
    }
}

static void local_time_follows_the_zone(void **state)
{
    (void)state;
    char local[CLOCK_LOCAL];
    setenv("TZ", "CST-8", 1);
    tzset();
    clock_local(0, false, local);
    assert_string_equal(local, "1970-01-01 08:00:00");
    clock_local(0, true, local);
    assert_string_equal(local, "1970-01-01 00:00:00");
    unsetenv("TZ");
    tzset();
}

static void clocks_agree_and_go_on(void **state)
{
    (void)state;
    uint64_t msec = clock_msec(), ticks = clock_ticks();
    assert_true(clock_now() >= (double)msec / 1000 - 1);
    assert_true(clock_now() < (double)msec / 1000 + 60);
    while (clock_ticks() == ticks)
        ; /* a millisecond at most */
    assert_true(clock_ticks() > ticks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_as_browsers_read_them),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(anything_else_is_not_a_time),
        cmocka_unit_test(times_beyond_all_calendars_do_no_harm),
        cmocka_unit_test(local_time_follows_the_zone),
        cmocka_unit_test(clocks_agree_and_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
