/* client_loop.c -- curl's sockets and its one timer, watched by our loop. */
#define _GNU_SOURCE
#include "net/client_private.h"
#include <stdlib.h>
#include <sys/socket.h>

/* The loop's eye on a descriptor number.  It is only stopped when curl lets
 * go, and serves the next socket of that number: opening a handle costs
 * three system calls, and curl does not always say when a socket closes. */
struct watch {
    uv_poll_t poll;
    struct client *client;
    int fd, events;
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0, running;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(w->client->multi, w->fd, flags, &running);
    client_collect(w->client);
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

static struct watch *find_watch(struct client *c, int fd)
{
    return table_get(&c->watches, SLICE_OF(&fd, sizeof fd));
}

static struct watch *new_watch(struct client *c, int fd)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->client = c;
    w->fd = fd;
    w->poll.data = w;
    if (!table_put(&c->watches, SLICE_OF(&w->fd, sizeof w->fd), w))
        goto fail;
    if (uv_poll_init(c->loop, &w->poll, fd))
        goto fail;
    c->handles++;
    return w;
fail:
    table_remove(&c->watches, SLICE_OF(&w->fd, sizeof w->fd));
    free(w);
    return NULL;
}

/* curl's events have the loop's numbers.  Never fails: a refusal here would
 * end every request, and one that is not watched runs into its timeout. */
static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *user,
                            void *unused)
{
    struct client *c = user;
    struct watch *w = find_watch(c, fd);
    (void)easy, (void)unused;
    if (!w && what != CURL_POLL_REMOVE)
        w = new_watch(c, fd);
    if (!w)
        return 0;
    w->events = what == CURL_POLL_REMOVE ? 0 : what;
    if (w->events)
        uv_poll_start(&w->poll, w->events, on_poll);
    else
        uv_poll_stop(&w->poll);
    return 0;
}

static void on_handle_closed(struct client *c)
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
    on_handle_closed(timer->data);
}

static void on_watch_closed(uv_handle_t *poll)
{
    struct watch *w = poll->data;
    struct client *c = w->client;
    free(w);
    on_handle_closed(c);
}

/* Where curl closed a socket on its own and the next address's gets the same
 * number, it takes the old one's watch for granted. */
curl_socket_t client_open_socket(void *user, curlsocktype purpose,
                                 struct curl_sockaddr *to)
{
    int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
    struct watch *w = fd < 0 ? NULL : find_watch(user, fd);
    (void)purpose;
    if (w && w->events) {
        uv_poll_stop(&w->poll);
        uv_poll_start(&w->poll, w->events, on_poll);
    }
    return fd < 0 ? CURL_SOCKET_BAD : fd;
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
    void *w;
    for (size_t i = 0; table_next(&c->watches, &i, &w);)
        uv_close((uv_handle_t *)&((struct watch *)w)->poll, on_watch_closed);
    table_free(&c->watches);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
