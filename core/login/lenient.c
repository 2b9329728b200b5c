/* lenient.c -- JSON as platforms send it, rewritten to strict JSON on its way
 * into the parser. */
#include "login/lenient.h"
#include "base/buf.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum {
    CHUNK = 16,   /* bytes that the parser gets at once, about */
    NUMBER = 320, /* bytes of one that is read as it is */
    ESCAPE = 6    /* \uXXXX */
};

/* What jansson reads from.  It gets little at a time, so that what is left of
 * text shows how far it came.  (Its own error would say so too, but costs more
 * to format than a key to try.) */
struct reader {
    struct slice text; /* what is left */
    struct buf out;    /* what the parser gets next */
    bool started, in_string;
};

static void copy(struct reader *r, size_t n)
{
    buf_add(&r->out, SLICE_OF(r->text.data, n));
    r->text = slice_from(r->text, n);
}

static void replace(struct reader *r, size_t n, const char *with)
{
    buf_add_str(&r->out, with);
    r->text = slice_from(r->text, n);
}

/* The number behind \u, or -1. */
static long hex4(struct slice s)
{
    char digits[5] = "", *end;
    if (s.len < ESCAPE || s.data[0] != '\\' || s.data[1] != 'u')
        return -1;
    for (int i = 0; i < 4; i++) {
        if (!strchr("0123456789abcdefABCDEF", s.data[2 + i]) || !s.data[2 + i])
            return -1;
        digits[i] = s.data[2 + i];
    }
    return strtol(digits, &end, 16);
}

static void read_escape(struct reader *r)
{
    long unit = hex4(r->text);
    long next = hex4(slice_from(r->text, ESCAPE));
    if (unit < 0)
        copy(r, r->text.len < 2 ? r->text.len : 2);
    else if (unit >= 0xd800 && unit < 0xdc00 && next >= 0xdc00 && next < 0xe000)
        copy(r, (size_t)2 * ESCAPE);
    else if (unit >= 0xd800 && unit < 0xe000)
        replace(r, ESCAPE, "\\uFFFD");
    else
        copy(r, ESCAPE);
}

static void read_in_string(struct reader *r)
{
    unsigned char c = (unsigned char)*r->text.data;
    if (c == '\\') {
        read_escape(r);
    } else if (c < ' ') {
        buf_addf(&r->out, "\\u%04x", c);
        r->text = slice_from(r->text, 1);
    } else {
        r->in_string = c != '"';
        copy(r, 1);
    }
}

/* One that fits no integer becomes a real, one that fits no real the largest.
 */
static void read_number(struct reader *r)
{
    char text[NUMBER];
    size_t n = 0;
    while (n < r->text.len && r->text.data[n] &&
           strchr("+-.0123456789Ee", r->text.data[n]))
        n++;
    snprintf(text, sizeof text, "%.*s", (int)(n < NUMBER ? n : NUMBER - 1),
             r->text.data);
    errno = 0;
    if (n >= NUMBER || isinf(strtod(text, NULL))) {
        replace(r, n,
                *text == '-' ? "-1.7976931348623157e308"
                             : "1.7976931348623157e308");
        return;
    }
    errno = 0;
    strtoll(text, NULL, 10);
    bool whole = !strpbrk(text, ".Ee");
    bool fits = errno != ERANGE;
    copy(r, n);
    if (whole && !fits)
        buf_add_str(&r->out, ".0");
}

static bool only_zeros(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i])
            return false;
    return true;
}

static void read_between(struct reader *r)
{
    char c = *r->text.data;
    if (c == '-' || (c >= '0' && c <= '9')) {
        read_number(r);
    } else if (!c && only_zeros(r->text)) {
        r->text = slice_from(r->text, r->text.len);
    } else {
        r->in_string = c == '"';
        copy(r, 1);
    }
}

static size_t on_read(void *to, size_t size, void *user)
{
    static const struct slice mark = { "\xef\xbb\xbf", 3 };
    struct reader *r = user;
    if (!r->started && slice_starts(r->text, mark))
        r->text = slice_from(r->text, mark.len);
    r->started = true;
    buf_clear(&r->out);
    while (r->text.len && r->out.len < CHUNK) {
        if (r->in_string)
            read_in_string(r);
        else
            read_between(r);
    }
    if (!r->out.len || !buf_ok(&r->out) || r->out.len > size)
        return 0;
    memcpy(to, r->out.data, r->out.len);
    return r->out.len;
}

json_t *lenient_parse(struct slice *text)
{
    struct reader r = { .text = *text };
    json_t *value = json_load_callback(on_read, &r, JSON_ALLOW_NUL, NULL);
    *text = r.text;
    buf_wipe(&r.out);
    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}
