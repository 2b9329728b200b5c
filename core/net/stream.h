/* stream.h -- a connection that nobody blocks on: bytes in, bytes out, with
 * TLS over it or not.
 *
 * Each call does what it can now and says PENDING where it cannot; then
 * stream_wait calls back once it can.  One waiter for each side, and no
 * timeouts: who waits has a timer.  All on the loop's thread. */
#pragma once
#include "base/buf.h"
#include "net/address.h"
#include <stdint.h>
#include <uv.h>

struct ssl_st;
struct stream_pool;

enum stream_side { STREAM_IN, STREAM_OUT, STREAM_SIDES };

struct stream {
    int fd;             /* -1: closed, or there never was one */
    int error;          /* errno of the last failure; 0: TLS has its own */
    struct ssl_st *tls; /* see stream_tls.h; NULL: plain */
    unsigned reused;    /* how often a pool gave it out */
    struct stream *next, **prev; /* in a pool, while it is idle */
    struct stream_pool *pool;    /* likewise */
    uv_timer_t timer;            /* likewise */

    /* stream's own */
    bool fed;      /* no socket, and more may come by stream_feed */
    bool cut;      /* of such a one: the end is a fault */
    struct buf in; /* come, and from `at` on not yet taken */
    size_t at;
    struct stream_waiter {
        void (*ready)(void *user);
        void *user;
    } waiters[STREAM_SIDES];
    int wants[STREAM_SIDES]; /* UV_READABLE, UV_WRITABLE: TLS may turn them */
    int watched;             /* the events that poll tells */
    bool drained;            /* nothing to read, until poll tells */
    uv_poll_t poll;
    unsigned handles; /* not yet closed */
};

/* A socket of family (AF_INET, ...) and type (SOCK_STREAM, ...), or around
 * one that is there (taken over).  ERR_IO: errno says why. */
enum err stream_open(struct stream **out, uv_loop_t *loop, int family,
                     int type);
enum err stream_adopt(struct stream **out, uv_loop_t *loop, int fd);

/* No socket: only the bytes that stream_feed adds, then the end. */
enum err stream_fed(struct stream **out, uv_loop_t *loop);

/* As if these bytes had come; last: and the end, where there is no socket.
 * Who waits for them is called from within. */
enum err stream_feed(struct stream *s, struct slice bytes, bool last);

/* No more comes, and that is a fault: reading fails with ERR_CANCELED. */
void stream_cut(struct stream *s);

/* Once STREAM_OUT is ready after PENDING, stream_connected has the outcome.
 * ERR_CONNECT: s->error says why. */
enum err stream_bind(struct stream *s, const struct address *from);
enum err stream_connect(struct stream *s, const struct address *to);
enum err stream_connected(struct stream *s);

/* Reads up to max bytes more.  ERR_CLOSED: the other side ends here. */
enum err stream_read(struct stream *s, size_t max);

/* What has come; stream_take takes the first n bytes off.  The bytes stay
 * until the next stream_read. */
static inline struct slice stream_pending(const struct stream *s)
{
    return slice_from(buf_slice(&s->in), s->at);
}

static inline void stream_take(struct stream *s, size_t n)
{
    s->at += n;
}

/* Writes what it can and takes it off rest; OK once that is empty. */
enum err stream_write(struct stream *s, struct slice *rest);

/* Calls ready(user), once, when side may go on. */
void stream_wait(struct stream *s, enum stream_side side,
                 void (*ready)(void *user), void *user);
void stream_unwait(struct stream *s, enum stream_side side);

/* Whether an idle connection is at its end, or has got what nobody asked; as
 * far as the loop knows, where it watches. */
bool stream_is_stale(struct stream *s);

/* s->error in lower case, as LuaSocket has it; "error" for 0. */
const char *stream_reason(const struct stream *s, char *out, size_t size);

/* Closes at once, waiters are forgotten; the memory goes when the loop has
 * let go of it.  NULL is fine. */
void stream_close(struct stream *s);
