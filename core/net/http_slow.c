/* http_slow.c -- requests whose body takes its time.
 *
 * Whatever is there when libmicrohttpd has read all it can is given to the
 * user; where the body is not whole, it goes on coming meanwhile.  An answer
 * cannot be queued then, so a small one is written past libmicrohttpd, and the
 * connection ends with it. */
#include "base/clock.h"
#include "net/http_private.h"
#include <sys/socket.h>

enum { PART_MAX = 32 << 10 };

void http_slow_note(struct http_request *r)
{
    r->next_slow = r->listen->slow;
    r->prev_slow = &r->listen->slow;
    if (r->next_slow)
        r->next_slow->prev_slow = &r->next_slow;
    r->listen->slow = r;
}

void http_slow_forget(struct http_request *r)
{
    if (!r->prev_slow)
        return;
    *r->prev_slow = r->next_slow;
    if (r->next_slow)
        r->next_slow->prev_slow = r->prev_slow;
    r->prev_slow = NULL;
}

void http_slow_dispatch(struct http_listen *l)
{
    struct http_server *s = l->server;
    while (l->slow) {
        struct http_request *r = l->slow;
        http_slow_forget(r);
        if (s->stopping)
            continue;
        r->arriving = r->dispatched = r->held = true;
        s->active++;
        s->events->on_request(r, s->user);
    }
}

static void format(struct http_request *r, const struct http_reply *reply,
                   struct buf *out)
{
    char now[CLOCK_HTTP];
    clock_http((time_t)(clock_msec() / 1000), now);
    buf_addf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\n",
             reply->status, MHD_get_reason_phrase_for((unsigned)reply->status),
             now);
    for (unsigned i = 0; i < reply->count; i++)
        buf_addf(out, "%.*s: %.*s\r\n", SLICE_FMT(reply->headers[i].name),
                 SLICE_FMT(reply->headers[i].value));
    buf_addf(out, "Content-Length: %zu\r\n\r\n", reply->body.len);
    if (!slice_eq(r->method, SLICE("HEAD")))
        buf_add(out, buf_slice(&reply->body));
}

/* False: it has to wait for the body. */
bool http_slow_reply(struct http_request *r, const struct http_reply *reply)
{
    struct buf out = { 0 };
    if (reply->fd > 0 || reply->body.len > PART_MAX || http_tls(r))
        return false;
    format(r, reply, &out);
    ssize_t n =
        buf_ok(&out) ? send(r->conn->fd, out.data, out.len, MSG_NOSIGNAL) : -1;
    /* The client reads to this end; what it still sends is thrown away. */
    shutdown(r->conn->fd, n == (ssize_t)out.len ? SHUT_WR : SHUT_RDWR);
    buf_free(&out);
    r->parted = true;
    r->status = reply->status;
    return true;
}
