/* buf.h -- a growing byte buffer.
 *
 * `struct buf b = { 0 };` is empty and ready.  Once memory runs out the
 * buffer is `broken`: what is added is dropped, and the last step of a chain
 * (buf_ok) tells.  Owned by one thread. */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdint.h>

struct buf {
    char *data;
    size_t len, cap;
    bool broken;
};

/* Room for n more bytes; the pointer to write at, or NULL. */
char *buf_reserve(struct buf *b, size_t n);

void buf_add(struct buf *b, struct slice s);
void buf_add_str(struct buf *b, const char *text);
void buf_add_char(struct buf *b, char c);
void buf_add_int(struct buf *b, int64_t n); /* in decimal */
void buf_addf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline bool buf_ok(const struct buf *b)
{
    return !b->broken;
}

static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){ b->data, b->len };
}

/* Ends the text with a NUL that is not counted; NULL where memory ran out.
 * The pointer is the buffer's own. */
const char *buf_str(struct buf *b);

/* Hands the bytes over (free() them) and leaves b empty. */
char *buf_take(struct buf *b);

/* Empties it, keeps the memory. */
static inline void buf_clear(struct buf *b)
{
    b->len = 0;
    b->broken = false;
}

void buf_free(struct buf *b);

/* As buf_free, after overwriting what it held (also what growth left
 * behind is overwritten where the buffer was made for a secret: reserve
 * enough at once). */
void buf_wipe(struct buf *b);
