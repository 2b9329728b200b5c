/* metrics.h -- counters, gauges and histograms of the whole process, and
 * their Prometheus text (format 0.0.4).
 *
 * Any thread may call any of it; an update is one short mutex.  A metric
 * lives as long as the process.  Labels are bounded: a value is cut at 64
 * bytes and made valid UTF-8, and past 1000 series of one metric the rest is
 * counted under "other". */
#pragma once
#include "base/buf.h"

enum { METRICS_LABELS = 8, METRICS_VALUE = 64, METRICS_SERIES = 1000 };

struct metric;

/* A metric by this name: a new one, or the one made before, if that is of the
 * same kind, labels and buckets.  labels: names, NULL-terminated, at most
 * METRICS_LABELS; NULL for none.  All texts are copied.
 * NULL with an err_text: a name that Prometheus does not allow, another
 * metric of that name, no memory.  The calls below take NULL and do nothing. */
struct metric *metrics_counter(const char *name, const char *help,
                               const char *const *labels);
struct metric *metrics_gauge(const char *name, const char *help,
                             const char *const *labels);

/* bounds: the buckets' upper ends, ascending, without the infinite one. */
struct metric *metrics_histogram(const char *name, const char *help,
                                 const char *const *labels,
                                 const double *bounds, size_t count);

/* values: one for each label, in the same order; NULL where there are none.
 * What makes no sense (a counter going down, an observed NaN) is dropped;
 * the wrong call for a kind is a bug. */
void metric_add(struct metric *m, const struct slice *values, double v);
void metric_set(struct metric *m, const struct slice *values, double v);
void metric_observe(struct metric *m, const struct slice *values, double v);

/* Appends everything, sorted by name and labels. */
void metrics_expose(struct buf *out);
