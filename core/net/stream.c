/* stream.c -- a connection that nobody blocks on. */
#include "net/stream.h"
#include "net/stream_tls.h"
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_closed(uv_handle_t *handle)
{
    struct stream *s = handle->data;
    if (--s->handles)
        return;
    buf_free(&s->in);
    free(s);
}

enum err stream_fed(struct stream **out, uv_loop_t *loop)
{
    struct stream *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->fd = -1;
    s->fed = true;
    s->wants[STREAM_IN] = UV_READABLE;
    s->wants[STREAM_OUT] = UV_WRITABLE;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    s->handles = 1;
    *out = s;
    return OK;
}

enum err stream_adopt(struct stream **out, uv_loop_t *loop, int fd)
{
    struct stream *s;
    enum err e = stream_fed(&s, loop);
    if (e == OK && uv_poll_init(loop, &s->poll, fd)) {
        stream_close(s);
        e = ERR_NOMEM;
    }
    if (e != OK) {
        close(fd);
        return e;
    }
    s->poll.data = s;
    s->handles++;
    s->fed = false;
    s->fd = fd;
    *out = s;
    return OK;
}

static void wake_reader(struct stream *s)
{
    struct stream_waiter w = s->waiters[STREAM_IN];
    s->waiters[STREAM_IN].ready = NULL;
    if (w.ready)
        w.ready(w.user);
}

enum err stream_feed(struct stream *s, struct slice bytes, bool last)
{
    buf_add(&s->in, bytes);
    if (!buf_ok(&s->in))
        return ERR_NOMEM;
    s->fed &= !last;
    wake_reader(s);
    return OK;
}

void stream_cut(struct stream *s)
{
    s->cut = true;
    wake_reader(s);
}

enum err stream_open(struct stream **out, uv_loop_t *loop, int family, int type)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? ERR_IO : stream_adopt(out, loop, fd);
}

static enum err failed(struct stream *s, enum err e)
{
    s->error = errno;
    return e;
}

enum err stream_bind(struct stream *s, const struct address *from)
{
    int on = 1;
    setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(s->fd, (const struct sockaddr *)&from->sa, from->len))
        return failed(s, ERR_CONNECT);
    return OK;
}

enum err stream_connect(struct stream *s, const struct address *to)
{
    if (!connect(s->fd, (const struct sockaddr *)&to->sa, to->len))
        return OK;
    return errno == EINPROGRESS ? PENDING : failed(s, ERR_CONNECT);
}

enum err stream_connected(struct stream *s)
{
    socklen_t len = sizeof s->error;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &s->error, &len))
        return failed(s, ERR_CONNECT);
    return s->error ? ERR_CONNECT : OK;
}

/* What a call that gave n bytes, or none, comes to. */
static enum err outcome(struct stream *s, enum stream_side side, ssize_t n)
{
    if (n > 0)
        return OK;
    if (s->tls)
        return stream_tls_outcome(s, side, (int)n);
    if (n == 0)
        return ERR_CLOSED;
    return errno == EAGAIN || errno == EINTR ? PENDING : failed(s, ERR_IO);
}

/* Moves what is left to the front, once that is the smaller part. */
static void make_room(struct stream *s)
{
    size_t left = s->in.len - s->at;
    if (s->at < left)
        return;
    if (left)
        memmove(s->in.data, s->in.data + s->at, left);
    s->in.len = left;
    s->at = 0;
}

enum err stream_read(struct stream *s, size_t max)
{
    if (s->fd < 0)
        return s->cut ? ERR_CANCELED : s->fed ? PENDING : ERR_CLOSED;
    if (s->drained)
        return PENDING;
    make_room(s);
    char *to = buf_reserve(&s->in, max);
    if (!to)
        return ERR_NOMEM;
    ssize_t n = s->tls ? stream_tls_read(s, to, max) : recv(s->fd, to, max, 0);
    enum err e = outcome(s, STREAM_IN, n);
    if (n > 0)
        s->in.len += (size_t)n;
    s->drained = !s->tls && (n > 0 ? (size_t)n < max : e == PENDING);
    return e;
}

enum err stream_write(struct stream *s, struct slice *rest)
{
    while (rest->len) {
        ssize_t n = s->tls ? stream_tls_write(s, *rest)
                           : send(s->fd, rest->data, rest->len, MSG_NOSIGNAL);
        enum err e = outcome(s, STREAM_OUT, n);
        if (e != OK)
            return e;
        *rest = slice_from(*rest, (size_t)n);
    }
    return OK;
}

static int wanted(const struct stream *s)
{
    int events = 0;
    for (int side = 0; side < STREAM_SIDES; side++)
        if (s->waiters[side].ready)
            events |= s->wants[side];
    return events;
}

/* Each change costs libuv two system calls or three.  So a socket stays
 * watched while nobody waits, until something comes that nobody waits for. */
static void watch(struct stream *s)
{
    int events = wanted(s);
    if (s->fd < 0 || !(events & ~s->watched))
        return;
    s->watched = events;
    uv_poll_start(&s->poll, events, on_poll);
}

static void unwatch(struct stream *s)
{
    s->watched = 0;
    if (s->fd >= 0)
        uv_poll_stop(&s->poll);
}

/* A fault of the socket (status) is for both sides to find, and libuv has
 * stopped then.  Either callback may close s, whose memory stays for now. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct stream *s = poll->data;
    bool unasked = events & ~wanted(s);
    if (status || (events & UV_READABLE))
        s->drained = false;
    for (int side = 0; side < STREAM_SIDES; side++) {
        struct stream_waiter w = s->waiters[side];
        if (s->fd < 0 || !w.ready || (!status && !(events & s->wants[side])))
            continue;
        s->waiters[side].ready = NULL;
        w.ready(w.user);
    }
    if (status || unasked)
        unwatch(s);
    watch(s);
}

void stream_wait(struct stream *s, enum stream_side side,
                 void (*ready)(void *user), void *user)
{
    s->waiters[side] = (struct stream_waiter){ ready, user };
    watch(s);
}

void stream_unwait(struct stream *s, enum stream_side side)
{
    s->waiters[side].ready = NULL;
}

bool stream_is_stale(struct stream *s)
{
    char byte;
    if (s->drained && (s->watched & UV_READABLE))
        return false;
    ssize_t n = recv(s->fd, &byte, 1, MSG_PEEK);
    return n >= 0 || errno != EAGAIN;
}

const char *stream_reason(const struct stream *s, char *out, size_t size)
{
    const char *text = s->error ? strerror(s->error) : "error";
    size_t i = 0;
    for (; text[i] && i + 1 < size; i++)
        out[i] = (char)tolower((unsigned char)text[i]);
    out[i] = '\0';
    return out;
}

void stream_close(struct stream *s)
{
    if (!s)
        return;
    stream_tls_end(s);
    uv_close((uv_handle_t *)&s->timer, on_closed);
    if (s->fd < 0)
        return;
    uv_close((uv_handle_t *)&s->poll, on_closed);
    close(s->fd);
    s->fd = -1;
}
