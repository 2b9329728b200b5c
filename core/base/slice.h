/* slice.h -- the one string type: a pointer and a length, owning nothing.
 *
 * Whoever hands a slice out says how long its bytes live.  Secrets are
 * compared with secret_equal (crypto/secret.h), never with slice_eq. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
    const char *data;
    size_t len;
};

/* A literal, or a buffer and its length, as a slice. */
#define SLICE(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })
#define SLICE_OF(ptr, n) ((struct slice){ (const char *)(ptr), (n) })
#define SLICE_NONE ((struct slice){ NULL, 0 })

/* For "%.*s". */
#define SLICE_FMT(s) (int)(s).len, (s).data ? (s).data : ""

static inline struct slice slice_str(const char *text)
{
    return (struct slice){ text, text ? strlen(text) : 0 };
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || !memcmp(a.data, b.data, a.len));
}

static inline bool slice_eq_nocase(struct slice a, struct slice b)
{
    return a.len == b.len &&
           (a.len == 0 || !strncasecmp(a.data, b.data, a.len));
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len &&
           (prefix.len == 0 || !memcmp(s.data, prefix.data, prefix.len));
}

static inline struct slice slice_from(struct slice s, size_t start)
{
    if (start > s.len)
        start = s.len;
    if (start == 0)
        return s; /* data may be NULL, to which C adds not even 0 */
    return (struct slice){ s.data + start, s.len - start };
}

/* Index of c, or s.len where it does not occur. */
static inline size_t slice_find(struct slice s, char c)
{
    const char *at = s.len ? memchr(s.data, c, s.len) : NULL;
    return at ? (size_t)(at - s.data) : s.len;
}

/* Blanks (space and tab) taken off both ends. */
static inline struct slice slice_trim(struct slice s)
{
    while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_from(s, 1);
    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}
