/* stream_scan.c -- finds the piece that a reader wants. */
#include "net/stream_scan.h"

size_t stream_scan_pattern_size(size_t len)
{
    struct stream_pattern *p;
    return sizeof *p + len * sizeof p->fails[0];
}

/* fails[i]: the longest proper prefix that is a suffix of the first i + 1. */
void stream_scan_compile(struct stream_pattern *p, struct slice text,
                         bool inclusive)
{
    *p = (struct stream_pattern){ .text = text, .inclusive = inclusive };
    uint32_t k = 0;
    p->fails[0] = 0;
    for (size_t i = 1; i < text.len; i++) {
        while (k && text.data[i] != text.data[k])
            k = p->fails[k - 1];
        k += text.data[i] == text.data[k];
        p->fails[i] = k;
    }
}

static enum err give(struct stream_scan *scan, struct slice in, size_t n,
                     size_t used, struct slice *found, size_t *taken)
{
    *found = SLICE_OF(in.data, n);
    *taken = used;
    scan->seen = scan->out = 0;
    return OK;
}

static enum err try_line(struct stream_scan *scan, struct slice in,
                         struct slice *found, size_t *used)
{
    size_t at = scan->seen + slice_find(slice_from(in, scan->seen), '\n');
    if (at < in.len)
        return give(scan, in, at, at + 1, found, used);
    scan->seen = in.len;
    return PENDING;
}

/* Takes one byte into the match.  False: so much of what was pending turned
 * out to be data that the piece is full, and the byte is not consumed. */
static bool step(struct stream_scan *scan, char c)
{
    struct stream_pattern *p = scan->pattern;
    while (p->state && p->text.data[p->state] != c) {
        size_t back = p->fails[p->state - 1];
        scan->out += p->state - back;
        p->state = back;
        if (!back && scan->size && scan->out >= scan->size)
            return false;
    }
    if (p->text.data[p->state] == c)
        p->state++;
    else
        scan->out++;
    scan->seen++;
    return true;
}

/* The bytes before `seen` that the state stands for are still there, unless
 * somebody else has read meanwhile. */
static void go_on(struct stream_scan *scan, struct slice in)
{
    struct stream_pattern *p = scan->pattern;
    if (scan->seen || !p->state)
        return;
    if (slice_starts(in, SLICE_OF(p->text.data, p->state)))
        scan->seen = p->state;
    else
        p->state = 0;
}

static enum err try_until(struct stream_scan *scan, struct slice in,
                          struct slice *found, size_t *used)
{
    struct stream_pattern *p = scan->pattern;
    go_on(scan, in);
    while (scan->seen < in.len) {
        if (!step(scan, in.data[scan->seen]))
            return give(scan, in, scan->out, scan->out, found, used);
        if (p->state == p->text.len) {
            size_t n = p->inclusive ? scan->seen : scan->out;
            p->state = 0;
            p->ended = scan->size > 0;
            return give(scan, in, n, scan->seen, found, used);
        }
        if (scan->size && scan->out >= scan->size)
            return give(scan, in, scan->out, scan->out, found, used);
    }
    *found = SLICE_OF(in.data, scan->out);
    *used = scan->out;
    return PENDING;
}

enum err stream_scan_try(struct stream_scan *scan, struct slice in,
                         struct slice *found, size_t *used)
{
    *found = in;
    *used = in.len;
    switch (scan->kind) {
    case SCAN_LINE:
        return try_line(scan, in, found, used);
    case SCAN_SIZE:
        if (in.len < scan->size)
            return PENDING;
        return give(scan, in, scan->size, scan->size, found, used);
    case SCAN_ANY:
        if (!in.len)
            return PENDING;
        if (in.len > scan->size)
            in.len = scan->size;
        return give(scan, in, in.len, in.len, found, used);
    case SCAN_ALL:
        return PENDING;
    case SCAN_UNTIL:
        return try_until(scan, in, found, used);
    }
    return ERR_INVALID;
}
