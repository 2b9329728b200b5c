/* uri.c -- a request's path, decoded and normalized as nginx does it. */
#include "base/uri.h"
#include "base/text.h"

static struct slice without_origin(struct slice raw)
{
    size_t scheme = slice_starts(raw, SLICE("http://"))    ? 7
                    : slice_starts(raw, SLICE("https://")) ? 8
                                                           : 0;
    if (!scheme)
        return raw;
    struct slice rest = slice_from(raw, scheme);
    rest = slice_from(rest, slice_find(rest, '/'));
    return rest.len ? rest : SLICE("/");
}

void uri_split(struct slice raw, struct slice *path, struct slice *query)
{
    raw = without_origin(raw);
    raw.len = slice_find(raw, '#');
    size_t mark = slice_find(raw, '?');
    *path = (struct slice){ raw.data, mark };
    *query = mark + 1 < raw.len ? slice_from(raw, mark + 1) : SLICE_NONE;
}

static bool escapes_are_whole(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '\0')
            return false;
        if (s.data[i] != '%')
            continue;
        if (i + 2 >= s.len || !memcmp(s.data + i + 1, "00", 2))
            return false;
        for (int k = 1; k <= 2; k++)
            if (!strchr("0123456789abcdefABCDEF", s.data[i + (size_t)k]))
                return false;
    }
    return true;
}

/* Drops the last segment of what stands from start on. */
static bool go_up(struct buf *out, size_t start)
{
    if (out->len <= start + 1)
        return false;
    out->len--; /* the slash after it */
    while (out->len > start + 1 && out->data[out->len - 1] != '/')
        out->len--;
    return true;
}

static enum err resolve(struct buf *out, struct slice decoded)
{
    size_t start = out->len;
    buf_add_char(out, '/');
    while (decoded.len) {
        decoded = slice_from(decoded, 1); /* a slash */
        size_t end = slice_find(decoded, '/');
        struct slice part = { decoded.data, end };
        bool last = end == decoded.len;
        decoded = slice_from(decoded, end);
        if (slice_eq(part, SLICE("..")) && !go_up(out, start))
            return ERR_INVALID;
        if (!part.len || slice_eq(part, SLICE(".")) ||
            slice_eq(part, SLICE("..")))
            continue;
        buf_add(out, part);
        if (!last)
            buf_add_char(out, '/');
    }
    return buf_ok(out) ? OK : ERR_NOMEM;
}

bool uri_is_plain(struct slice path)
{
    if (!path.len || path.data[0] != '/')
        return false;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.data[i];
        if (c == '%' || c == '\0' ||
            (c == '/' && i + 1 < path.len &&
             (path.data[i + 1] == '/' || path.data[i + 1] == '.')))
            return false;
    }
    return true;
}

enum err uri_normalize(struct buf *out, struct slice path)
{
    if (!path.len || path.data[0] != '/')
        return ERR_INVALID;
    if (!escapes_are_whole(path))
        return ERR_INVALID;
    struct buf decoded = { 0 };
    text_unescape_uri(&decoded, path, false);
    enum err e = resolve(out, buf_slice(&decoded));
    buf_free(&decoded);
    return e;
}
