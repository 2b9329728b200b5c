/* test_conf_syntax.c -- words, quotes, braces and Lua blocks, as nginx reads
 * them, and where a fault is said to be. */
#include "conf_fixture.h"

/* The value of the first header that the server adds. */
static struct slice header(struct fixture *f, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "http { server { add_header h %s; } }", text);
    fixture_load(f, whole);
    assert_int_equal(fixture_server(f)->nheaders, 1);
    return fixture_server(f)->headers[0].value.source;
}

static void words_and_quotes_are_read_as_nginx_reads_them(void **state)
{
    struct fixture *f = *state;
    assert_slice(header(f, "a"), "a");
    assert_slice(header(f, "'a b'"), "a b");
    assert_slice(header(f, "\"a 'b' ; { }\""), "a 'b' ; { }");
    assert_slice(header(f, "''"), "");
    assert_slice(header(f, "a\"b'c"), "a\"b'c"); /* quotes within a word */
    assert_slice(header(f, "a}b"), "a}b");
    assert_slice(header(f, "a#b"), "a#b");
    assert_slice(header(f, "a # ;\n"), "a"); /* a comment */
    assert_slice(header(f, "'a\nb'"), "a\nb");
}

static void backslashes_escape_as_in_nginx(void **state)
{
    struct fixture *f = *state;
    assert_slice(header(f, "a\\;b"), "a\\;b"); /* kept, for regexes */
    assert_slice(header(f, "a\\ b"), "a\\ b");
    assert_slice(header(f, "'\\d\\\\'"), "\\d\\");
    assert_slice(header(f, "'a\\'b\\\"'"), "a'b\"");
    assert_slice(header(f, "\"t\\tr\\rn\\n\""), "t\tr\rn\n");
}

static void a_brace_after_a_dollar_belongs_to_the_word(void **state)
{
    struct fixture *f = *state;
    assert_slice(header(f, "a${host}b"), "a${host}b");
    fixture_fault(f, "http { add_header a ${host}{b; } }",
                  "directive \"add_header\" is not terminated by \";\" in "
                  "nginx.conf:1");
}

static void texts_that_end_too_early_are_faults(void **state)
{
    struct fixture *f = *state;
    static const char end[] = "unexpected end of file, expecting \";\" or "
                              "\"}\" in nginx.conf:";
    char want[128];
    snprintf(want, sizeof want, "%s2", end);
    fixture_fault(f, "http {\n server_tokens", want);
    fixture_fault(f, "http {\n server_tokens off", want);
    fixture_fault(f, "http {\n server_tokens \"off", want);
    fixture_fault(f, "http {\n server_tokens \"off\"", want);
    fixture_fault(f, "http {\n server_tokens off\\", want);
    snprintf(want, sizeof want, "%s3", end);
    fixture_fault(f, "http {\n server_tokens 'off\n", want);
    fixture_fault(f, "http {\n",
                  "unexpected end of file, expecting \"}\" in nginx.conf:2");
    fixture_fault(f, "http { server {\n }",
                  "unexpected end of file, expecting \"}\" in nginx.conf:2");
}

static void what_is_out_of_place_is_a_fault(void **state)
{
    struct fixture *f = *state;
    fixture_fault(f, "\n}", "unexpected \"}\" in nginx.conf:2");
    fixture_fault(f, "http { } }", "unexpected \"}\" in nginx.conf:1");
    fixture_fault(f, "http {\n server_tokens off\n}",
                  "unexpected \"}\" in nginx.conf:3");
    fixture_fault(f, "http {\n ;", "unexpected \";\" in nginx.conf:2");
    fixture_fault(f, "http { {", "unexpected \"{\" in nginx.conf:1");
    fixture_fault(f, "http { server_tokens 'off'x; }",
                  "unexpected \"x\" in nginx.conf:1");
    fixture_fault(f, "http { server_tokens 'off'}",
                  "unexpected \"}\" in nginx.conf:1");
    fixture_fault(f, "http { server_tokens 'off'); }",
                  "invalid number of arguments in \"server_tokens\" directive "
                  "in nginx.conf:1"); /* nginx: `)` begins a word */
}

static void statements_need_their_own_ending(void **state)
{
    struct fixture *f = *state;
    fixture_fault(f, "http { root a { } }",
                  "directive \"root\" is not terminated by \";\" in "
                  "nginx.conf:1");
    fixture_fault(f, "http {\n root a\n server { } }",
                  "directive \"root\" is not terminated by \";\" in "
                  "nginx.conf:3");
    fixture_fault(f, "http;",
                  "directive \"http\" has no opening \"{\" in "
                  "nginx.conf:1");
    fixture_fault(f, "http { init_by_lua_block 'x'; }",
                  "directive \"init_by_lua_block\" has no opening \"{\" in "
                  "nginx.conf:1");
}

static void deep_blocks_are_refused(void **state)
{
    struct fixture *f = *state;
    char text[4096] = "http { server {";
    for (int i = 0; i < 80; i++)
        strcat(text, " location / {");
    fixture_fault(f, text, "blocks are nested too deeply in nginx.conf:1");
}

/* ---- Lua blocks -------------------------------------------------------- */

static const struct conf_code *content(struct fixture *f, const char *code)
{
    char whole[1024];
    snprintf(whole, sizeof whole,
             "http { server { location / {\n"
             "content_by_lua_block {%s}\nroot after; } } }",
             code);
    fixture_load(f, whole);
    const struct conf_location *at = fixture_location(f);
    assert_true(slice_starts(at->root.source, slice_str(f->prefix)));
    assert_non_null(strstr(at->root.source.data, "/after"));
    assert_non_null(at->code[CONF_CONTENT]);
    return at->code[CONF_CONTENT];
}

static void a_lua_block_ends_at_its_own_brace(void **state)
{
    struct fixture *f = *state;
    static const char *const codes[] = {
        "",
        " return { a = { b = {} } } ",
        " a = \"}\" b = '}' c = \"\\\"}\" d = '\\'{' e = \"\\\\\" ",
        " a = [[ } ]] b = [==[ } ]] ]=] ]==] c = [=[\n}\n]=] ",
        " -- } it's\n f() ",
        " --[[ } \n } ]] f() --[==[ } ]] } ]==] ",
        " --[=x }\n --[ }\n",
        " t[t[1]] = 5 a = {[ [[}]] ] = 1} ",
        " # not a comment; 'a;b' \"c{\" ",
        " x = \"two \\\n lines\" ", /* continued by a backslash */
        " -- a comment with no end of line before the brace\n",
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_slice(content(f, codes[i])->text, codes[i]);
}

static void a_stray_quote_does_not_swallow_the_next_line(void **state)
{
    struct fixture *f = *state;
    assert_slice(content(f, " it's\n ")->text, " it's\n ");
}

static void lines_are_counted_through_lua(void **state)
{
    struct fixture *f = *state;
    fixture_fault(f,
                  "http { init_by_lua_block {\n a = [[\n\n]] --[[\n]]\n"
                  "'\\'\n' -- x\n}\nbogus;\n}",
                  "unknown directive \"bogus\" in nginx.conf:9");
}

static void lua_without_an_end_is_a_fault(void **state)
{
    struct fixture *f = *state;
    static const char end[] = "unexpected end of file, expecting terminating "
                              "characters for lua code block in nginx.conf:";
    char want[160];
    snprintf(want, sizeof want, "%s2", end);
    fixture_fault(f, "http {\n init_by_lua_block {\n a = 1\n", want);
    fixture_fault(f, "http {\n init_by_lua_block { } -- }",
                  "unexpected \"}\" in nginx.conf:2"); /* it has ended */
    snprintf(want, sizeof want, "%s3", end); /* the line of the last brace */
    fixture_fault(f, "http {\n init_by_lua_block {\n if { \n \n }", want);
}

static void an_open_long_bracket_is_named(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "Lua code block missing the closing long "
                               "bracket \"%s\", the inlined Lua code may be "
                               "too long in nginx.conf:2";
    static const char *const cases[][2] = {
        { "a = [[ ]=] }", "]]" },
        { "a = [==[ ]] ]=] ]===] }", "]==]" },
        { "--[[ }", "]]" },
        { "--[=[ ]] }", "]=]" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char code[128], want[256];
        snprintf(code, sizeof code, "http { init_by_lua_block {\n%s } }\n",
                 cases[i][0]);
        snprintf(want, sizeof want, text, cases[i][1]);
        fixture_fault(f, code, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(words_and_quotes_are_read_as_nginx_reads_them),
        fixture_test(backslashes_escape_as_in_nginx),
        fixture_test(a_brace_after_a_dollar_belongs_to_the_word),
        fixture_test(texts_that_end_too_early_are_faults),
        fixture_test(what_is_out_of_place_is_a_fault),
        fixture_test(statements_need_their_own_ending),
        fixture_test(deep_blocks_are_refused),
        fixture_test(a_lua_block_ends_at_its_own_brace),
        fixture_test(a_stray_quote_does_not_swallow_the_next_line),
        fixture_test(lines_are_counted_through_lua),
        fixture_test(lua_without_an_end_is_a_fault),
        fixture_test(an_open_long_bracket_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
