/* variable_family.c -- variables by a prefix and a rest: http_x, arg_x,
 * cookie_x, sent_http_x. */
#include "api/variable_family.h"
#include "base/text.h"

static bool add(struct buf *out, struct slice value)
{
    if (value.data)
        buf_add(out, value);
    return value.data != NULL;
}

static struct slice header_name(struct slice rest, char text[128])
{
    if (rest.len > 127)
        rest.len = 127;
    for (size_t i = 0; i < rest.len; i++)
        text[i] = rest.data[i] == '_' ? '-' : rest.data[i];
    return SLICE_OF(text, rest.len);
}

/* All headers of that name, joined. */
static bool add_joined(struct buf *out, const struct http_header *headers,
                       unsigned count, struct slice name, struct slice between)
{
    unsigned n = 0;
    for (unsigned i = 0; i < count; i++)
        if (slice_eq_nocase(headers[i].name, name)) {
            add(out, n++ ? between : SLICE(""));
            add(out, headers[i].value);
        }
    return n;
}

/* Of two headers nginx has joined ones, of others it has the first. */
static bool get_http(struct request *r, struct slice rest, struct buf *out)
{
    char text[128];
    struct slice name = header_name(rest, text);
    bool cookies = slice_eq_nocase(name, SLICE("Cookie"));
    if (!cookies && !slice_eq_nocase(name, SLICE("X-Forwarded-For")))
        return add(out, request_header(r, name));
    return add_joined(out, r->headers, r->header_count, name,
                      cookies ? SLICE("; ") : SLICE(", "));
}

static bool get_sent_http(struct request *r, struct slice rest, struct buf *out)
{
    char text[128];
    struct slice name = header_name(rest, text);
    bool lists = slice_eq_nocase(name, SLICE("Cache-Control")) ||
                 slice_eq_nocase(name, SLICE("Link"));
    if (!lists)
        return add(out, request_out_header(r, name));
    return add_joined(out, r->out, r->out_count, name, SLICE("; "));
}

static bool get_arg(struct request *r, struct slice rest, struct buf *out)
{
    struct slice left = r->args, name, value;
    while (text_query_next(&left, &name, &value))
        if (slice_eq_nocase(name, rest))
            return add(out, value.data ? value : SLICE(""));
    return false;
}

static bool find_cookie(struct slice left, struct slice rest, struct buf *out)
{
    while (left.len) {
        size_t end = slice_find(left, ';');
        struct slice part = slice_trim((struct slice){ left.data, end });
        left = slice_from(left, end + 1);
        size_t eq = slice_find(part, '=');
        if (eq < part.len &&
            slice_eq_nocase((struct slice){ part.data, eq }, rest))
            return add(out, slice_from(part, eq + 1));
    }
    return false;
}

static bool get_cookie(struct request *r, struct slice rest, struct buf *out)
{
    for (unsigned i = 0; i < r->header_count; i++)
        if (slice_eq_nocase(r->headers[i].name, SLICE("Cookie")) &&
            find_cookie(r->headers[i].value, rest, out))
            return true;
    return false;
}

/* There is none: known, so that log formats load. */
static bool get_upstream(struct request *r, struct slice rest, struct buf *out)
{
    (void)r;
    (void)rest;
    (void)out;
    return false;
}

static const struct family {
    struct slice prefix;
    bool (*get)(struct request *r, struct slice rest, struct buf *out);
} families[] = {
    { { "http_", sizeof "http_" - 1 }, get_http },
    { { "arg_", sizeof "arg_" - 1 }, get_arg },
    { { "cookie_", sizeof "cookie_" - 1 }, get_cookie },
    { { "sent_http_", sizeof "sent_http_" - 1 }, get_sent_http },
    { { "upstream_", sizeof "upstream_" - 1 }, get_upstream },
};

static const struct family *find(struct slice name)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (slice_starts(name, families[i].prefix))
            return &families[i];
    return NULL;
}

bool variable_family_has(struct slice name)
{
    return find(name) != NULL;
}

bool variable_family_get(struct request *r, struct slice name, struct buf *out)
{
    const struct family *f = find(name);
    return f && f->get(r, slice_from(name, f->prefix.len), out);
}
