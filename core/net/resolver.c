/* resolver.c -- host names looked up by c-ares inside a libuv loop. */
#include "net/resolver.h"
#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>

enum { TRY_MSEC = 5000, TRIES = 4, TICK_MSEC = 250, REST_MSEC = 1000 };

/* A socket of c-ares's. */
struct watch {
    uv_poll_t poll;
    struct resolver *resolver;
    ares_socket_t fd;
    struct watch *next;
};

struct resolver {
    uv_loop_t *loop;
    ares_channel channel;
    int family;
    struct watch *watches;
    uv_timer_t tick; /* c-ares's own timeouts, while a query is under way */
    unsigned queries;
};

/* Lives until c-ares has called back, also where nobody waits any more. */
struct resolver_query {
    struct resolver *resolver;
    uv_timer_t timer;
    resolver_done *done; /* NULL: cancelled, or told already */
    void *user;
    uint64_t deadline; /* loop time */
    bool ended;        /* c-ares has called back */
    bool resting;      /* no server could be reached; once more after a rest */
    int code;
    struct address found;
    char name[];
};

/* RFC 1035's response codes and nginx's words for them. */
static int code_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return 0;
    case ARES_EFORMERR:
        return 1;
    case ARES_ESERVFAIL:
        return 2;
    case ARES_ENOTIMP:
        return 4;
    case ARES_EREFUSED:
        return 5;
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED:
        return ETIMEDOUT;
    default:
        return 3;
    }
}

const char *resolver_reason(int code)
{
    static const char *const reasons[] = {
        "Unknown error",  "Format error",  "Server failure",
        "Host not found", "Unimplemented", "Operation refused"
    };
    if (code == ETIMEDOUT)
        return "Operation timed out";
    return reasons[code > 0 && code <= 5 ? code : 0];
}

/* ---- sockets and time ---------------------------------------------------- */

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    bool in = status || events & UV_READABLE;
    bool out = status || events & UV_WRITABLE;
    ares_process_fd(w->resolver->channel, in ? w->fd : ARES_SOCKET_BAD,
                    out ? w->fd : ARES_SOCKET_BAD);
}

static struct watch *add_watch(struct resolver *r, ares_socket_t fd)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w || uv_poll_init(r->loop, &w->poll, fd)) {
        free(w);
        return NULL; /* its query will time out */
    }
    w->poll.data = w;
    w->resolver = r;
    w->fd = fd;
    w->next = r->watches;
    r->watches = w;
    return w;
}

/* c-ares tells what it wants to know of a socket; nothing: it closes it. */
static void on_state(void *user, ares_socket_t fd, int in, int out)
{
    struct resolver *r = user;
    struct watch **at = &r->watches, *w;
    while (*at && (*at)->fd != fd)
        at = &(*at)->next;
    w = *at;
    if (!in && !out) {
        if (!w)
            return;
        *at = w->next;
        uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        return;
    }
    if (!w)
        w = add_watch(r, fd);
    if (w)
        uv_poll_start(&w->poll,
                      (in ? UV_READABLE : 0) | (out ? UV_WRITABLE : 0),
                      on_socket);
}

static void on_tick(uv_timer_t *tick)
{
    struct resolver *r = tick->data;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* ---- queries ------------------------------------------------------------- */

static void on_query_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void ask(struct resolver_query *q);

static void tell(struct resolver_query *q, int code)
{
    resolver_done *done = q->done;
    q->done = NULL;
    uv_timer_stop(&q->timer);
    if (done)
        done(q->user, code, &q->found);
}

static void on_timer(uv_timer_t *timer)
{
    struct resolver_query *q = timer->data;
    uint64_t now = uv_now(q->resolver->loop);
    if (q->resting && now < q->deadline) {
        uv_timer_start(&q->timer, on_timer, q->deadline - now, 0);
        ask(q);
        return;
    }
    tell(q, q->ended ? q->code : ETIMEDOUT);
    if (q->ended)
        uv_close((uv_handle_t *)timer, on_query_closed);
}

/* Any of those of the family that comes first: c-ares sorts by what can be
 * reached from here. */
static void choose(struct resolver_query *q, const struct ares_addrinfo *info)
{
    unsigned seen = 0;
    for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next) {
        if (n->ai_family != info->nodes->ai_family ||
            n->ai_addrlen > sizeof q->found.sa)
            continue;
        if (rand() % (int)++seen)
            continue;
        memcpy(&q->found.sa, n->ai_addr, n->ai_addrlen);
        q->found.len = n->ai_addrlen;
    }
    if (!seen)
        q->code = 3;
}

static uint64_t rest(const struct resolver_query *q)
{
    uint64_t now = uv_now(q->resolver->loop);
    uint64_t left = q->deadline > now ? q->deadline - now : 0;
    return left < REST_MSEC ? left : REST_MSEC;
}

/* May come inside ares_getaddrinfo, so the answer goes by the timer. */
static void on_addresses(void *user, int status, int timeouts,
                         struct ares_addrinfo *info)
{
    (void)timeouts;
    struct resolver_query *q = user;
    q->ended = true;
    q->code = code_of(status);
    q->resting = q->code == ETIMEDOUT;
    if (!--q->resolver->queries)
        uv_timer_stop(&q->resolver->tick);
    if (info && !q->code)
        choose(q, info);
    ares_freeaddrinfo(info);
    if (q->done && status != ARES_EDESTRUCTION)
        uv_timer_start(&q->timer, on_timer, q->resting ? rest(q) : 0, 0);
    else
        uv_close((uv_handle_t *)&q->timer, on_query_closed);
}

static void ask(struct resolver_query *q)
{
    struct resolver *r = q->resolver;
    struct ares_addrinfo_hints hints = { .ai_family = r->family,
                                         .ai_socktype = SOCK_STREAM };
    q->ended = q->resting = false;
    if (!r->queries++)
        uv_timer_start(&r->tick, on_tick, TICK_MSEC, TICK_MSEC);
    ares_getaddrinfo(r->channel, q->name, NULL, &hints, on_addresses, q);
}

struct resolver_query *resolver_start(struct resolver *r, const char *name,
                                      uint64_t msec, resolver_done *done,
                                      void *user)
{
    size_t len = strlen(name);
    struct resolver_query *q = calloc(1, sizeof *q + len + 1);
    if (!q)
        return NULL;
    memcpy(q->name, name, len);
    q->resolver = r;
    q->done = done;
    q->user = user;
    uv_timer_init(r->loop, &q->timer);
    q->timer.data = q;
    uv_update_time(r->loop);
    q->deadline = uv_now(r->loop) + msec;
    uv_timer_start(&q->timer, on_timer, msec, 0);
    ask(q);
    return q;
}

void resolver_cancel(struct resolver_query *q)
{
    q->done = NULL;
    uv_timer_stop(&q->timer);
    if (q->ended)
        uv_close((uv_handle_t *)&q->timer, on_query_closed);
}

enum err resolver_new(struct resolver **out, uv_loop_t *loop,
                      const char *servers, bool ipv6)
{
    struct resolver *r = calloc(1, sizeof *r);
    struct ares_options options = { .flags = ARES_FLAG_NOSEARCH |
                                             ARES_FLAG_NOALIASES,
                                    .timeout = TRY_MSEC,
                                    .tries = TRIES,
                                    .lookups = (char *)(uintptr_t) "b",
                                    .sock_state_cb = on_state,
                                    .sock_state_cb_data = r };
    if (!r)
        return ERR_NOMEM;
    int rc = ares_init_options(&r->channel, &options,
                               ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS |
                                   ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                                   ARES_OPT_SOCK_STATE_CB | ARES_OPT_ROTATE);
    if (rc != ARES_SUCCESS) {
        free(r);
        return err_set(ERR_CONFIG, "c-ares: %s", ares_strerror(rc));
    }
    r->loop = loop;
    r->family = ipv6 ? AF_UNSPEC : AF_INET;
    uv_timer_init(loop, &r->tick);
    r->tick.data = r;
    rc = ares_set_servers_ports_csv(r->channel, servers);
    if (rc == ARES_SUCCESS) {
        *out = r;
        return OK;
    }
    resolver_free(r);
    return err_set(ERR_CONFIG, "c-ares: %s", ares_strerror(rc));
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    ares_destroy(r->channel);
    uv_close((uv_handle_t *)&r->tick, on_watch_closed);
}
