/* text.c -- hex, base64, URI escaping, query strings, UTF-8, numbers. */
#include "base/text.h"
#include <ctype.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void text_hex(struct buf *out, struct slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *to = buf_reserve(out, bytes.len * 2);
    if (!to)
        return;
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    out->len += bytes.len * 2;
}

bool text_unhex(struct buf *out, struct slice hex)
{
    for (size_t i = 0; i + 1 < hex.len; i += 2) {
        int high = hex_digit(hex.data[i]), low = hex_digit(hex.data[i + 1]);
        if (high < 0 || low < 0)
            return false;
        buf_add_char(out, (char)(high << 4 | low));
    }
    return hex.len % 2 == 0;
}

static const char base64_plain[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode64(struct buf *out, struct slice bytes, const char *alphabet,
                     bool pad)
{
    char *start = buf_reserve(out, (bytes.len + 2) / 3 * 4), *to = start;
    if (!to)
        return;
    const unsigned char *in = (const unsigned char *)bytes.data;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        unsigned group = (unsigned)in[i] << 16 |
                         (left > 1 ? (unsigned)in[i + 1] << 8 : 0) |
                         (left > 2 ? in[i + 2] : 0);
        *to++ = alphabet[group >> 18];
        *to++ = alphabet[group >> 12 & 63];
        if (left > 1)
            *to++ = alphabet[group >> 6 & 63];
        else if (pad)
            *to++ = '=';
        if (left > 2)
            *to++ = alphabet[group & 63];
        else if (pad)
            *to++ = '=';
    }
    out->len += (size_t)(to - start);
}

void text_base64(struct buf *out, struct slice bytes)
{
    encode64(out, bytes, base64_plain, true);
}

void text_base64url(struct buf *out, struct slice bytes)
{
    encode64(out, bytes, base64_url, false);
}

/* The six bits of each character plus one; 0 for all others.  The last two
 * of the alphabet differ between the two, and are set by their caller. */
static const uint8_t values64[256] = {
    ['A'] = 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
    14,         15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
    ['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39,
    40,         41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
    ['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
};

static int value64(unsigned char c, bool url)
{
    if (values64[c])
        return values64[c] - 1;
    if (c == (url ? '-' : '+'))
        return 62;
    return c == (url ? '_' : '/') ? 63 : -1;
}

/* The rest of s, at most four characters, without padding. */
static bool decode_tail(struct buf *out, struct slice s, bool url)
{
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < s.len; i++) {
        int v = value64((unsigned char)s.data[i], url);
        if (v < 0)
            return false;
        bits = (bits << 6 | (unsigned)v) & 0xffffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out->data[out->len++] = (char)(bits >> have & 255);
        }
    }
    return (bits & ((1u << have) - 1)) == 0;
}

/* s has no padding any more; len % 4 == 1 cannot be. */
static bool decode64(struct buf *out, struct slice s, bool url)
{
    if (!buf_reserve(out, s.len / 4 * 3 + 3) || s.len % 4 == 1)
        return false;
    const unsigned char *in = (const unsigned char *)s.data;
    for (; s.len > 4; s.len -= 4, in += 4) {
        int a = value64(in[0], url), b = value64(in[1], url);
        int c = value64(in[2], url), d = value64(in[3], url);
        if ((a | b | c | d) < 0)
            return false;
        unsigned group = (unsigned)(a << 18 | b << 12 | c << 6 | d);
        char *to = out->data + out->len;
        to[0] = (char)(group >> 16);
        to[1] = (char)(group >> 8);
        to[2] = (char)group;
        out->len += 3;
    }
    return decode_tail(out, SLICE_OF(in, s.len), url);
}

static struct slice without_padding(struct slice s)
{
    for (int i = 0; i < 2 && s.len && s.data[s.len - 1] == '='; i++)
        s.len--;
    return s;
}

bool text_unbase64(struct buf *out, struct slice text)
{
    return text.len % 4 == 0 && decode64(out, without_padding(text), false);
}

bool text_unbase64url(struct buf *out, struct slice text)
{
    struct slice bare = without_padding(text);
    return (bare.len == text.len || text.len % 4 == 0) &&
           decode64(out, bare, true);
}

static bool is_unreserved(unsigned char c)
{
    return isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

void text_escape_uri(struct buf *out, struct slice s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (is_unreserved(c)) {
            buf_add_char(out, (char)c);
        } else {
            buf_add(
                out,
                SLICE_OF(((char[]){ '%', digits[c >> 4], digits[c & 15] }), 3));
        }
    }
}

void text_unescape_uri(struct buf *out, struct slice s, bool plus)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c == '%' && i + 2 < s.len && hex_digit(s.data[i + 1]) >= 0 &&
            hex_digit(s.data[i + 2]) >= 0) {
            c = (char)(hex_digit(s.data[i + 1]) << 4 |
                       hex_digit(s.data[i + 2]));
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        buf_add_char(out, c);
    }
}

bool text_query_next(struct slice *rest, struct slice *name,
                     struct slice *value)
{
    while (rest->len) {
        size_t end = slice_find(*rest, '&');
        struct slice part = { rest->data, end };
        *rest = slice_from(*rest, end + 1);
        size_t eq = slice_find(part, '=');
        *name = (struct slice){ part.data, eq };
        *value = eq < part.len ? slice_from(part, eq + 1) : SLICE_NONE;
        if (name->len)
            return true;
    }
    return false;
}

/* Length of the well-formed sequence at p (RFC 3629), or 0. */
static size_t utf8_step(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size_t n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (left < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

bool text_is_utf8(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    for (size_t i = 0, n; i < s.len; i += n)
        if (!(n = utf8_step(p + i, s.len - i)))
            return false;
    return true;
}

void text_json_escape(struct buf *out, struct slice s)
{
    static const char letters[] = "btn\0fr"; /* for bytes 8 to 13 */
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c == '"' || c == '\\')
            buf_addf(out, "\\%c", c);
        else if (c >= 8 && c <= 13 && c != 11)
            buf_addf(out, "\\%c", letters[c - 8]);
        else if (c < 0x20 || c == 0x7f)
            buf_addf(out, "\\u%04x", c);
        else
            buf_add_char(out, (char)c);
    }
}

bool text_u64(struct slice s, uint64_t *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(s.data[i] - '0');
        if (digit > 9 || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return s.len > 0;
}

static bool scaled(struct slice digits, uint64_t factor, uint64_t *out)
{
    uint64_t n;
    if (!text_u64(digits, &n) || n > UINT64_MAX / factor)
        return false;
    *out = n * factor;
    return true;
}

bool text_size(struct slice s, uint64_t *out)
{
    char unit = s.len ? (char)(s.data[s.len - 1] | 0x20) : 0;
    uint64_t factor = unit == 'k'   ? 1u << 10
                      : unit == 'm' ? 1u << 20
                      : unit == 'g' ? 1u << 30
                                    : 1;
    if (factor > 1)
        s.len--;
    return scaled(s, factor, out);
}

/* The unit after the digits, in milliseconds, and its length. */
static uint64_t time_unit(struct slice s, size_t *len)
{
    *len = 1;
    if (slice_starts(s, SLICE("ms"))) {
        *len = 2;
        return 1;
    }
    switch (s.len ? s.data[0] : ' ') {
    case 's':
        return 1000;
    case 'm':
        return 60 * 1000;
    case 'h':
        return 3600 * 1000;
    case 'd':
        return 86400 * (uint64_t)1000;
    case 'w':
        return 7 * 86400 * (uint64_t)1000;
    case 'M':
        return 30 * 86400 * (uint64_t)1000;
    case 'y':
        return 365 * 86400 * (uint64_t)1000;
    case ' ':
        return 1000;
    default:
        return 0;
    }
}

bool text_msec(struct slice s, uint64_t *out)
{
    uint64_t total = 0;
    if (!s.len)
        return false;
    while (s.len) {
        size_t digits = 0, unit_len;
        while (digits < s.len && isdigit((unsigned char)s.data[digits]))
            digits++;
        uint64_t unit = time_unit(slice_from(s, digits), &unit_len), part;
        if (!unit || !scaled((struct slice){ s.data, digits }, unit, &part) ||
            total > UINT64_MAX - part)
            return false;
        total += part;
        s = slice_trim(slice_from(s, digits + unit_len));
    }
    *out = total;
    return true;
}
