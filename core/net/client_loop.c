/* client_loop.c -- curl's sockets and its one timer, watched by our loop. */
#define _GNU_SOURCE
#include "net/client_private.h"
#include <stdlib.h>
#include <sys/socket.h>

/* The loop's eye on a socket, for as long as curl wants events of it.  An
 * idle connection has none: a handle that outlived its descriptor would stop
 * the events of whoever in this loop got the number next. */
struct client_watch {
    uv_poll_t poll;
    struct client *client;
    int fd, events;
    struct client_watch *next, **prev;
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct client_watch *w = poll->data;
    struct client *c = w->client; /* w may go meanwhile */
    int flags = status < 0 ? CURL_CSELECT_ERR : 0, running;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(c->multi, w->fd, flags, &running);
    client_collect(c);
}

static void on_timer(uv_timer_t *timer)
{
    struct client *c = timer->data;
    int running;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    client_collect(c);
}

static int on_timeout_wanted(CURLM *multi, long ms, void *user)
{
    struct client *c = user;
    (void)multi;
    if (ms < 0)
        uv_timer_stop(&c->timer);
    else
        uv_timer_start(&c->timer, on_timer, (uint64_t)ms, 0);
    return 0;
}

static void handle_closed(struct client *c)
{
    if (--c->handles)
        return;
    void (*on_closed)(void *) = c->on_closed;
    void *user = c->user;
    free(c);
    if (on_closed)
        on_closed(user);
}

static void on_timer_closed(uv_handle_t *timer)
{
    handle_closed(timer->data);
}

static void on_watch_closed(uv_handle_t *poll)
{
    struct client_watch *w = poll->data;
    struct client *c = w->client;
    free(w);
    handle_closed(c);
}

static struct client_watch *open_watch(struct client *c, int fd)
{
    struct client_watch *w = calloc(1, sizeof *w);
    if (!w || uv_poll_init(c->loop, &w->poll, fd)) {
        free(w);
        return NULL;
    }
    w->client = c;
    w->fd = fd;
    w->poll.data = w;
    w->prev = &c->watches;
    if ((w->next = c->watches))
        w->next->prev = &w->next;
    c->watches = w;
    c->handles++;
    curl_multi_assign(c->multi, fd, w);
    return w;
}

static void close_watch(struct client_watch *w)
{
    *w->prev = w->next;
    if (w->next)
        w->next->prev = w->prev;
    uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

/* curl's events have the loop's numbers.  Never fails: a refusal here would
 * end every request, and one that is not watched runs into its timeout. */
static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *user,
                            void *assigned)
{
    struct client_watch *w = assigned;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w)
            close_watch(w);
        return 0;
    }
    if (!w)
        w = open_watch(user, fd);
    if (w && w->events != what) {
        w->events = what;
        uv_poll_start(&w->poll, what, on_poll);
    }
    return 0;
}

/* Where a first address fails, curl may close its socket unsaid, and take
 * the watch for granted when the next address's has the same number. */
curl_socket_t client_open_socket(void *user, curlsocktype purpose,
                                 struct curl_sockaddr *to)
{
    struct client *c = user;
    int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    for (struct client_watch *w = c->watches; w; w = w->next)
        if (w->fd == fd) {
            uv_poll_stop(&w->poll);
            uv_poll_start(&w->poll, w->events, on_poll);
        }
    return fd;
}

bool client_loop_open(struct client *c)
{
    if (uv_timer_init(c->loop, &c->timer))
        return false;
    c->timer.data = c;
    c->handles = 1;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    return true;
}

void client_loop_close(struct client *c)
{
    while (c->watches)
        close_watch(c->watches);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
