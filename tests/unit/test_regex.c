/* test_regex.c -- PCRE2 behind a small interface, from several threads. */
#include "base/regex.h"
#include "unit.h"
#include <pthread.h>

static struct regex *compile(const char *pattern)
{
    struct regex *re = NULL;
    assert_int_equal(regex_compile(&re, slice_str(pattern), 0, NULL), OK);
    return re;
}

static void a_match_gives_the_offsets_of_its_groups(void **state)
{
    (void)state;
    size_t o[6];
    struct regex *re = compile("(\\d+)-(\\w+)");
    assert_int_equal(regex_groups(re), 2);
    assert_int_equal(regex_match(re, SLICE("see 42-ab!"), 0, 0, o, 3), 3);
    assert_int_equal(o[0], 4);
    assert_int_equal(o[1], 9);
    assert_int_equal(o[2], 4);
    assert_int_equal(o[3], 6);
    assert_int_equal(o[4], 7);
    assert_int_equal(o[5], 9);
    regex_free(re);
}

static void no_match_leaves_the_offsets_alone(void **state)
{
    (void)state;
    size_t o[2] = { 7, 8 };
    struct regex *re = compile("x");
    assert_int_equal(regex_match(re, SLICE("abc"), 0, 0, o, 1), REGEX_NO_MATCH);
    assert_int_equal(o[0], 7);
    assert_int_equal(o[1], 8);
    regex_free(re);
}

static void a_group_that_took_no_part_is_unset(void **state)
{
    (void)state;
    size_t o[10];
    struct regex *re = compile("(a)|(b)(c)?");
    for (size_t i = 0; i < 10; i++)
        o[i] = 99;
    assert_int_equal(regex_match(re, SLICE("b"), 0, 0, o, 5), 3);
    assert_true(o[2] == REGEX_UNSET && o[3] == REGEX_UNSET);
    assert_int_equal(o[4], 0);
    assert_true(o[6] == REGEX_UNSET && o[7] == REGEX_UNSET);
    assert_int_equal(o[8], 99); /* not a group of the pattern */
    regex_free(re);
}

static void a_small_ovector_takes_the_first_pairs(void **state)
{
    (void)state;
    size_t o[4] = { 0, 0, 99, 99 };
    struct regex *re = compile("(a)(b)");
    assert_int_equal(regex_match(re, SLICE("xab"), 0, 0, o, 1), 3);
    assert_int_equal(o[0], 1);
    assert_int_equal(o[2], 99);
    regex_free(re);
}

static void matching_starts_where_it_is_told_to(void **state)
{
    (void)state;
    size_t o[2];
    struct regex *re = compile("a");
    assert_int_equal(regex_match(re, SLICE("aba"), 1, 0, o, 1), 1);
    assert_int_equal(o[0], 2);
    assert_int_equal(regex_match(re, SLICE("aba"), 3, 0, o, 1), REGEX_NO_MATCH);
    assert_true(regex_match(re, SLICE("aba"), 4, 0, o, 1) < REGEX_NO_MATCH);
    regex_free(re);
}

static void a_broken_pattern_says_why_and_where(void **state)
{
    (void)state;
    struct regex *re = NULL;
    size_t at = 0;
    assert_int_equal(regex_compile(&re, SLICE("ab(c"), 0, &at), ERR_INVALID);
    assert_string_equal(err_text(), "missing closing parenthesis");
    assert_int_equal(at, 4);
    assert_null(re);
}

static void options_reach_the_pattern(void **state)
{
    (void)state;
    size_t o[2];
    struct regex *re = NULL;
    assert_int_equal(regex_compile(&re, SLICE("abc"), REGEX_CASELESS, NULL),
                     OK);
    assert_int_equal(regex_match(re, SLICE("xABC"), 0, 0, o, 1), 1);
    assert_true(regex_jit(re));
    regex_free(re);
}

static void named_groups_are_found_and_walked(void **state)
{
    (void)state;
    struct regex *re = compile("(?<year>\\d+)-(x)-(?<day>\\d+)");
    assert_int_equal(regex_group(re, SLICE("year")), 1);
    assert_int_equal(regex_group(re, SLICE("day")), 3);
    assert_int_equal(regex_group(re, SLICE("da")), -1);
    unsigned i = 0, group, sum = 0;
    for (struct slice name; regex_next(re, &i, &name, &group);)
        sum += group;
    assert_int_equal(sum, 4);
    assert_int_equal(i, 2);
    regex_free(re);
}

static void an_empty_subject_and_an_empty_pattern_match(void **state)
{
    (void)state;
    size_t o[2] = { 9, 9 };
    struct regex *re = NULL;
    assert_int_equal(regex_compile(&re, SLICE_NONE, 0, NULL), OK);
    assert_int_equal(regex_match(re, SLICE_NONE, 0, 0, o, 1), 1);
    assert_int_equal(o[1], 0);
    regex_free(re);
    regex_free(NULL);
}

static void every_fault_has_words(void **state)
{
    (void)state;
    assert_string_equal(regex_reason(REGEX_NO_MATCH), "no match");
    assert_string_equal(regex_reason(-9999), "unknown error");
}

static void a_search_may_be_limited_and_may_be_a_dfa(void **state)
{
    (void)state;
    const size_t *o;
    struct regex *re;
    struct slice text = SLICE("aaaaaaaaaaaaaaaaaaaaab");
    assert_int_equal(regex_compile_plain(&re, SLICE("(?:a+)+$"), 0, NULL), OK);
    assert_false(regex_jit(re));
    struct regex_how how = { .limit = 100 };
    int found = regex_search(re, text, 0, &how, &o);
    assert_int_equal(regex_classic_code(found), -8);
    how.limit = 0; /* PCRE2's own again */
    assert_int_equal(regex_search(re, SLICE("aa"), 0, &how, &o), 1);
    regex_free(re);
    re = compile("(he|hell)");
    how.dfa = true;
    assert_int_equal(regex_search(re, SLICE("hello"), 0, &how, &o), 1);
    assert_int_equal(o[1], 4); /* the longest */
    regex_free(re);
}

static void the_jit_may_get_more_stack(void **state)
{
    (void)state;
    const size_t *o;
    struct regex_how how = { 0 };
    static char text[60000];
    memset(text, 'a', sizeof text);
    struct regex *deep = compile("^(?:(.)(?=.*))*(.)$");
    int poor = regex_search(deep, SLICE_OF(text, sizeof text), 0, &how, &o);
    assert_int_equal(regex_classic_code(poor), -27);
    assert_int_equal(regex_jit_stack(64 * 1024 * 1024), OK);
    assert_true(regex_search(deep, SLICE_OF(text, sizeof text), 0, &how, &o) >
                0);
    regex_free(deep);
}

/* ---- threads ----------------------------------------------------------- */

enum { ROUNDS = 2000 };

static void *match_often(void *arg)
{
    const struct regex *re = arg;
    size_t o[4];
    char text[32];
    for (unsigned i = 0; i < ROUNDS; i++) {
        int len = snprintf(text, sizeof text, "id=%u;", i);
        if (regex_match(re, SLICE_OF(text, (size_t)len), 0, 0, o, 2) != 2 ||
            o[2] != 3 || o[3] != (size_t)len - 1)
            return arg;
    }
    return NULL;
}

static void threads_share_a_pattern(void **state)
{
    (void)state;
    struct regex *re = compile("id=(\\d+);");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, match_often, re);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    regex_free(re);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_match_gives_the_offsets_of_its_groups),
        cmocka_unit_test(no_match_leaves_the_offsets_alone),
        cmocka_unit_test(a_group_that_took_no_part_is_unset),
        cmocka_unit_test(a_small_ovector_takes_the_first_pairs),
        cmocka_unit_test(matching_starts_where_it_is_told_to),
        cmocka_unit_test(a_broken_pattern_says_why_and_where),
        cmocka_unit_test(options_reach_the_pattern),
        cmocka_unit_test(named_groups_are_found_and_walked),
        cmocka_unit_test(an_empty_subject_and_an_empty_pattern_match),
        cmocka_unit_test(every_fault_has_words),
        cmocka_unit_test(a_search_may_be_limited_and_may_be_a_dfa),
        cmocka_unit_test(the_jit_may_get_more_stack),
        cmocka_unit_test(threads_share_a_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
