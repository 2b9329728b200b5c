/* buf.c -- a growing byte buffer. */
#include "base/buf.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static bool grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need) {
        if (cap > SIZE_MAX / 2)
            return false;
        cap *= 2;
    }
    char *data = realloc(b->data, cap);
    if (!data)
        return false;
    b->data = data;
    b->cap = cap;
    return true;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->broken || n > SIZE_MAX / 2 - b->len ||
        ((!b->data || b->len + n > b->cap) && !grow(b, b->len + n))) {
        b->broken = true;
        return NULL;
    }
    return b->data + b->len;
}

void buf_add(struct buf *b, struct slice s)
{
    if (s.len == 0)
        return;
    char *to = buf_reserve(b, s.len);
    if (!to)
        return;
    memcpy(to, s.data, s.len);
    b->len += s.len;
}

void buf_add_str(struct buf *b, const char *text)
{
    buf_add(b, slice_str(text));
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, (struct slice){ &c, 1 });
}

void buf_add_int(struct buf *b, int64_t n)
{
    char text[20], *at = text + sizeof text;
    uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    do
        *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (n < 0)
        *--at = '-';
    buf_add(b, SLICE_OF(at, (size_t)(text + sizeof text - at)));
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = n < 0 ? NULL : buf_reserve(b, (size_t)n + 1);
    if (to)
        b->len += (size_t)vsnprintf(to, (size_t)n + 1, format, again);
    va_end(again);
}

const char *buf_str(struct buf *b)
{
    char *end = buf_reserve(b, 1);
    if (!end)
        return NULL;
    *end = '\0';
    return b->data;
}

char *buf_take(struct buf *b)
{
    char *data = b->data;
    *b = (struct buf){ 0 };
    return data;
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){ 0 };
}

void buf_wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_free(b);
}
