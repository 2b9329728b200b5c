/* test_ip.c -- addresses and blocks as text. */
#include "base/ip.h"
#include "unit.h"

static bool has(const char *block, const char *address)
{
    struct ip_block b;
    struct ip ip;
    bool exact;
    assert_true(ip_block_parse(slice_str(block), &b, &exact));
    assert_true(ip_parse(slice_str(address), &ip));
    return ip_block_has(&b, &ip);
}

static void a_block_has_the_addresses_that_share_its_bits(void **state)
{
    (void)state;
    assert_true(has("192.0.2.0/24", "192.0.2.255"));
    assert_false(has("192.0.2.0/24", "192.0.3.0"));
    assert_true(has("192.0.2.128/25", "192.0.2.200"));
    assert_false(has("192.0.2.128/25", "192.0.2.127"));
    assert_true(has("192.0.2.7", "192.0.2.7"));
    assert_false(has("192.0.2.7", "192.0.2.8"));
    assert_true(has("0.0.0.0/0", "203.0.113.9"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(has("unix:", "unix:"));
}

static void kinds_are_told_apart_but_for_ipv4_within_ipv6(void **state)
{
    (void)state;
    assert_false(has("0.0.0.0/0", "::1"));
    assert_false(has("::/0", "192.0.2.1"));
    assert_false(has("0.0.0.0/0", "unix:"));
    assert_false(has("unix:", "127.0.0.1"));
    assert_true(has("192.0.2.0/24", "::ffff:192.0.2.1"));
    assert_false(has("::ffff:0:0/96", "::ffff:192.0.2.1"));
}

static void bits_beyond_a_block_do_not_count_and_are_told(void **state)
{
    (void)state;
    struct ip_block b;
    bool exact;
    assert_true(ip_block_parse(SLICE("192.0.2.7/24"), &b, &exact));
    assert_false(exact);
    assert_true(has("192.0.2.7/24", "192.0.2.1"));
    assert_true(ip_block_parse(SLICE("192.0.2.0/24"), &b, &exact));
    assert_true(exact);
}

static void what_is_no_block_is_refused(void **state)
{
    (void)state;
    const char *const bad[] = { "",           "x",      "192.0.2",
                                "1.2.3.4/33", "::/129", "1.2.3.4/",
                                "unix:/8",    "/8",     "1.2.3.4/-1" };
    struct ip_block b;
    bool exact;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ip_block_parse(slice_str(bad[i]), &b, &exact));
}

static void an_address_may_come_with_a_port(void **state)
{
    (void)state;
    struct ip ip;
    unsigned port;
    char text[IP_TEXT];
    assert_true(ip_parse_port(SLICE("192.0.2.1:8080"), &ip, &port));
    assert_string_equal(ip_text(&ip, text), "192.0.2.1");
    assert_int_equal(port, 8080);
    assert_true(ip_parse_port(SLICE("[2001:DB8::1]:443"), &ip, &port));
    assert_string_equal(ip_text(&ip, text), "2001:db8::1");
    assert_int_equal(port, 443);
    assert_true(ip_parse_port(SLICE("2001:db8::1"), &ip, &port));
    assert_int_equal(port, 0);
}

static void a_port_that_is_none_is_refused(void **state)
{
    (void)state;
    const char *const bad[] = { "192.0.2.1:",      "192.0.2.1:0",
                                "192.0.2.1:65536", "[::1]",
                                "[::1]80",         "[192.0.2.1]:80",
                                "host:80",         "" };
    struct ip ip;
    unsigned port;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ip_parse_port(slice_str(bad[i]), &ip, &port));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_has_the_addresses_that_share_its_bits),
        cmocka_unit_test(kinds_are_told_apart_but_for_ipv4_within_ipv6),
        cmocka_unit_test(bits_beyond_a_block_do_not_count_and_are_told),
        cmocka_unit_test(what_is_no_block_is_refused),
        cmocka_unit_test(an_address_may_come_with_a_port),
        cmocka_unit_test(a_port_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
