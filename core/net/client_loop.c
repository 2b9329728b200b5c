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

/* curl 7.88 goes on to a host's next address only when something wakes it,
 * and when a first one failed nothing may: it has no socket then.  Pausing
 * and unpausing is the way to wake one request. */
static void wake_stalled(struct client *c)
{
    if (!c->stalled)
        return;
    c->stalled = false;
    for (struct client_request *r = c->requests; r; r = r->next)
        if (r->stalled) {
            r->stalled = false;
            curl_easy_pause(r->easy, CURLPAUSE_RECV);
            curl_easy_pause(r->easy, CURLPAUSE_CONT);
        }
}

static void note_stalled(struct client *c, CURL *easy)
{
    char *user = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &user);
    struct client_request *req = (struct client_request *)(void *)user;
    if (req && !req->sent)
        c->stalled = req->stalled = true;
}

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
    wake_stalled(c);
}

static void on_timer(uv_timer_t *timer)
{
    struct client *c = timer->data;
    int running;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    client_collect(c);
    wake_stalled(c);
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
    if (what == CURL_POLL_REMOVE) {
        note_stalled(user, easy);
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

/* curl's own would stay open in programs that a script starts. */
curl_socket_t client_open_socket(void *user, curlsocktype purpose,
                                 struct curl_sockaddr *to)
{
    (void)user, (void)purpose;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
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
