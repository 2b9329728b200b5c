/* http_accept.c -- the listening socket.
 *
 * libmicrohttpd would stop listening at its limit until somebody runs it, so
 * it does not listen: we accept, and give it what we accepted.  Where there is
 * no room the socket is not watched, and one newcomer is held; a connection
 * that ends, and each sweep, tries again. */
#define _GNU_SOURCE
#include "base/log.h"
#include "net/http_private.h"
#include <errno.h>
#include <unistd.h>

enum { BATCH = 16, QUEUE_MAX = 4096 };

static void on_readable(uv_poll_t *poll, int status, int events);

static void pause_listen(struct http_listen *l)
{
    if (!l->paused && l->fd >= 0)
        uv_poll_stop(&l->accepting);
    l->paused = true;
}

static void drop(struct http_newcomer *n)
{
    http_source_drop(&n->source);
    close(n->fd);
    n->fd = -1;
}

static void place(struct http_listen *l, struct http_newcomer *n)
{
    l->newcomer = n;
    MHD_add_connection(l->daemon, n->fd, (struct sockaddr *)&n->sa, n->len);
    l->newcomer = NULL;
    http_source_drop(&n->source); /* where no connection took it over */
    n->fd = -1;                   /* libmicrohttpd's, whatever came */
}

/* Whoever gives way is closed by libmicrohttpd, in whose turn we are not. */
static bool settle(struct http_listen *l, struct http_newcomer *n)
{
    if (http_room_make(l)) {
        place(l, n);
        return true;
    }
    if (l->held.fd < 0) {
        l->held = *n;
        http_room_held();
    }
    pause_listen(l);
    return false;
}

/* What the next look may find otherwise, at once. */
static bool is_passing(int why)
{
    return why == EAGAIN || why == EINTR || why == ECONNABORTED;
}

static bool is_shortage(int why)
{
    return why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM;
}

static void on_failure(struct http_listen *l, int why)
{
    if (is_passing(why))
        return;
    pause_listen(l); /* it would fail again and again */
    if (is_shortage(why))
        http_room_descriptors(l->server, why);
    else
        log_write(LOG_ALERT, "accept4() failed (%d: %s)", why, strerror(why));
}

static bool take(struct http_listen *l, struct http_newcomer *n)
{
    *n = (struct http_newcomer){ .len = sizeof n->sa };
    n->fd = accept4(l->fd, (struct sockaddr *)&n->sa, &n->len,
                    SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (n->fd < 0)
        on_failure(l, errno);
    return n->fd >= 0;
}

/* How many were accepted. */
static int accept_some(struct http_listen *l)
{
    struct http_newcomer n;
    int count = 0;
    if (l->held.fd >= 0 && !settle(l, &l->held))
        return 0;
    while (l->fd >= 0 && count < BATCH && take(l, &n)) {
        count++;
        if (!http_room_admits(l, &n))
            drop(&n);
        else if (!settle(l, &n))
            break;
    }
    return count;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct http_listen *l = poll->data;
    accept_some(l);
    http_drive(l); /* what they sent along */
}

void http_accept_resume(struct http_listen *l)
{
    if (!l->paused)
        return;
    l->paused = false;
    if (l->fd >= 0)
        uv_poll_start(&l->accepting, UV_READABLE, on_readable);
    accept_some(l);
    http_drive(l);
}

static void on_again(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    for (struct http_listen *l = s->listens; l; l = l->next)
        http_accept_resume(l);
}

/* A connection's end is told by libmicrohttpd, which must return first. */
void http_accept_again(struct http_server *s)
{
    bool paused = false;
    for (struct http_listen *l = s->listens; l; l = l->next)
        paused |= l->paused;
    if (paused && !s->stopping)
        uv_timer_start(&s->again, on_again, 0, 0);
}

/* The system's queue goes with the socket. */
void http_accept_rest(struct http_listen *l)
{
    http_accept_resume(l);
    for (int n = 0, some = 1; n < QUEUE_MAX && some && !l->paused; n += some)
        some = accept_some(l);
    http_drive(l);
}

void http_accept_start(struct http_listen *l, int fd)
{
    struct http_server *s = l->server;
    l->fd = fd;
    l->held.fd = -1;
    uv_poll_init(s->loop, &l->accepting, fd);
    l->accepting.data = l;
    s->handles++;
    uv_poll_start(&l->accepting, UV_READABLE, on_readable);
}

/* The handle first: it would take the next file of that number for its own. */
void http_accept_stop(struct http_listen *l)
{
    if (l->server->stopping && l->held.fd >= 0)
        drop(&l->held);
    if (l->fd < 0)
        return;
    http_close_handle(l->server, (uv_handle_t *)&l->accepting);
    close(l->fd);
    l->fd = -1;
}
