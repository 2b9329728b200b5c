/* http_conn.c -- connections: numbers, addresses, time limits, and whether
 * the client is still there.
 *
 * libmicrohttpd has one inactivity limit; nginx's are several.  So each
 * connection carries a deadline for its state, and one that is late has its
 * socket shut down: libmicrohttpd then sees an end of file and closes. */
#include "base/clock.h"
#include "net/http_private.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

/* linux/tcp.h goes on where glibc's structure of that name ends. */
struct progress {
    struct tcp_info known;
    uint64_t rates[2], acked;
};

static _Atomic uint64_t last_number;

static void read_address(struct http_conn *c, const struct sockaddr *sa)
{
    const char *text = NULL;
    if (sa && sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)sa;
        text = inet_ntop(AF_INET, &in->sin_addr, c->address, sizeof c->address);
        c->port = ntohs(in->sin_port);
    } else if (sa && sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)sa;
        text =
            inet_ntop(AF_INET6, &in6->sin6_addr, c->address, sizeof c->address);
        c->port = ntohs(in6->sin6_port);
    }
    if (!text)
        snprintf(c->address, sizeof c->address, "unix:");
}

struct http_conn *http_conn_new(struct http_listen *l,
                                struct MHD_Connection *mhd)
{
    struct http_conn *c = calloc(1, sizeof *c);
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *addr =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    http_tls_begin(mhd, c);
    if (!c)
        return NULL;
    c->listen = l;
    c->refs = 1;
    c->number = atomic_fetch_add(&last_number, 1) + 1;
    c->fd = fd ? fd->connect_fd : -1;
    read_address(c, addr ? addr->client_addr : NULL);
    c->next = l->conns;
    c->prev = &l->conns;
    if (c->next)
        c->next->prev = &c->next;
    l->conns = c;
    l->count++;
    c->source = l->newcomer->source;
    l->newcomer->source = (struct http_source){ 0 };
    http_conn_enter(c, HTTP_IDLE,
                    l->server->draining ? HTTP_FRESH_MSEC
                                        : l->limits.header_msec);
    http_room_list(c, true);
    http_hangup_watch(c);
    return c;
}

void http_conn_closed(struct http_conn *c)
{
    http_conn_enter(c, HTTP_IDLE, 0);
    http_conn_unwatch(c);
    http_room_list(c, false);
    http_hangup_forget(c);
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->listen->count--;
    http_source_drop(&c->source);
    http_accept_again(c->listen->server);
    http_tls_end(c);
    c->fd = -1;
    http_conn_unref(c);
}

/* A request may outlive its connection, and still tell whose it was. */
void http_conn_unref(struct http_conn *c)
{
    if (--c->refs)
        return;
    arena_free(&c->arena);
    free(c);
}

void http_conn_enter(struct http_conn *c, enum http_state state, uint64_t msec)
{
    c->listen->sending += state == HTTP_SENDING;
    c->listen->sending -= c->state == HTTP_SENDING;
    uint64_t now = uv_now(c->listen->server->loop);
    if (state != c->state) {
        c->since = now;
        c->body = 0;
        http_room_list(c, state == HTTP_IDLE);
    }
    c->state = state;
    c->deadline = msec ? now + msec : 0;
}

/* nginx's limit is between two pieces: who sends a byte a second would stay
 * for ever.  So all of a body has a limit too, which grows with what comes. */
void http_conn_take_body(struct http_conn *c, size_t got)
{
    uint64_t msec = c->listen->limits.body_msec;
    http_conn_enter(c, HTTP_BODY, msec);
    c->body += got;
    uint64_t whole = c->since + msec + c->body * 1000 / HTTP_BODY_RATE;
    if (c->deadline > whole)
        c->deadline = whole;
}

/* libmicrohttpd sees an end of file, and closes.  What came before it and was
 * not read yet would be answered to nobody: nobody reads it. */
void http_conn_cut(struct http_conn *c)
{
    c->gone = true;
    shutdown(c->fd, SHUT_RDWR);
}

static void on_disconnect(uv_poll_t *watch, int status, int events)
{
    (void)status;
    (void)events;
    struct http_conn *c = watch->data;
    struct http_server *s = c->listen->server;
    http_conn_unwatch(c);
    if (c->request)
        s->events->on_abort(c->request, s->user);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle);
}

/* While a request waits, libmicrohttpd does not look at its socket. */
void http_conn_watch(struct http_conn *c)
{
    uv_poll_t *watch = c->watch ? NULL : malloc(sizeof *watch);
    if (!watch)
        return;
    if (uv_poll_init(c->listen->server->loop, watch, c->fd)) {
        free(watch);
        return;
    }
    watch->data = c;
    c->watch = watch;
    uv_poll_start(watch, UV_DISCONNECT, on_disconnect);
}

void http_conn_unwatch(struct http_conn *c)
{
    if (!c->watch)
        return;
    uv_close((uv_handle_t *)c->watch, on_watch_closed);
    c->watch = NULL;
}

/* Whether the client took more of the answer since the last look: the limit
 * is between two of its steps, as in nginx, not for all of a large file. */
static bool proceeds(struct http_conn *c)
{
    struct progress now = { 0 };
    socklen_t len = sizeof now;
    uint64_t before = c->acked;
    if (c->state == HTTP_SENDING &&
        !getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &now, &len))
        c->acked = now.acked;
    return c->acked != before;
}

static void on_late(struct http_conn *c)
{
    c->deadline = 0;
    if (proceeds(c)) {
        http_conn_enter(c, HTTP_SENDING, c->listen->limits.send_msec);
        return;
    }
    if (c->request)
        c->request->late = true;
    if (c->state != HTTP_IDLE || !c->requests)
        http_room_slow();
    http_conn_cut(c);
}

void http_conn_sweep(struct http_listen *l)
{
    uint64_t now = uv_now(l->server->loop);
    for (struct http_conn *c = l->conns; c; c = c->next)
        if (c->deadline && c->deadline <= now)
            on_late(c);
}

uint64_t http_conn_number(const struct http_request *r)
{
    return r->conn->number;
}

unsigned http_conn_requests(const struct http_request *r)
{
    return r->conn->requests;
}

struct slice http_conn_address(const struct http_request *r)
{
    return slice_str(r->conn->address);
}

unsigned http_conn_port(const struct http_request *r)
{
    return r->conn->port;
}

int http_conn_fd(const struct http_request *r)
{
    return r->conn->fd;
}
