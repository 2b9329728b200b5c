/* metrics.c -- counters, gauges, histograms and their Prometheus text. */
#include "base/metrics.h"
#include "base/arena.h"
#include "base/table.h"
#include "base/text.h"
#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Between the values of a key; no UTF-8 text holds it. */
static const char separator = '\xff';

enum { KEY_MAX = METRICS_LABELS * (METRICS_VALUE + 1) };

enum kind { COUNTER, GAUGE, HISTOGRAM };

static const char *const kind_names[] = { "counter", "gauge", "histogram" };

struct series {
    struct slice key; /* each value and a separator */
    double value;     /* of a histogram: the sum */
    uint64_t *counts; /* of a histogram: by bucket, the infinite one last */
};

struct metric {
    struct metric *next; /* in the order of names */
    enum kind kind;
    const char *name, *help;
    const char *labels[METRICS_LABELS];
    unsigned label_count;
    const double *bounds;
    size_t bound_count;
    pthread_mutex_t lock; /* of what follows */
    struct arena arena;
    struct table series;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *registry;

/* Length of the character at the start of s, or 0 where it is broken. */
static size_t char_len(struct slice s)
{
    for (size_t n = 1; n <= 4 && n <= s.len; n++)
        if (text_is_utf8((struct slice){ s.data, n }))
            return n;
    return 0;
}

/* Writes value as it may be shown, a separator after it; returns the end. */
static char *put_value(char *to, struct slice value)
{
    const char *end = to + METRICS_VALUE;
    while (value.len) {
        size_t n = char_len(value), taken = n ? n : 1;
        if (to + taken > end)
            break;
        memcpy(to, n ? value.data : "?", taken);
        to += taken;
        value = slice_from(value, taken);
    }
    *to++ = separator;
    return to;
}

static struct slice make_key(const struct metric *m, const struct slice *values,
                             char out[KEY_MAX])
{
    char *to = out;
    for (unsigned i = 0; i < m->label_count; i++)
        to = put_value(to, values[i]);
    return SLICE_OF(out, (size_t)(to - out));
}

static struct series *add_series(struct metric *m, struct slice key)
{
    struct series *s = arena_alloc(&m->arena, sizeof *s);
    if (!s)
        return NULL;
    s->key = arena_dup(&m->arena, key);
    if (m->kind == HISTOGRAM)
        s->counts =
            arena_alloc(&m->arena, (m->bound_count + 1) * sizeof *s->counts);
    if (!s->key.data || (m->kind == HISTOGRAM && !s->counts) ||
        !table_put(&m->series, s->key, s))
        return NULL;
    return s;
}

static struct series *find_series(struct metric *m, struct slice key)
{
    struct series *s = table_get(&m->series, key);
    if (s || m->series.count < METRICS_SERIES)
        return s ? s : add_series(m, key);
    struct slice other[METRICS_LABELS];
    char text[KEY_MAX];
    for (unsigned i = 0; i < m->label_count; i++)
        other[i] = SLICE("other");
    key = make_key(m, other, text);
    s = table_get(&m->series, key);
    return s ? s : add_series(m, key);
}

static void add(const struct metric *m, struct series *s, double v)
{
    (void)m;
    s->value += v;
}

static void set(const struct metric *m, struct series *s, double v)
{
    (void)m;
    s->value = v;
}

static void observe(const struct metric *m, struct series *s, double v)
{
    size_t i = 0;
    while (i < m->bound_count && v > m->bounds[i])
        i++;
    s->counts[i]++;
    s->value += v;
}

static void update(struct metric *m, const struct slice *values, double v,
                   void (*change)(const struct metric *, struct series *,
                                  double))
{
    char text[KEY_MAX];
    struct slice key = make_key(m, values, text);
    pthread_mutex_lock(&m->lock);
    struct series *s = find_series(m, key);
    if (s) /* else no memory: this one is not counted */
        change(m, s, v);
    pthread_mutex_unlock(&m->lock);
}

void metric_add(struct metric *m, const struct slice *values, double v)
{
    assert(!m || m->kind != HISTOGRAM);
    if (m && (m->kind == GAUGE || v >= 0))
        update(m, values, v, add);
}

void metric_set(struct metric *m, const struct slice *values, double v)
{
    assert(!m || m->kind == GAUGE);
    if (m)
        update(m, values, v, set);
}

void metric_observe(struct metric *m, const struct slice *values, double v)
{
    assert(!m || m->kind == HISTOGRAM);
    if (m && !isnan(v))
        update(m, values, v, observe);
}

/* [a-zA-Z_][a-zA-Z0-9_]*, and colons where allowed. */
static bool is_name(const char *name, bool colons)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789:";
    size_t len = strlen(name), allowed = sizeof letters - (colons ? 1 : 2);
    if (!len || (name[0] >= '0' && name[0] <= '9'))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!memchr(letters, name[i], allowed))
            return false;
    return true;
}

static bool labels_are_fine(const char *const *labels, enum kind kind)
{
    for (size_t i = 0; labels && labels[i]; i++)
        if (i == METRICS_LABELS || !is_name(labels[i], false) ||
            !strncmp(labels[i], "__", 2) ||
            (kind == HISTOGRAM && !strcmp(labels[i], "le")))
            return false;
    return true;
}

static bool bounds_are_fine(const double *bounds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(bounds[i]) || (i && bounds[i] <= bounds[i - 1]))
            return false;
    return true;
}

static bool is_same(const struct metric *m, const struct metric *want,
                    const char *const *labels)
{
    unsigned n = 0;
    for (; labels && labels[n]; n++)
        if (n == m->label_count || strcmp(m->labels[n], labels[n]))
            return false;
    return m->kind == want->kind && m->label_count == n &&
           m->bound_count == want->bound_count &&
           (!want->bound_count || !memcmp(m->bounds, want->bounds,
                                          want->bound_count * sizeof(double)));
}

static struct metric *make(const struct metric *want, const char *const *labels)
{
    struct metric *m = malloc(sizeof *m);
    if (!m)
        return NULL;
    *m = *want;
    pthread_mutex_init(&m->lock, NULL);
    m->name = arena_dup(&m->arena, slice_str(want->name)).data;
    m->help = arena_dup(&m->arena, slice_str(want->help)).data;
    bool whole = m->name && m->help;
    for (; labels && labels[m->label_count]; m->label_count++) {
        struct slice label = slice_str(labels[m->label_count]);
        m->labels[m->label_count] = arena_dup(&m->arena, label).data;
        whole = whole && m->labels[m->label_count];
    }
    m->bounds = (const double *)(const void *)arena_dup(
                    &m->arena,
                    SLICE_OF(want->bounds, want->bound_count * sizeof(double)))
                    .data;
    /* Without labels there is one series, and it starts at zero. */
    if (whole && m->bounds && (m->label_count || add_series(m, SLICE_NONE)))
        return m;
    arena_free(&m->arena);
    table_free(&m->series);
    pthread_mutex_destroy(&m->lock);
    free(m);
    return NULL;
}

static struct metric *find_or_make(const struct metric *want,
                                   const char *const *labels)
{
    struct metric **at = &registry;
    int order = 1;
    while (*at && (order = strcmp((*at)->name, want->name)) < 0)
        at = &(*at)->next;
    if (*at && order == 0) {
        if (is_same(*at, want, labels))
            return *at;
        err_set(ERR_CONFLICT, "metric \"%s\" exists with another shape",
                want->name);
        return NULL;
    }
    struct metric *m = make(want, labels);
    if (!m) {
        err_set(ERR_NOMEM, "no memory for metric \"%s\"", want->name);
        return NULL;
    }
    m->next = *at;
    return *at = m;
}

static struct metric *enroll(const struct metric *want,
                             const char *const *labels)
{
    if (!is_name(want->name, true) || !labels_are_fine(labels, want->kind) ||
        !bounds_are_fine(want->bounds, want->bound_count)) {
        err_set(ERR_INVALID, "metric \"%s\": bad name, labels or buckets",
                want->name);
        return NULL;
    }
    pthread_mutex_lock(&registry_lock);
    struct metric *m = find_or_make(want, labels);
    pthread_mutex_unlock(&registry_lock);
    return m;
}

struct metric *metrics_counter(const char *name, const char *help,
                               const char *const *labels)
{
    return enroll(
        &(struct metric){ .kind = COUNTER, .name = name, .help = help },
        labels);
}

struct metric *metrics_gauge(const char *name, const char *help,
                             const char *const *labels)
{
    return enroll(&(struct metric){ .kind = GAUGE, .name = name, .help = help },
                  labels);
}

struct metric *metrics_histogram(const char *name, const char *help,
                                 const char *const *labels,
                                 const double *bounds, size_t count)
{
    return enroll(&(struct metric){ .kind = HISTOGRAM,
                                    .name = name,
                                    .help = help,
                                    .bounds = bounds,
                                    .bound_count = count },
                  labels);
}

/* The shortest text that reads back as v. */
static void add_number(struct buf *out, double v)
{
    char text[32];
    if (isnan(v) || isinf(v)) {
        buf_add_str(out, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_add_str(out, text);
}

/* Backslash and newline escaped, and the quote where there are quotes. */
static void add_escaped(struct buf *out, struct slice s, bool quoted)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c == '\\' || c == '\n' || (quoted && c == '"'))
            buf_add_char(out, '\\');
        buf_add_char(out, c == '\n' ? 'n' : c);
    }
}

/* `name_suffix{label="value",le="bound"} `; le is NULL but for buckets. */
static void add_head(struct buf *out, const struct metric *m,
                     const struct series *s, const char *suffix,
                     const double *le)
{
    struct slice rest = s->key;
    char before = '{';
    buf_addf(out, "%s%s", m->name, suffix);
    for (unsigned i = 0; i < m->label_count; i++, before = ',') {
        size_t len = slice_find(rest, separator);
        buf_addf(out, "%c%s=\"", before, m->labels[i]);
        add_escaped(out, (struct slice){ rest.data, len }, true);
        buf_add_char(out, '"');
        rest = slice_from(rest, len + 1);
    }
    if (le) {
        buf_addf(out, "%cle=\"", before);
        add_number(out, *le);
        buf_add_char(out, '"');
    }
    buf_add_str(out, m->label_count || le ? "} " : " ");
}

static void add_sample(struct buf *out, const struct metric *m,
                       const struct series *s, const char *suffix,
                       const double *le, double v)
{
    add_head(out, m, s, suffix, le);
    add_number(out, v);
    buf_add_char(out, '\n');
}

static void add_histogram(struct buf *out, const struct metric *m,
                          const struct series *s)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= m->bound_count; i++) {
        double le = i < m->bound_count ? m->bounds[i] : INFINITY;
        total += s->counts[i];
        add_sample(out, m, s, "_bucket", &le, (double)total);
    }
    add_sample(out, m, s, "_sum", NULL, s->value);
    add_sample(out, m, s, "_count", NULL, (double)total);
}

static int by_key(const void *left, const void *right)
{
    const struct slice *a = &(*(const struct series *const *)left)->key,
                       *b = &(*(const struct series *const *)right)->key;
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static void add_all_series(struct buf *out, const struct metric *m)
{
    const struct series *sorted[METRICS_SERIES + 1]; /* and "other" */
    void *s;
    size_t n = 0;
    for (size_t i = 0; table_next(&m->series, &i, &s);)
        sorted[n++] = s;
    qsort(sorted, n, sizeof sorted[0], by_key);
    for (size_t i = 0; i < n; i++) {
        if (m->kind == HISTOGRAM)
            add_histogram(out, m, sorted[i]);
        else
            add_sample(out, m, sorted[i], "", NULL, sorted[i]->value);
    }
}

void metrics_expose(struct buf *out)
{
    pthread_mutex_lock(&registry_lock);
    for (struct metric *m = registry; m; m = m->next) {
        buf_addf(out, "# HELP %s ", m->name);
        add_escaped(out, slice_str(m->help), false);
        buf_addf(out, "\n# TYPE %s %s\n", m->name, kind_names[m->kind]);
        pthread_mutex_lock(&m->lock);
        add_all_series(out, m);
        pthread_mutex_unlock(&m->lock);
    }
    pthread_mutex_unlock(&registry_lock);
}
