/* test_metrics.c -- counting, and the Prometheus text of it. */
#include "base/metrics.h"
#include "base/text.h"
#include "unit.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* The process has one set of metrics: each test names its own. */

static struct buf exposed;

/* What the exposition says of the metric called name. */
static const char *expose(const char *name)
{
    char head[128];
    snprintf(head, sizeof head, "# HELP %s ", name);
    buf_clear(&exposed);
    metrics_expose(&exposed);
    assert_true(buf_ok(&exposed));
    char *start = strstr(buf_str(&exposed), head);
    assert_non_null(start);
    char *end = strstr(start + 1, "# HELP ");
    if (end)
        *end = '\0';
    return start;
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void without_labels_it_starts_at_zero(void **state)
{
    (void)state;
    struct metric *m = metrics_counter("plain_total", "Plain.", NULL);
    assert_string_equal(expose("plain_total"), "# HELP plain_total Plain.\n"
                                               "# TYPE plain_total counter\n"
                                               "plain_total 0\n");
    metric_add(m, NULL, 2);
    metric_add(m, NULL, 0.5);
    assert_non_null(strstr(expose("plain_total"), "\nplain_total 2.5\n"));
}

static void series_are_sorted_by_their_labels(void **state)
{
    (void)state;
    struct metric *m = metrics_counter(
        "sorted_total", "S.", (const char *const[]){ "app", "result", NULL });
    metric_add(m, (struct slice[]){ SLICE("b"), SLICE("ok") }, 1);
    metric_add(m, (struct slice[]){ SLICE("a"), SLICE("ok") }, 2);
    metric_add(m, (struct slice[]){ SLICE("a"), SLICE("no") }, 3);
    metric_add(m, (struct slice[]){ SLICE("a"), SLICE("ok") }, 40);
    assert_string_equal(expose("sorted_total"),
                        "# HELP sorted_total S.\n"
                        "# TYPE sorted_total counter\n"
                        "sorted_total{app=\"a\",result=\"no\"} 3\n"
                        "sorted_total{app=\"a\",result=\"ok\"} 42\n"
                        "sorted_total{app=\"b\",result=\"ok\"} 1\n");
}

static void metrics_are_sorted_by_name(void **state)
{
    (void)state;
    metrics_gauge("order_c", "", NULL);
    metrics_gauge("order_a", "", NULL);
    metrics_gauge("order_b", "", NULL);
    buf_clear(&exposed);
    metrics_expose(&exposed);
    const char *text = buf_str(&exposed);
    char *first = strstr(text, "\norder_a 0"),
         *second = strstr(text, "\norder_b 0"),
         *third = strstr(text, "\norder_c 0");
    assert_true(first && first < second && second < third);
}

static void values_that_share_bytes_stay_apart(void **state)
{
    (void)state;
    struct metric *m = metrics_counter("apart_total", "",
                                       (const char *const[]){ "x", "y", NULL });
    metric_add(m, (struct slice[]){ SLICE("ab"), SLICE("c") }, 1);
    metric_add(m, (struct slice[]){ SLICE("a"), SLICE("bc") }, 2);
    metric_add(m, (struct slice[]){ SLICE(""), SLICE("abc") }, 3);
    metric_add(m, (struct slice[]){ SLICE("abc"), SLICE_NONE }, 4);
    const char *text = expose("apart_total");
    assert_non_null(strstr(text, "{x=\"ab\",y=\"c\"} 1\n"));
    assert_non_null(strstr(text, "{x=\"a\",y=\"bc\"} 2\n"));
    assert_non_null(strstr(text, "{x=\"\",y=\"abc\"} 3\n"));
    assert_non_null(strstr(text, "{x=\"abc\",y=\"\"} 4\n"));
}

static void a_gauge_goes_both_ways(void **state)
{
    (void)state;
    struct metric *m = metrics_gauge("both_ways", "", NULL);
    metric_set(m, NULL, 10);
    metric_add(m, NULL, -12.25);
    assert_non_null(strstr(expose("both_ways"), "\nboth_ways -2.25\n"));
}

static void a_counter_never_goes_down(void **state)
{
    (void)state;
    struct metric *m = metrics_counter("upwards_total", "", NULL);
    metric_add(m, NULL, 3);
    metric_add(m, NULL, -1);
    metric_add(m, NULL, NAN);
    assert_non_null(strstr(expose("upwards_total"), "\nupwards_total 3\n"));
}

static void buckets_add_up_and_include_their_end(void **state)
{
    (void)state;
    static const double bounds[] = { 0.1, 1, 10 };
    struct metric *m =
        metrics_histogram("took_seconds", "T.",
                          (const char *const[]){ "route", NULL }, bounds, 3);
    struct slice route = SLICE("/x");
    static const double seen[] = { 0.05, 0.1, 0.5, 1, 2, 100, NAN };
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
        metric_observe(m, &route, seen[i]);
    assert_string_equal(expose("took_seconds"),
                        "# HELP took_seconds T.\n"
                        "# TYPE took_seconds histogram\n"
                        "took_seconds_bucket{route=\"/x\",le=\"0.1\"} 2\n"
                        "took_seconds_bucket{route=\"/x\",le=\"1\"} 4\n"
                        "took_seconds_bucket{route=\"/x\",le=\"10\"} 5\n"
                        "took_seconds_bucket{route=\"/x\",le=\"+Inf\"} 6\n"
                        "took_seconds_sum{route=\"/x\"} 103.65\n"
                        "took_seconds_count{route=\"/x\"} 6\n");
}

static void a_histogram_without_labels_is_there_at_once(void **state)
{
    (void)state;
    metrics_histogram("batch_size", "B.", NULL, (const double[]){ 1 }, 1);
    assert_string_equal(expose("batch_size"), "# HELP batch_size B.\n"
                                              "# TYPE batch_size histogram\n"
                                              "batch_size_bucket{le=\"1\"} 0\n"
                                              "batch_size_bucket{le=\"+Inf\"} 0"
                                              "\nbatch_size_sum 0\n"
                                              "batch_size_count 0\n");
}

static void labels_and_help_are_escaped(void **state)
{
    (void)state;
    struct metric *m = metrics_counter("escaped_total", "a\\b\n\"c\"",
                                       (const char *const[]){ "v", NULL });
    metric_add(m, &SLICE("q\"b\\n\nend"), 1);
    assert_string_equal(expose("escaped_total"),
                        "# HELP escaped_total a\\\\b\\n\"c\"\n"
                        "# TYPE escaped_total counter\n"
                        "escaped_total{v=\"q\\\"b\\\\n\\nend\"} 1\n");
}

static void a_value_is_cut_between_characters(void **state)
{
    (void)state;
    struct metric *m =
        metrics_counter("cut_total", "", (const char *const[]){ "v", NULL });
    char value[80], want[128];
    memset(value, 'x', sizeof value);
    memcpy(value + 62, "\xe4\xbd\xa0", 3); /* crosses byte 64 */
    metric_add(m, &SLICE_OF(value, sizeof value), 1);
    snprintf(want, sizeof want, "cut_total{v=\"%.62s\"} 1\n", value);
    assert_non_null(strstr(expose("cut_total"), want));
}

static void a_value_becomes_valid_utf8(void **state)
{
    (void)state;
    struct metric *m =
        metrics_counter("utf8_total", "", (const char *const[]){ "v", NULL });
    metric_add(m, &SLICE("a\xff\xe4\xbd\xa0\xe4\xbd"), 1);
    metric_add(m, &SLICE("\xed\xa0\x80"), 1);
    const char *text = expose("utf8_total");
    assert_true(text_is_utf8(slice_str(text)));
    assert_non_null(strstr(text, "{v=\"a?\xe4\xbd\xa0??\"} 1\n"));
    assert_non_null(strstr(text, "{v=\"???\"} 1\n"));
}

static void too_many_series_are_counted_as_other(void **state)
{
    (void)state;
    struct metric *m = metrics_counter(
        "many_total", "", (const char *const[]){ "id", "kind", NULL });
    char id[16];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < METRICS_SERIES + 500; i++) {
            snprintf(id, sizeof id, "%d", i);
            metric_add(m, (struct slice[]){ slice_str(id), SLICE("k") }, 1);
        }
    }
    const char *text = expose("many_total");
    assert_int_equal(count_lines(text), 2 + METRICS_SERIES + 1);
    assert_non_null(strstr(text, "{id=\"0\",kind=\"k\"} 2\n"));
    assert_non_null(strstr(text, "{id=\"other\",kind=\"other\"} 1000\n"));
}

static void numbers_read_back_exactly(void **state)
{
    (void)state;
    struct metric *m = metrics_gauge("number", "", NULL);
    static const double values[] = { 0.1,     1.0 / 3, 1e300, 123456789012345,
                                     5e-324,  -0.25,   1e15,  9007199254740991,
                                     1e6 + .1 };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        metric_set(m, NULL, values[i]);
        const char *at = strstr(expose("number"), "\nnumber ");
        assert_true(strtod(at + 8, NULL) == values[i]);
    }
    metric_set(m, NULL, 0.1);
    assert_non_null(strstr(expose("number"), "\nnumber 0.1\n"));
    metric_set(m, NULL, INFINITY);
    assert_non_null(strstr(expose("number"), "\nnumber +Inf\n"));
    metric_set(m, NULL, -INFINITY);
    assert_non_null(strstr(expose("number"), "\nnumber -Inf\n"));
    metric_set(m, NULL, NAN);
    assert_non_null(strstr(expose("number"), "\nnumber NaN\n"));
}

static void the_same_metric_is_made_once(void **state)
{
    (void)state;
    const char *const labels[] = { "a", NULL }, *const others[] = { "b", NULL };
    static const double one[] = { 1, 2 }, two[] = { 1, 3 };
    struct metric *m = metrics_counter("once_total", "first", labels),
                  *h = metrics_histogram("once_hist", "", NULL, one, 2);
    assert_ptr_equal(metrics_counter("once_total", "second", labels), m);
    assert_ptr_equal(metrics_histogram("once_hist", "", NULL, one, 2), h);
    assert_null(metrics_gauge("once_total", "first", labels));
    assert_null(metrics_counter("once_total", "first", others));
    assert_null(metrics_counter("once_total", "first", NULL));
    assert_null(metrics_histogram("once_hist", "", NULL, two, 2));
    assert_null(metrics_histogram("once_hist", "", NULL, one, 1));
    assert_non_null(strstr(err_text(), "once_hist"));
    assert_non_null(strstr(expose("once_total"), "# HELP once_total first\n"));
}

static void names_that_prometheus_refuses_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",    "1a",   "a-b",
                                       "a b", "a\nb", "\xc3\xa9" };
    static const double falling[] = { 2, 1 }, endless[] = { 1, INFINITY };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(metrics_counter(bad[i], "", NULL));
        assert_null(metrics_counter("fine_total", "",
                                    (const char *const[]){ bad[i], NULL }));
    }
    assert_null(metrics_counter("fine_total", "",
                                (const char *const[]){ "a:b", NULL }));
    assert_null(metrics_counter("fine_total", "",
                                (const char *const[]){ "__x", NULL }));
    assert_null(
        metrics_counter("fine_total", "",
                        (const char *const[]){ "a", "b", "c", "d", "e", "f",
                                               "g", "h", "i", NULL }));
    assert_null(metrics_histogram(
        "fine_hist", "", (const char *const[]){ "le", NULL }, falling, 1));
    assert_null(metrics_histogram("fine_hist", "", NULL, falling, 2));
    assert_null(metrics_histogram("fine_hist", "", NULL, endless, 2));
    assert_non_null(metrics_counter("fine:total", "", NULL));
}

static void no_metric_at_all_is_fine(void **state)
{
    (void)state;
    metric_add(NULL, NULL, 1);
    metric_set(NULL, NULL, 1);
    metric_observe(NULL, NULL, 1);
}

enum { THREADS = 4, TIMES = 3000 };

static void *count_many(void *arg)
{
    const char *const labels[] = { "n", NULL };
    static const double bounds[] = { 2, 5 };
    for (int i = 0; i < TIMES; i++) {
        char n[8];
        struct slice value = SLICE_OF(n, (size_t)snprintf(n, 8, "%d", i % 10));
        metric_add(metrics_counter("threads_total", "", labels), &value, 1);
        metric_observe(metrics_histogram("threads_hist", "", NULL, bounds, 2),
                       NULL, i % 10);
    }
    return arg;
}

static void threads_count_together(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, NULL),
                         0);
    for (int i = 0; i < 20; i++) {
        buf_clear(&exposed);
        metrics_expose(&exposed);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 10; i++) {
        char want[64];
        snprintf(want, sizeof want, "threads_total{n=\"%d\"} %d\n", i,
                 THREADS * TIMES / 10);
        assert_non_null(strstr(expose("threads_total"), want));
    }
    assert_non_null(
        strstr(expose("threads_hist"), "threads_hist_count 12000\n"));
    assert_non_null(strstr(exposed.data, "{le=\"2\"} 3600\n"));
}

static int drop_exposed(void **state)
{
    (void)state;
    buf_free(&exposed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_labels_it_starts_at_zero),
        cmocka_unit_test(series_are_sorted_by_their_labels),
        cmocka_unit_test(metrics_are_sorted_by_name),
        cmocka_unit_test(values_that_share_bytes_stay_apart),
        cmocka_unit_test(a_gauge_goes_both_ways),
        cmocka_unit_test(a_counter_never_goes_down),
        cmocka_unit_test(buckets_add_up_and_include_their_end),
        cmocka_unit_test(a_histogram_without_labels_is_there_at_once),
        cmocka_unit_test(labels_and_help_are_escaped),
        cmocka_unit_test(a_value_is_cut_between_characters),
        cmocka_unit_test(a_value_becomes_valid_utf8),
        cmocka_unit_test(too_many_series_are_counted_as_other),
        cmocka_unit_test(numbers_read_back_exactly),
        cmocka_unit_test(the_same_metric_is_made_once),
        cmocka_unit_test(names_that_prometheus_refuses_are_refused),
        cmocka_unit_test(no_metric_at_all_is_fine),
        cmocka_unit_test(threads_count_together),
    };
    return cmocka_run_group_tests(tests, NULL, drop_exposed);
}
