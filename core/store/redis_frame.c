/* redis_frame.c -- bounds on what a Redis says, before hiredis believes it. */
#include "store/redis_frame.h"
#include <string.h>

/* One element is whole: so may be the arrays that it ends. */
static void end_element(struct redis_frame *f)
{
    while (f->depth && !--f->left[f->depth - 1])
        f->depth--;
    if (!f->depth)
        f->bytes = f->elements = 0;
}

/* "-1", or digits; nothing else may be in the line. */
static bool read_number(const struct redis_frame *f, int64_t *out)
{
    if (f->length == 3 && !memcmp(f->line + 1, "-1", 2)) {
        *out = -1;
        return true;
    }
    *out = 0;
    for (size_t i = 1; i < f->length; i++) {
        if (f->line[i] < '0' || f->line[i] > '9' || f->length > 12)
            return false;
        *out = *out * 10 + (f->line[i] - '0');
    }
    return f->length > 1;
}

static bool begin_bulk(struct redis_frame *f, int64_t n)
{
    if (n > REDIS_FRAME_BULK)
        return false;
    if (n < 0)
        end_element(f);
    else
        f->skip = (size_t)n + 2;
    return true;
}

static bool begin_array(struct redis_frame *f, int64_t n)
{
    if (n > REDIS_FRAME_ELEMENTS - (int64_t)f->elements)
        return false;
    if (n <= 0) {
        end_element(f);
        return true;
    }
    if (f->depth == REDIS_FRAME_DEPTH)
        return false;
    f->elements += (uint32_t)n;
    f->left[f->depth++] = (uint32_t)n;
    return true;
}

/* The line is whole, without its CRLF. */
static bool end_line(struct redis_frame *f)
{
    int64_t n;
    bool ok = true;
    if (f->line[0] == '$')
        ok = read_number(f, &n) && begin_bulk(f, n);
    else if (f->line[0] == '*')
        ok = read_number(f, &n) && begin_array(f, n);
    else
        end_element(f);
    f->length = 0;
    return ok;
}

static bool is_line(const struct redis_frame *f)
{
    return f->length && f->length <= REDIS_FRAME_LINE &&
           memchr("+-:$*", f->line[0], 5);
}

/* Takes the line up to its end, as far as it has come. */
static bool take_line(struct redis_frame *f, struct slice *in)
{
    size_t n = slice_find(*in, '\n');
    bool whole = n < in->len;
    for (size_t i = 0; i < n && f->length + i < sizeof f->line; i++)
        f->line[f->length + i] = in->data[i];
    if (n)
        f->last = in->data[n - 1];
    f->length += n;
    f->bytes += n + whole;
    *in = slice_from(*in, n + whole);
    if (!is_line(f) || (whole && f->last != '\r'))
        return false;
    f->length -= whole;
    return !whole || end_line(f);
}

static void take_bulk(struct redis_frame *f, struct slice *in)
{
    size_t n = f->skip < in->len ? f->skip : in->len;
    f->skip -= n;
    f->bytes += n;
    *in = slice_from(*in, n);
    if (!f->skip)
        end_element(f);
}

bool redis_frame_take(struct redis_frame *f, struct slice bytes)
{
    bool ok = f->depth <= REDIS_FRAME_DEPTH;
    while (ok && bytes.len) {
        if (f->skip)
            take_bulk(f, &bytes);
        else
            ok = take_line(f, &bytes);
        ok = ok && f->bytes <= REDIS_FRAME_BYTES;
    }
    if (!ok)
        f->depth = REDIS_FRAME_DEPTH + 1;
    return ok;
}
