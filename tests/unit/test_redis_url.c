/* test_redis_url.c -- what a redis:// URL says. */
#include "store/redis_url.h"
#include "unit.h"

static void a_plain_url_has_defaults(void **state)
{
    struct redis_url url;
    (void)state;
    assert_int_equal(redis_url_parse(&url, "redis://host"), OK);
    assert_int_equal(url.kind, REDIS_ALONE);
    assert_false(url.tls);
    assert_string_equal(url.hosts[0].host, "host");
    assert_int_equal(url.hosts[0].port, 6379);
    assert_string_equal(url.password, "");
    assert_int_equal(url.db, 0);
    assert_int_equal(url.wait, 0);
}

static void password_port_database_and_wait_are_read(void **state)
{
    struct redis_url url;
    (void)state;
    assert_int_equal(
        redis_url_parse(&url, "rediss://me:p%40s/@s@[::1]:7000/3?wait=2"),
        ERR_CONFIG); /* a slash in a password is written %2F */
    assert_int_equal(
        redis_url_parse(&url, "rediss://me:p%2Fs@s@[::1]:7000/3?wait=2"), OK);
    assert_true(url.tls);
    assert_string_equal(url.user, "me");
    assert_string_equal(url.password, "p/s@s");
    assert_string_equal(url.hosts[0].host, "::1");
    assert_int_equal(url.hosts[0].port, 7000);
    assert_int_equal(url.db, 3);
    assert_int_equal(url.wait, 2);
}

static void a_password_without_a_user_is_the_default_users(void **state)
{
    struct redis_url url;
    (void)state;
    assert_int_equal(redis_url_parse(&url, "redis://:a:b@h:1/0"), OK);
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "a:b");
}

static void sentinels_have_a_master(void **state)
{
    struct redis_url url;
    (void)state;
    assert_int_equal(
        redis_url_parse(&url, "redis+sentinel://:pw@a,b:5,c/shop/4?wait=1"),
        OK);
    assert_int_equal(url.kind, REDIS_SENTINEL);
    assert_int_equal(url.count, 3);
    assert_int_equal(url.hosts[0].port, 26379);
    assert_int_equal(url.hosts[1].port, 5);
    assert_string_equal(url.hosts[2].host, "c");
    assert_string_equal(url.master, "shop");
    assert_int_equal(url.db, 4);
    assert_int_equal(url.wait, 1);
    assert_int_equal(redis_url_parse(&url, "redis+sentinel://a"), OK);
    assert_string_equal(url.master, "mymaster");
}

static void a_cluster_has_seeds_and_no_database(void **state)
{
    struct redis_url url;
    (void)state;
    assert_int_equal(redis_url_parse(&url, "redis+cluster://a:1,b:2,c:3"), OK);
    assert_int_equal(url.kind, REDIS_CLUSTER);
    assert_int_equal(url.count, 3);
    assert_int_equal(redis_url_parse(&url, "redis+cluster://a/1"), ERR_CONFIG);
}

static void what_is_wrong_is_said_without_the_url(void **state)
{
    static const char *const wrong[] = {
        "redis://:secret@",          "redis://:secret@h:99999",
        "redis://:secret@h:x",       "redis://:secret@h/x",
        "redis://:secret@h/1?x=1",   "redis://:secret@h?wait=many",
        "redis://:secret@a,b",       "redis+sentinel://:secret@a,,b/m",
        "redis+cluster://:secret@,", "redisx://:secret@h",
        "redis://:secret@[::1",      "redis://:secret@[::1]x",
        "redis://:secret%00@h",
    };
    struct redis_url url;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (redis_url_parse(&url, wrong[i]) != ERR_CONFIG)
            fail_msg("%s is taken", wrong[i]);
        assert_null(strstr(err_text(), "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_url_has_defaults),
        cmocka_unit_test(password_port_database_and_wait_are_read),
        cmocka_unit_test(a_password_without_a_user_is_the_default_users),
        cmocka_unit_test(sentinels_have_a_master),
        cmocka_unit_test(a_cluster_has_seeds_and_no_database),
        cmocka_unit_test(what_is_wrong_is_said_without_the_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
