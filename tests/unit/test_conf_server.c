/* test_conf_server.c -- listen, and which server of an address a Host means.
 */
#include "conf/server.h"
#include "conf_fixture.h"

/* ---- listen ------------------------------------------------------------ */

static const struct conf_listen *listen_on(struct fixture *f, const char *args)
{
    char text[256];
    snprintf(text, sizeof text, "http { server { listen %s; } }", args);
    return fixture_load(f, text)->listens;
}

static void addresses_are_read_in_all_their_forms(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *args, *address, *host;
        uint16_t port;
    } cases[] = {
        { "8080", "0.0.0.0:8080", "0.0.0.0", 8080 },
        { "*:81", "0.0.0.0:81", "0.0.0.0", 81 },
        { "127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1", 8080 },
        { "127.0.0.1", "127.0.0.1:80", "127.0.0.1", 80 },
        { "localhost:65535", "localhost:65535", "localhost", 65535 },
        { "[::1]:8080", "[::1]:8080", "::1", 8080 },
        { "[::]", "[::]:80", "::", 80 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct conf_listen *l = listen_on(f, cases[i].args);
        assert_string_equal(l->address, cases[i].address);
        assert_string_equal(l->host, cases[i].host);
        assert_int_equal(l->port, cases[i].port);
        assert_null(l->path);
        assert_null(l->next);
    }
    const struct conf_listen *l = listen_on(f, "unix:/run/x.sock");
    assert_string_equal(l->address, "unix:/run/x.sock");
    assert_string_equal(l->path, "/run/x.sock");
    assert_null(l->host);
}

static void options_of_listen_are_kept(void **state)
{
    struct fixture *f = *state;
    const struct conf_listen *l = listen_on(f, "80");
    assert_int_equal(l->backlog, -1);
    assert_false(l->reuseport);
    assert_true(l->ipv6only);
    l = listen_on(f, "[::]:80 reuseport backlog=7 ipv6only=off bind");
    assert_int_equal(l->backlog, 7);
    assert_true(l->reuseport);
    assert_false(l->ipv6only);
}

static void a_server_listens_somewhere_by_default(void **state)
{
    struct fixture *f = *state;
    fixture_load(f, "http { server { } }");
    assert_int_equal(f->conf->listens->port, geteuid() ? 8000 : 80);
}

static void servers_share_an_address_and_its_options(void **state)
{
    struct fixture *f = *state;
    struct conf *c =
        fixture_load(f, "http { server { listen 80; listen 81; }"
                        " server { listen *:80 default_server backlog=9; } }");
    assert_int_equal(c->listens->nservers, 2);
    assert_int_equal(c->listens->backlog, 9);
    assert_ptr_equal(c->listens->default_server, c->servers->next);
    assert_int_equal(c->listens->next->nservers, 1);
    assert_ptr_equal(c->listens->next->default_server, c->servers);
}

static void listens_that_cannot_be_are_refused(void **state)
{
    static const char *const cases[][2] = {
        { "listen 0;", "invalid port in \"0\" of the \"listen\" directive" },
        { "listen 65536;",
          "invalid port in \"65536\" of the \"listen\" directive" },
        { "listen a:b;",
          "invalid port in \"a:b\" of the \"listen\" directive" },
        { "listen a:;", "invalid port in \"a:\" of the \"listen\" directive" },
        { "listen :80;", "no host in \":80\" of the \"listen\" directive" },
        { "listen '';", "no host in \"\" of the \"listen\" directive" },
        { "listen [::1:80;",
          "invalid host in \"[::1:80\" of the \"listen\" directive" },
        { "listen []:80;", "no host in \"[]:80\" of the \"listen\" directive" },
        { "listen [::1]80;",
          "invalid port in \"[::1]80\" of the \"listen\" directive" },
        { "listen unix:;", "no path in the unix domain socket in \"unix:\" of "
                           "the \"listen\" directive" },
        { "listen 80 ssl;",
          "no \"ssl_certificate\" is defined for the \"listen ... ssl\" "
          "directive" },
        { "listen 80 backlog=x;", "invalid backlog \"backlog=x\"" },
        { "listen 80 backlog=0;", "invalid backlog \"backlog=0\"" },
        { "listen 80; listen *:80;", "a duplicate listen 0.0.0.0:80" },
        { "listen 80 default; } server { listen 80 default_server;",
          "a duplicate default server for 0.0.0.0:80" },
        { "listen 80 reuseport; } server { listen 80 backlog=1;",
          "duplicate listen options for 0.0.0.0:80" },
        { "server_name *;", "server name \"*\" is invalid" },
        { "server_name *.;", "server name \"*.\" is invalid" },
        { "server_name .;", "server name \".\" is invalid" },
        { "server_name a*;", "server name \"a*\" is invalid" },
        { "server_name a.*.b;", "server name \"a.*.b\" is invalid" },
        { "server_name *.a.*;", "server name \"*.a.*\" is invalid" },
        { "server_name ~;", "empty regex in server name \"~\"" },
        { "server_name ~(;", "pcre2_compile() failed: missing closing "
                             "parenthesis in \"(\"" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256], want[256];
        snprintf(text, sizeof text, "http { server {\n %s } }", cases[i][0]);
        snprintf(want, sizeof want, "%s in nginx.conf:2", cases[i][1]);
        fixture_fault(*state, text, want);
    }
}

/* ---- the choice -------------------------------------------------------- */

/* Servers are told apart by their default type. */
static void assert_server(const struct fixture *f, const char *host,
                          const char *want)
{
    size_t ovector[8];
    unsigned pairs = 4;
    const struct conf_server *s =
        server_find(f->conf->listens, slice_str(host), ovector, &pairs, NULL);
    if (!slice_eq(s->root->default_type, slice_str(want)))
        fail_msg("\"%s\": %.*s, not %s", host, SLICE_FMT(s->root->default_type),
                 want);
}

static void load(struct fixture *f, const char *const *names, size_t count)
{
    char text[2048] = "http {";
    for (size_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "server { listen 80; default_type t%zu; %s }\n", i, names[i]);
    strcat(text, "}");
    fixture_load(f, text);
}

static void names_go_before_wildcards_and_regexes_last(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {
        "server_name first;",
        "server_name ~^www\\d*\\.;",
        "server_name www.*;",
        "server_name *.example.com;",
        "server_name *.b.example.com;",
        "server_name www.example.*;",
        "server_name www.example.com Exact.example.com;",
        "server_name .both.org;",
        "server_name ~ORG$;",
    };
    load(f, names, sizeof names / sizeof names[0]);
    assert_server(f, "www.example.com", "t6");
    assert_server(f, "EXACT.Example.COM", "t6");
    assert_server(f, "x.example.com", "t3");
    assert_server(f, "x.b.example.com", "t4"); /* the longer suffix */
    assert_server(f, "b.example.com", "t3");
    assert_server(f, "example.com", "t0"); /* *. asks for more */
    assert_server(f, "www.b.example.com", "t4");
    assert_server(f, "www.example.net", "t5"); /* the longer prefix */
    assert_server(f, "www.other", "t2");
    assert_server(f, "www7.other", "t1");
    assert_server(f, "both.org", "t7");
    assert_server(f, "x.both.org", "t7");
    assert_server(f, "xboth.org", "t8");
    assert_server(f, "unknown", "t0");
}

static void a_host_is_taken_without_port_dot_and_case(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "server_name other;",
                                         "server_name a.com [::1];" };
    load(f, names, 2);
    assert_server(f, "a.com:8080", "t1");
    assert_server(f, "A.COM.", "t1");
    assert_server(f, "a.com.:80", "t1");
    assert_server(f, "[::1]:80", "t1");
    assert_server(f, "[::1", "t0");
    assert_server(f, ":", "t0");
    assert_server(f, ".", "t0");
    char longest[600];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_server(f, longest, "t0");
}

static void the_empty_name_is_a_request_without_a_host(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "server_name a;",
                                         "server_name b \"\";" };
    load(f, names, 2);
    assert_server(f, "", "t1");
    static const char *const unnamed[] = { "server_name a;", "" };
    load(f, unnamed, 2);
    assert_server(f, "", "t1");
    assert_server(f, "x", "t0");
}

static void of_two_equal_names_the_first_serves(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "server_name x;", "server_name a *.b;",
                                         "server_name a *.b;" };
    load(f, names, 3); /* and says so in the log */
    assert_server(f, "a", "t1");
    assert_server(f, "x.b", "t1");
}

static void a_regex_name_gives_its_captures(void **state)
{
    struct fixture *f = *state;
    size_t o[8];
    unsigned pairs = 4;
    const struct conf_server_name *name;
    fixture_load(f, "http { server { listen 80; server_name x "
                    "~^(?<User>\\w+)\\.me$; return 200 $user; } }");
    const struct conf_listen *l = f->conf->listens;
    server_find(l, SLICE("Ann.me:80"), o, &pairs, &name);
    assert_int_equal(pairs, 2);
    assert_int_equal(o[3], 3);
    assert_int_equal(name->kind, CONF_NAME_REGEX);
    assert_slice(name->pattern.named[0].variable->name, "user");
    pairs = 4;
    server_find(l, SLICE("x"), o, &pairs, &name);
    assert_int_equal(pairs, 0);
    assert_int_equal(name->kind, CONF_NAME_EXACT);
    server_find(l, SLICE("y"), o, &pairs, &name);
    assert_null(name);
}

static void a_server_is_called_by_its_first_name(void **state)
{
    struct fixture *f = *state;
    fixture_load(f, "http { server { server_name .Dot.org b; } "
                    "server { listen 81; server_name *.x; } "
                    "server { listen 82; server_name $hostname; } "
                    "server { listen 83; } }");
    const struct conf_server *s = f->conf->servers;
    assert_slice(s->name, "Dot.org");
    assert_slice(s->next->name, "*.x");
    s = s->next->next;
    assert_true(s->names->text.len > 0);
    assert_slice(s->next->name, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(addresses_are_read_in_all_their_forms),
        fixture_test(options_of_listen_are_kept),
        fixture_test(a_server_listens_somewhere_by_default),
        fixture_test(servers_share_an_address_and_its_options),
        fixture_test(listens_that_cannot_be_are_refused),
        fixture_test(names_go_before_wildcards_and_regexes_last),
        fixture_test(a_host_is_taken_without_port_dot_and_case),
        fixture_test(the_empty_name_is_a_request_without_a_host),
        fixture_test(of_two_equal_names_the_first_serves),
        fixture_test(a_regex_name_gives_its_captures),
        fixture_test(a_server_is_called_by_its_first_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
