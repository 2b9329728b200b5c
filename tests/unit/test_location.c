/* test_location.c -- which location serves a URI, as nginx documents it. */
#include "conf/location.h"
#include "conf_fixture.h"

enum { PAIRS = 8 };

struct found {
    const struct conf_location *at;
    size_t ovector[2 * PAIRS];
    unsigned pairs;
};

static struct found find(const struct fixture *f, const char *uri)
{
    struct found r = { .pairs = PAIRS };
    r.at = location_find(f->conf->servers, slice_str(uri), r.ovector, &r.pairs);
    return r;
}

/* Locations are told apart by what they return. */
static void assert_found(const struct fixture *f, const char *uri,
                         const char *want)
{
    const struct conf_location *at = find(f, uri).at;
    struct slice got = at->ops ? at->ops->text.source : SLICE("none");
    if (!slice_eq(got, slice_str(want)))
        fail_msg("%s: %.*s, not %s", uri, SLICE_FMT(got), want);
}

static void load(struct fixture *f, const char *locations)
{
    char text[2048];
    snprintf(text, sizeof text, "http { server { %s } }", locations);
    fixture_load(f, text);
}

static void the_example_of_nginx_s_manual_holds(void **state)
{
    struct fixture *f = *state;
    load(f, "location = / { return 200 A; } location / { return 200 B; }"
            "location /documents/ { return 200 C; }"
            "location ^~ /images/ { return 200 D; }"
            "location ~* \\.(gif|jpg|jpeg)$ { return 200 E; }");
    assert_found(f, "/", "A");
    assert_found(f, "/index.html", "B");
    assert_found(f, "/documents/document.html", "C");
    assert_found(f, "/images/1.gif", "D");
    assert_found(f, "/documents/1.JPG", "E");
}

static void the_longest_prefix_wins_wherever_it_is_written(void **state)
{
    struct fixture *f = *state;
    load(f, "location /ab { return 200 ab; } location /abcde { return 200 e; }"
            "location / { return 200 root; } location /abc { return 200 abc; }"
            "location /abd { return 200 abd; } location /b { return 200 b; }");
    assert_found(f, "/", "root");
    assert_found(f, "/a", "root");
    assert_found(f, "/ab", "ab");
    assert_found(f, "/abb", "ab");
    assert_found(f, "/abc", "abc");
    assert_found(f, "/abcd", "abc");
    assert_found(f, "/abcdef", "e");
    assert_found(f, "/abcz", "abc");
    assert_found(f, "/abdz", "abd");
    assert_found(f, "/abz", "ab");
    assert_found(f, "/az", "root");
    assert_found(f, "/c", "root");
}

static void without_a_match_the_server_s_own_settings_serve(void **state)
{
    struct fixture *f = *state;
    load(f, "location /a { return 200 a; } location = /b { return 200 b; }");
    assert_ptr_equal(find(f, "/x").at, f->conf->servers->root);
    assert_ptr_equal(find(f, "").at, f->conf->servers->root);
    assert_found(f, "/bb", "none");
    load(f, "");
    assert_ptr_equal(find(f, "/x").at, f->conf->servers->root);
}

static void regexes_are_tried_in_the_order_of_writing(void **state)
{
    struct fixture *f = *state;
    load(f, "location ~ ^/a { return 200 first; }"
            "location ~ ^/ab { return 200 never; }"
            "location ~ B$ { return 200 upper; }"
            "location ~* B$ { return 200 any; }"
            "location = /ab { return 200 exact; }");
    assert_found(f, "/abc", "first");
    assert_found(f, "/ab", "exact");
    assert_found(f, "/xB", "upper");
    assert_found(f, "/xb", "any");
}

static void a_modifier_may_stick_to_its_name(void **state)
{
    struct fixture *f = *state;
    load(f, "location =/e { return 200 e; } location ^~/p { return 200 p; }"
            "location ~*\\.X$ { return 200 x; } location ~y { return 200 y; }");
    assert_found(f, "/e", "e");
    assert_found(f, "/p.x", "p");
    assert_found(f, "/e.x", "x");
    assert_found(f, "/y", "y");
}

static void captures_come_with_a_regex_only(void **state)
{
    struct fixture *f = *state;
    load(f, "location ~ ^/u/(?<id>\\d+)(/x)?$ { return 200 $id$1; }"
            "location /p { }");
    struct found r = find(f, "/u/42");
    assert_int_equal(r.pairs, 2);
    assert_int_equal(r.ovector[2], 3);
    assert_int_equal(r.ovector[3], 5);
    assert_int_equal(r.at->pattern.named[0].group, 1);
    assert_slice(r.at->pattern.named[0].variable->name, "id");
    assert_int_equal(find(f, "/p").pairs, 0);
    assert_int_equal(find(f, "/u/x").pairs, 0);
    r.pairs = 1;
    location_find(f->conf->servers, SLICE("/u/42/x"), r.ovector, &r.pairs);
    assert_int_equal(r.pairs, 1); /* no more than there was room for */
}

static void nested_locations_are_searched_before_regexes_outside(void **state)
{
    struct fixture *f = *state;
    load(f, "location ~ z { return 200 outer; }"
            "location /a { return 200 a;"
            " location /a/b { return 200 ab; }"
            " location = /a/e { return 200 exact; }"
            " location ~ y { return 200 inner; } }"
            "location ~ \\.l { return 200 l; location ~ m { return 200 lm; } }"
            "location ^~ /n { return 200 n; location ~ y { return 200 ny; } }");
    assert_found(f, "/a/x", "a");
    assert_found(f, "/a/b", "ab");
    assert_found(f, "/a/e", "exact");
    assert_found(f, "/a/bz", "outer");
    assert_found(f, "/a/yz", "inner");
    assert_found(f, "/a/by", "inner");
    assert_found(f, "/x.l", "l");
    assert_found(f, "/x.lm", "lm");
    assert_found(f, "/nz", "n");
    assert_found(f, "/ny", "ny");
}

static void always_inside_a_plain_prefix_rules_its_own_level_only(void **state)
{
    struct fixture *f = *state;
    load(f, "location /a { location ^~ /a/b { return 200 b; }"
            " location ~ x { return 200 in; } }"
            "location ~ y { return 200 out; }");
    assert_found(f, "/a/bx", "b");
    assert_found(f, "/a/by", "out");
    assert_found(f, "/a/x", "in");
}

static void named_locations_are_found_by_name_only(void **state)
{
    struct fixture *f = *state;
    load(f, "location @b { return 200 b; } location @a { internal; }");
    const struct conf_server *s = f->conf->servers;
    assert_slice(location_named(s, SLICE("@b"))->name, "@b");
    assert_true(location_named(s, SLICE("@a"))->internal);
    assert_null(location_named(s, SLICE("@")));
    assert_null(location_named(s, SLICE("@c")));
    assert_ptr_equal(find(f, "@b").at, s->root);
}

static void many_locations_are_all_found(void **state)
{
    struct fixture *f = *state;
    size_t room = 1 << 16, len = 0;
    char *text = malloc(room), uri[64], want[32];
    len = (size_t)snprintf(text, room, "http { server {");
    for (int i = 0; i < 400; i++)
        len += (size_t)snprintf(text + len, room - len,
                                "location %s/p%d/ { return 200 %d; }\n",
                                i % 2 ? "" : "= ", i * 7919 % 400, i);
    snprintf(text + len, room - len, "} }");
    fixture_load(f, text);
    for (int i = 0; i < 400; i++) {
        snprintf(uri, sizeof uri, "/p%d/%s", i * 7919 % 400, i % 2 ? "x" : "");
        snprintf(want, sizeof want, "%d", i);
        assert_found(f, uri, want);
    }
    assert_found(f, "/p4000", "none");
    free(text);
}

static void locations_that_cannot_be_are_refused(void **state)
{
    static const char *const cases[][2] = {
        { "location / { } location ^~ / { }", "duplicate location \"/\"" },
        { "location = /a { } location = /a { }", "duplicate location \"/a\"" },
        { "location @a { } location @a { }", "duplicate location \"@a\"" },
        { "location /a { location /a/b { } location /a/b { } }",
          "duplicate location \"/a/b\"" },
        { "location ! /a { }", "invalid location modifier \"!\"" },
        { "location =x /a { }", "invalid location modifier \"=x\"" },
        { "location = /a { location /a/b { } }",
          "location \"/a/b\" cannot be inside the exact location \"/a\"" },
        { "location @a { location /b { } }",
          "location \"/b\" cannot be inside the named location \"@a\"" },
        { "location /a { location @b { } }",
          "named location \"@b\" can be on the server level only" },
        { "location /a { location /b { } }",
          "location \"/b\" is outside location \"/a\"" },
        { "location @a { alias /x; }", "the \"alias\" directive cannot be "
                                       "used inside the named location" },
        { "location ~ a)b { }", "pcre2_compile() failed: unmatched closing "
                                "parenthesis in \"a)b\" at \")b\"" },
        { "location ~ a( { }", "pcre2_compile() failed: missing closing "
                               "parenthesis in \"a(\"" },
        { "location / { internal; internal; }",
          "\"internal\" directive is duplicate" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256], want[256];
        snprintf(text, sizeof text, "http { server {\n %s } }", cases[i][0]);
        snprintf(want, sizeof want, "%s in nginx.conf:2", cases[i][1]);
        fixture_fault(*state, text, want);
    }
}

static void the_same_name_may_be_exact_prefix_and_regex(void **state)
{
    struct fixture *f = *state;
    load(f, "location /a { return 200 p; } location = /a { return 200 e; }"
            "location ~ /a { return 200 r; } location ~ /a { return 200 s; }");
    assert_found(f, "/a", "e");
    assert_found(f, "/ab", "r");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(the_example_of_nginx_s_manual_holds),
        fixture_test(the_longest_prefix_wins_wherever_it_is_written),
        fixture_test(without_a_match_the_server_s_own_settings_serve),
        fixture_test(regexes_are_tried_in_the_order_of_writing),
        fixture_test(a_modifier_may_stick_to_its_name),
        fixture_test(captures_come_with_a_regex_only),
        fixture_test(nested_locations_are_searched_before_regexes_outside),
        fixture_test(always_inside_a_plain_prefix_rules_its_own_level_only),
        fixture_test(named_locations_are_found_by_name_only),
        fixture_test(many_locations_are_all_found),
        fixture_test(locations_that_cannot_be_are_refused),
        fixture_test(the_same_name_may_be_exact_prefix_and_regex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
