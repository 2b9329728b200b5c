/* test_stream_scan.c -- the piece that a reader wants. */
#include "net/stream_scan.h"
#include "unit.h"
#include <stdlib.h>

struct input { /* what comes, byte by byte, as from a slow peer */
    struct slice all;
    size_t taken;
};

/* The next piece of in, however it is cut into packets; "?" at its end. */
static struct slice next(struct input *in, struct stream_scan scan,
                         size_t packet)
{
    struct slice found = SLICE_NONE;
    size_t used = 0, come = in->taken;
    for (;;) {
        struct slice seen =
            SLICE_OF(in->all.data + in->taken, come - in->taken);
        if (stream_scan_try(&scan, seen, &found, &used) == OK) {
            in->taken += used;
            return found;
        }
        if (come == in->all.len) {
            in->taken += used;
            return SLICE("?");
        }
        come += packet;
        if (come > in->all.len)
            come = in->all.len;
    }
}

static struct stream_pattern *pattern(const char *text, bool inclusive)
{
    struct stream_pattern *p = malloc(stream_scan_pattern_size(strlen(text)));
    assert_non_null(p);
    stream_scan_compile(p, slice_str(text), inclusive);
    return p;
}

static void a_line_ends_at_its_newline(void **state)
{
    (void)state;
    for (size_t packet = 1; packet < 9; packet++) {
        struct input in = { SLICE("one\r\n\ntwo"), 0 };
        struct stream_scan scan = { .kind = SCAN_LINE };
        assert_slice(next(&in, scan, packet), "one\r");
        assert_slice(next(&in, scan, packet), "");
        assert_slice(next(&in, scan, packet), "?");
    }
}

static void a_size_is_exact_and_any_is_what_is_there(void **state)
{
    (void)state;
    struct input in = { SLICE("abcdefghij"), 0 };
    struct stream_scan size = { .kind = SCAN_SIZE, .size = 4 };
    struct stream_scan any = { .kind = SCAN_ANY, .size = 5 };
    assert_slice(next(&in, size, 3), "abcd");
    assert_slice(next(&in, any, 2), "ef");
    assert_slice(next(&in, any, 99), "ghij");
    in.taken = 0;
    assert_slice(next(&in, any, 99), "abcde");
}

static void a_pattern_is_found_across_packets(void **state)
{
    (void)state;
    for (size_t packet = 1; packet < 20; packet++) {
        struct input in = { SLICE("hello aaab aab!aabrest"), 0 };
        struct stream_pattern *p = pattern("aab", false);
        struct stream_scan scan = { .kind = SCAN_UNTIL, .pattern = p };
        assert_slice(next(&in, scan, packet), "hello a");
        assert_slice(next(&in, scan, packet), " ");
        assert_slice(next(&in, scan, packet), "!");
        assert_slice(next(&in, scan, packet), "?");
        free(p);
    }
}

static void an_inclusive_pattern_is_part_of_the_piece(void **state)
{
    (void)state;
    struct input in = { SLICE("abcabcabd--abcabd"), 0 };
    struct stream_pattern *p = pattern("abcabd", true);
    struct stream_scan scan = { .kind = SCAN_UNTIL, .pattern = p };
    assert_slice(next(&in, scan, 1), "abcabcabd");
    assert_slice(next(&in, scan, 1), "--abcabd");
    free(p);
}

static void pieces_of_a_size_end_at_the_pattern(void **state)
{
    (void)state;
    for (size_t packet = 1; packet < 30; packet++) {
        struct input in = { SLICE("hello, world! -agentzh\r\n--abcedhb blah"),
                            0 };
        struct stream_pattern *p = pattern("\r\n--abcedhb", false);
        struct stream_scan scan = { .kind = SCAN_UNTIL,
                                    .size = 4,
                                    .pattern = p };
        static const char *const pieces[] = { "hell", "o, w", "orld",
                                              "! -a", "gent", "zh" };
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            assert_false(p->ended);
            assert_slice(next(&in, scan, packet), pieces[i]);
        }
        assert_true(p->ended);
        assert_int_equal(in.taken, 33);
        free(p);
    }
}

/* What was held back as a possible beginning comes in one go, so a piece may
 * be longer than asked for. */
static void a_false_beginning_is_not_lost(void **state)
{
    (void)state;
    struct input in = { SLICE("ab--ab-x--ab--end"), 0 };
    struct stream_pattern *p = pattern("--ab--", false);
    struct stream_scan scan = { .kind = SCAN_UNTIL, .size = 3, .pattern = p };
    assert_slice(next(&in, scan, 1), "ab--ab-");
    assert_slice(next(&in, scan, 1), "x");
    assert_true(p->ended);
    free(p);
}

/* After a timeout the part before a possible pattern is given out, and the
 * next try goes on within it. */
static void a_broken_off_scan_goes_on(void **state)
{
    (void)state;
    struct stream_pattern *p = pattern("\r\n\r\n", false);
    struct stream_scan scan = { .kind = SCAN_UNTIL, .pattern = p };
    struct slice found;
    size_t used;
    assert_int_equal(stream_scan_try(&scan, SLICE("abc\r\n"), &found, &used),
                     PENDING);
    assert_slice(found, "abc");
    assert_int_equal(used, 3);
    scan = (struct stream_scan){ .kind = SCAN_UNTIL, .pattern = p };
    assert_int_equal(stream_scan_try(&scan, SLICE("\r\n\r\nx"), &found, &used),
                     OK);
    assert_slice(found, "");
    assert_int_equal(used, 4);
    free(p);
}

/* Another method has taken the bytes that the state stood for. */
static void a_stale_state_is_forgotten(void **state)
{
    (void)state;
    struct stream_pattern *p = pattern("ab", false);
    struct stream_scan scan = { .kind = SCAN_UNTIL, .pattern = p };
    struct slice found;
    size_t used;
    p->state = 1;
    assert_int_equal(stream_scan_try(&scan, SLICE("bcab"), &found, &used), OK);
    assert_slice(found, "bc");
    free(p);
}

/* Against a search that cannot be wrong. */
static void random_input_is_split_as_memmem_does(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 3000; round++) {
        char text[40], mark[6] = "";
        size_t len = (size_t)rand() % sizeof text;
        size_t mlen = 1 + (size_t)rand() % 5;
        for (size_t i = 0; i < len; i++)
            text[i] = (char)('a' + rand() % 2);
        for (size_t i = 0; i < mlen; i++)
            mark[i] = (char)('a' + rand() % 2);
        struct stream_pattern *p = pattern(mark, false);
        struct stream_scan scan = { .kind = SCAN_UNTIL, .pattern = p };
        struct input in = { SLICE_OF(text, len), 0 };
        size_t want = 0;
        while (want + mlen <= len && memcmp(text + want, mark, mlen))
            want++;
        struct slice got = next(&in, scan, 1 + (size_t)rand() % 4);
        if (want + mlen <= len)
            assert_int_equal(got.len, want);
        else
            assert_slice(got, "?");
        free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_ends_at_its_newline),
        cmocka_unit_test(a_size_is_exact_and_any_is_what_is_there),
        cmocka_unit_test(a_pattern_is_found_across_packets),
        cmocka_unit_test(an_inclusive_pattern_is_part_of_the_piece),
        cmocka_unit_test(pieces_of_a_size_end_at_the_pattern),
        cmocka_unit_test(a_false_beginning_is_not_lost),
        cmocka_unit_test(a_broken_off_scan_goes_on),
        cmocka_unit_test(a_stale_state_is_forgotten),
        cmocka_unit_test(random_input_is_split_as_memmem_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
