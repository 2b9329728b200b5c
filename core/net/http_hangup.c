/* http_hangup.c -- clients that close their side.
 *
 * Where the last bytes and the end come together, libmicrohttpd reads the
 * bytes and never looks for the end.  So the ends are watched beside it: who
 * sends no more gets the answer to what was whole, and nothing else. */
#include "net/http_private.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ENDS = 64 };

static void note(struct http_conn *c)
{
    if (!c->is_half)
        LIST_INSERT_HEAD(&c->listen->halves, c, half);
    c->is_half = true;
}

static void on_hangup(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct http_server *s = poll->data;
    struct epoll_event ends[ENDS];
    int n = epoll_wait(s->hangups, ends, ENDS, 0);
    for (int i = 0; i < n; i++) /* all first: to drive may close one */
        note(ends[i].data.ptr);
    for (struct http_listen *l = s->listens; l; l = l->next)
        if (!LIST_EMPTY(&l->halves))
            http_drive(l);
}

static bool has_unread(const struct http_conn *c)
{
    int n = 0;
    return !ioctl(c->fd, FIONREAD, &n) && n > 0;
}

/* After libmicrohttpd's turn: what it has read is not a whole request. */
void http_hangup_settle(struct http_listen *l)
{
    bool cut = false;
    struct http_conn *c;
    LIST_FOREACH(c, &l->halves, half)
    {
        bool reads = c->state == HTTP_IDLE || c->state == HTTP_HEADER ||
                     c->state == HTTP_BODY;
        if (!reads || c->gone || has_unread(c))
            continue;
        http_conn_cut(c);
        cut = true;
    }
    if (cut)
        http_run(l);
}

void http_hangup_watch(struct http_conn *c)
{
    struct epoll_event on = { .events = EPOLLRDHUP | EPOLLET, .data.ptr = c };
    epoll_ctl(c->listen->server->hangups, EPOLL_CTL_ADD, c->fd, &on);
}

/* A child that is being started may still hold the socket: its end would be
 * told to a connection that is gone. */
void http_hangup_forget(struct http_conn *c)
{
    epoll_ctl(c->listen->server->hangups, EPOLL_CTL_DEL, c->fd, NULL);
    if (c->is_half)
        LIST_REMOVE(c, half);
    c->is_half = false;
}

enum err http_hangup_open(struct http_server *s)
{
    s->hangups = epoll_create1(EPOLL_CLOEXEC);
    if (s->hangups < 0)
        return err_set(ERR_IO, "epoll_create1: %s", strerror(errno));
    uv_poll_init(s->loop, &s->hangup, s->hangups);
    s->hangup.data = s;
    s->handles++;
    uv_poll_start(&s->hangup, UV_READABLE, on_hangup);
    return OK;
}

void http_hangup_close(struct http_server *s)
{
    http_close_handle(s, (uv_handle_t *)&s->hangup);
    close(s->hangups);
}
