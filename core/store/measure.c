/* measure.c -- the metrics that all kinds of store fill. */
#include "store/measure.h"

struct metric *measure_seconds(void)
{
    static const double bounds[] = { .0001, .0005, .001, .005, .01,
                                     .05,   .1,    .5,   1,    5 };
    return metrics_histogram("latchkey_store_commit_seconds",
                             "How long a transaction took.", NULL, bounds,
                             sizeof bounds / sizeof *bounds);
}

struct metric *measure_sizes(void)
{
    static const double bounds[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512 };
    return metrics_histogram("latchkey_store_batch_size",
                             "Commits that shared a transaction.", NULL, bounds,
                             sizeof bounds / sizeof *bounds);
}

struct metric *measure_errors(void)
{
    struct metric *m = metrics_counter("latchkey_store_errors_total",
                                       "Transactions that failed.", NULL);
    metric_add(m, NULL, 0);
    return m;
}

struct metric *measure_failing(void)
{
    struct metric *m =
        metrics_gauge("latchkey_store_failing",
                      "1 where writing fails, or Redis is away.", NULL);
    metric_set(m, NULL, 0);
    return m;
}
