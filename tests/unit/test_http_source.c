/* test_http_source.c -- connections counted by where they come from. */
#include "net/http_source.h"
#include "unit.h"
#include <arpa/inet.h>
#include <netinet/in.h>

static struct ip ip_of(const char *text)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return http_source_ip((struct sockaddr *)&in);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return http_source_ip((struct sockaddr *)&in6);
}

static unsigned take(const char *text, struct http_source *out)
{
    struct ip ip = ip_of(text);
    return http_source_take(&ip, out);
}

static void each_address_has_its_count(void **state)
{
    (void)state;
    struct http_source a, b, c;
    assert_int_equal(take("192.0.2.1", &a), 1);
    assert_int_equal(take("192.0.2.1", &b), 2);
    assert_int_equal(take("192.0.2.2", &c), 1);
    http_source_drop(&a);
    http_source_drop(&a); /* nobody any more */
    assert_int_equal(take("192.0.2.1", &a), 2);
    http_source_drop(&a);
    http_source_drop(&b);
    http_source_drop(&c);
    assert_int_equal(take("192.0.2.1", &a), 1);
    http_source_drop(&a);
}

static void ipv6_counts_by_its_64(void **state)
{
    (void)state;
    struct http_source a, b, c;
    assert_int_equal(take("2001:db8::1", &a), 1);
    assert_int_equal(take("2001:db8::ffff:0:0:2", &b), 2);
    assert_int_equal(take("2001:db8:0:1::1", &c), 1);
    http_source_drop(&a);
    http_source_drop(&b);
    http_source_drop(&c);
}

static void ipv4_within_ipv6_is_ipv4(void **state)
{
    (void)state;
    struct http_source a, b;
    assert_int_equal(take("192.0.2.1", &a), 1);
    assert_int_equal(take("::ffff:192.0.2.1", &b), 2);
    http_source_drop(&a);
    http_source_drop(&b);
}

static bool is_loopback(const char *text)
{
    struct ip ip = ip_of(text);
    return http_source_is_loopback(&ip);
}

static void loopback_is_known_in_all_its_forms(void **state)
{
    (void)state;
    assert_true(is_loopback("127.0.0.1"));
    assert_true(is_loopback("127.255.0.9"));
    assert_true(is_loopback("::1"));
    assert_true(is_loopback("::ffff:127.0.0.1"));
    assert_false(is_loopback("128.0.0.1"));
    assert_false(is_loopback("::2"));
    assert_false(is_loopback("::"));
}

static void a_unix_socket_has_no_address(void **state)
{
    (void)state;
    struct sockaddr sa = { .sa_family = AF_UNIX };
    assert_int_equal(http_source_ip(&sa).kind, IP_UNIX);
}

static void many_addresses_come_and_go(void **state)
{
    (void)state;
    enum { MANY = 2000 };
    static struct http_source sources[MANY];
    char text[32];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            snprintf(text, sizeof text, "10.1.%d.%d", i / 200, i % 200);
            assert_int_equal(take(text, &sources[i]), 1);
        }
        for (int i = 0; i < MANY; i++)
            http_source_drop(&sources[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_has_its_count),
        cmocka_unit_test(ipv6_counts_by_its_64),
        cmocka_unit_test(ipv4_within_ipv6_is_ipv4),
        cmocka_unit_test(loopback_is_known_in_all_its_forms),
        cmocka_unit_test(a_unix_socket_has_no_address),
        cmocka_unit_test(many_addresses_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
