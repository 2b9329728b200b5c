/* http_head.c -- whether a head that libmicrohttpd took is one by RFC 9112.
 *
 * libmicrohttpd takes nearly any byte. What it takes and others read in
 * another way is refused here, before anybody believes it. */
#include "net/http_private.h"

enum { BAD = 400, NO_CODING = 501, NO_VERSION = 505 };

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Letters, digits and these, and at least one. */
static bool is_made_of(struct slice s, const char *others)
{
    for (size_t i = 0; i < s.len; i++)
        if (!s.data[i] ||
            (!is_alnum((unsigned char)s.data[i]) && !strchr(others, s.data[i])))
            return false;
    return s.len > 0;
}

static bool is_token(struct slice s)
{
    return is_made_of(s, "!#$%&'*+-.^_`|~");
}

static bool is_digits(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    return s.len > 0;
}

static bool is_value(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_visible(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f || s.data[i] == '#')
            return false;
    return true;
}

/* Origin-form, absolute-form, and for OPTIONS the asterisk. */
static bool is_target(const struct http_request *r)
{
    struct slice head = { r->uri.data, r->uri.len < 8 ? r->uri.len : 8 };
    if (slice_eq(r->uri, SLICE("*")))
        return slice_eq(r->method, SLICE("OPTIONS"));
    if (!is_visible(r->uri))
        return false;
    return slice_starts(r->uri, SLICE("/")) ||
           slice_eq_nocase(head, SLICE("https://")) ||
           (head.len > 7 &&
            slice_eq_nocase(SLICE_OF(head.data, 7), SLICE("http://")));
}

static bool is_host(struct slice s)
{
    return !s.len || is_made_of(s, "-._~%!$&'()*+,;=:[]");
}

struct framing {
    unsigned lengths, codings, hosts;
    int fault;
};

static void look_at(struct framing *f, const struct http_header *h)
{
    struct slice value = slice_trim(h->value);
    bool host = slice_eq_nocase(h->name, SLICE("Host"));
    bool length = slice_eq_nocase(h->name, SLICE("Content-Length"));
    bool coding = slice_eq_nocase(h->name, SLICE("Transfer-Encoding"));
    f->hosts += host;
    f->lengths += length;
    f->codings += coding;
    if (!is_token(h->name) || !is_value(h->value) ||
        (host && !is_host(value)) || (length && !is_digits(value)))
        f->fault = BAD;
    else if (coding && !slice_eq_nocase(value, SLICE("chunked")) && !f->fault)
        f->fault = NO_CODING;
}

int http_head_fault(struct http_request *r)
{
    struct framing f = { 0 };
    bool http11 = slice_eq(r->version, SLICE("HTTP/1.1"));
    for (unsigned i = 0; i < r->header_count; i++)
        look_at(&f, &r->headers[i]);
    r->announced = f.lengths + f.codings > 0;
    if (!is_token(r->method) || !is_target(r))
        return BAD;
    if (!http11 && !slice_eq(r->version, SLICE("HTTP/1.0")))
        return NO_VERSION;
    if (f.fault)
        return f.fault;
    /* What says how long a body is must say it once, or two readers of one
     * stream would see different requests in it (RFC 9112 section 6.3). */
    return f.lengths + f.codings > 1 || f.hosts > 1 || (http11 && !f.hosts) ||
                   (f.codings && !http11)
               ? BAD
               : 0;
}
