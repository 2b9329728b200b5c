/* http_wait.c -- requests that are not answered at once.
 *
 * libmicrohttpd suspends a connection with three system calls: out of epoll,
 * into it again, and a look whether anything came meanwhile.  What is worth
 * waiting for on the same machine comes sooner.  So a request first lingers:
 * libmicrohttpd asks for its answer at each of its turns, and the loop does
 * not sleep, for TURNS turns of the loop.  Then it is suspended. */
#include "net/http_private.h"

enum { TURNS = 2 };

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* while it runs the loop does not sleep */
}

void http_linger_end(struct http_request *r)
{
    struct http_server *s = r->listen->server;
    if (!r->lingers)
        return;
    r->lingers = false;
    r->listen->lingering--;
    if (!--s->lingering)
        uv_idle_stop(&s->idle);
}

void http_suspend(struct http_request *r)
{
    http_linger_end(r);
    r->suspended = true;
    MHD_suspend_connection(r->mhd);
    http_conn_enter(r->conn, HTTP_BUSY, 0);
    if (r->watch)
        http_conn_watch(r->conn);
}

void http_linger(struct http_request *r)
{
    struct http_server *s = r->listen->server;
    r->lingers = true;
    r->turn = s->turn;
    r->listen->lingering++;
    if (!s->lingering++)
        uv_idle_start(&s->idle, on_idle);
}

void http_linger_on(struct http_request *r)
{
    if (r->lingers && r->listen->server->turn - r->turn >= TURNS)
        http_suspend(r);
}

void http_resume(struct http_request *r)
{
    http_conn_unwatch(r->conn);
    if (!r->suspended && !r->lingers)
        return;
    if (r->suspended)
        MHD_resume_connection(r->mhd);
    http_linger_end(r);
    r->suspended = r->parked = false;
    r->listen->resumed = true;
}
