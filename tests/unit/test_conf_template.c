/* test_conf_template.c -- texts with variables, compiled and rendered. */
#include "conf/template.h"
#include "unit.h"

static struct arena arena;

static void show(void *user, const struct conf_part *part, struct buf *out)
{
    (void)user;
    if (part->kind == CONF_CAPTURE)
        buf_addf(out, "<%d>", part->index);
    else
        buf_addf(out, "[%.*s]", SLICE_FMT(part->text));
}

static void assert_rendered(const char *text, const char *want)
{
    struct conf_template t;
    struct buf out = { 0 };
    assert_int_equal(template_parse(&t, &arena, slice_str(text)), OK);
    template_render(&t, &out, show, NULL);
    assert_slice(buf_slice(&out), want);
    assert_slice(t.source, text);
    buf_free(&out);
}

static void variables_are_cut_out_of_the_text(void **state)
{
    (void)state;
    assert_rendered("", "");
    assert_rendered("plain", "plain");
    assert_rendered("$a", "[a]");
    assert_rendered("x$a/y", "x[a]/y");
    assert_rendered("$a$b", "[a][b]");
    assert_rendered("${a}b", "[a]b");
    assert_rendered("$a_1-b", "[a_1]-b");
    assert_rendered("$Http_HOST", "[http_host]");
    assert_rendered("}{$a}", "}{[a]}");
    arena_free(&arena);
}

static void a_dollar_and_a_digit_is_a_capture(void **state)
{
    (void)state;
    assert_rendered("$1", "<1>");
    assert_rendered("a$10$2b", "a<1>0<2>b");
    assert_rendered("$0", "[0]");
    arena_free(&arena);
}

static void constants_are_known(void **state)
{
    (void)state;
    struct conf_template t;
    template_parse(&t, &arena, SLICE(""));
    assert_true(template_constant(&t));
    template_parse(&t, &arena, SLICE("abc"));
    assert_true(template_constant(&t));
    template_parse(&t, &arena, SLICE("$abc"));
    assert_false(template_constant(&t));
    template_parse(&t, &arena, SLICE("a$1"));
    assert_false(template_constant(&t));
    arena_free(&arena);
}

static void a_name_that_is_not_there_is_a_fault(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "$", "invalid variable name" },
        { "a$ b", "invalid variable name" },
        { "$$a", "invalid variable name" },
        { "${}", "invalid variable name" },
        { "${", "the closing bracket in \"\" variable is missing" },
        { "${a", "the closing bracket in \"a\" variable is missing" },
        { "${a-b}", "the closing bracket in \"a\" variable is missing" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conf_template t;
        assert_int_equal(template_parse(&t, &arena, slice_str(cases[i][0])),
                         ERR_CONFIG);
        assert_string_equal(err_text(), cases[i][1]);
    }
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_are_cut_out_of_the_text),
        cmocka_unit_test(a_dollar_and_a_digit_is_a_capture),
        cmocka_unit_test(constants_are_known),
        cmocka_unit_test(a_name_that_is_not_there_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
