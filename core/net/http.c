/* http.c -- requests collected, replies sent, waits held by suspension. */
#include "net/http.h"
#include "base/clock.h"
#include "base/text.h"
#include "net/http_private.h"
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of a body that is too large this much is read and thrown away, so that the
 * client gets to read its 413; beyond, the connection is closed on it. */
static const size_t drain_max = 64u << 20;

/* Called at the request line; what it returns is the request's context. */
void *http_on_uri(void *listen, const char *uri, struct MHD_Connection *mhd)
{
    struct http_listen *l = listen;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_conn *c = info ? info->socket_context : NULL;
    struct http_request *r =
        c && !c->gone ? arena_alloc(&c->arena, sizeof *r) : NULL;
    if (!r)
        return NULL;
    r->arena = c->arena; /* r lies in it */
    c->arena = (struct arena){ 0 };
    r->listen = l;
    r->conn = c;
    r->mhd = mhd;
    r->started = clock_msec();
    r->uri = arena_dup(&r->arena, slice_str(uri));
    r->keepalive_msec = 75000;
    r->keepalive_requests = 1000;
    c->request = r;
    c->refs++;
    c->requests++;
    uint64_t whole = c->deadline; /* of a first head: since it came */
    http_conn_enter(c, HTTP_HEADER, l->limits.header_msec);
    if (c->requests == 1 && whole)
        c->deadline = whole;
    return r;
}

struct collecting {
    struct http_request *r;
    size_t longest, total;
};

static enum MHD_Result on_header(void *user, enum MHD_ValueKind kind,
                                 const char *name, size_t name_len,
                                 const char *value, size_t value_len)
{
    (void)kind;
    struct collecting *in = user;
    struct http_request *r = in->r;
    size_t line = name_len + value_len + 4;
    in->total += line;
    if (line > in->longest)
        in->longest = line;
    r->headers[r->header_count++] =
        (struct http_header){ { name, name_len },
                              { value ? value : "", value_len } };
    return MHD_YES;
}

static void collect_headers(struct http_request *r)
{
    const struct http_limits *limits = &r->listen->limits;
    int count = MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, NULL, NULL);
    struct collecting in = { r, 0, r->uri.len };
    r->headers =
        arena_alloc(&r->arena, (size_t)(count + 1) * sizeof *r->headers);
    if (r->headers)
        MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, on_header, &in);
    r->fault = http_head_fault(r);
    r->malformed = r->fault != 0;
    if (r->malformed)
        return;
    if (r->method.len + r->uri.len + 11 > limits->header_line)
        r->fault = 414;
    else if (in.longest > limits->header_line ||
             in.total > limits->header_total)
        r->fault = 431;
}

struct slice http_header(const struct http_request *r, struct slice name)
{
    for (unsigned i = 0; i < r->header_count; i++)
        if (slice_eq_nocase(r->headers[i].name, name))
            return r->headers[i].value;
    return SLICE_NONE;
}

/* Where this request ends, nobody can tell: the connection ends with it. */
bool http_is_unclear(const struct http_request *r)
{
    return r->fault == 400 || r->fault == 501 || r->fault == 505;
}

/* A body over the limit is a fault already.  True: it is not worth reading,
 * so the answer goes out now and the connection is closed on it. */
static bool refuse_early(struct http_request *r)
{
    struct slice length = http_header(r, SLICE("Content-Length"));
    uint64_t n = 0;
    if (length.data && text_u64(length, &n) && n > r->max_body && !r->fault)
        r->fault = 413;
    return http_is_unclear(r) ||
           (r->fault &&
            (n > drain_max || http_header(r, SLICE("Expect")).data));
}

static void begin(struct http_request *r, const char *method,
                  const char *version)
{
    struct http_server *s = r->listen->server;
    r->begun = true;
    r->method = slice_str(method);
    r->version = slice_str(version);
    collect_headers(r);
    s->events->on_headers(r, s->user);
}

static enum MHD_Result take_body(struct http_request *r, const char *data,
                                 size_t *size)
{
    bool wanted = !r->fault && !r->parted;
    http_conn_take_body(r->conn, r->parted ? 0 : *size);
    if (wanted && r->body.len + *size > r->max_body) {
        r->fault = 413;
        buf_free(&r->body);
    }
    if (r->fault || r->parted)
        r->drained += *size;
    else
        buf_add(&r->body, SLICE_OF(data, *size));
    *size = 0;
    if (r->arriving && wanted)
        r->listen->server->events->on_body(r, r->listen->server->user);
    return r->drained > drain_max || !buf_ok(&r->body) ? MHD_NO : MHD_YES;
}

static enum MHD_Result send_reply(struct http_request *r)
{
    struct MHD_Response *response = r->response;
    r->response = NULL;
    http_conn_enter(r->conn, HTTP_SENDING, r->listen->limits.send_msec);
    enum MHD_Result sent =
        MHD_queue_response(r->mhd, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return sent;
}

/* A reply that is made at once goes out at libmicrohttpd's next turn, when it
 * calls again: so a turn makes all of its replies before the first is sent.
 * That keeps caches warm, and who waits on the same machine is woken less. */
static enum MHD_Result dispatch(struct http_request *r)
{
    struct http_server *s = r->listen->server;
    http_slow_forget(r);
    if (s->stopping)
        return MHD_NO;
    r->dispatched = r->held = true;
    s->active++;
    http_conn_enter(r->conn, HTTP_BUSY, 0);
    s->events->on_request(r, s->user);
    if (r->response)
        return MHD_YES;
    if (r->broken)
        return MHD_NO;
    http_linger(r);
    return MHD_YES;
}

/* Before the body has come there is no next turn. */
static enum MHD_Result answer_now(struct http_request *r)
{
    enum MHD_Result done = dispatch(r);
    return r->response ? send_reply(r) : done;
}

/* The rest of a body that the user did not wait for. */
static enum MHD_Result end_body(struct http_request *r)
{
    struct http_server *s = r->listen->server;
    if (r->parted)
        return MHD_NO;
    r->arriving = false;
    if (r->held)
        s->events->on_body(r, s->user);
    if (r->response)
        return send_reply(r);
    if (r->broken)
        return MHD_NO;
    http_suspend(r);
    return MHD_YES;
}

enum MHD_Result http_on_access(void *listen, struct MHD_Connection *mhd,
                               const char *url, const char *method,
                               const char *version, const char *data,
                               size_t *size, void **request)
{
    (void)listen;
    (void)mhd;
    (void)url;
    struct http_request *r = *request;
    if (!r || r->broken)
        return MHD_NO;
    if (r->lingers) {
        http_linger_on(r);
        return MHD_YES;
    }
    r->listen->moved = true;
    if (!r->begun) {
        begin(r, method, version);
        if (refuse_early(r))
            return answer_now(r);
        http_conn_take_body(r->conn, 0);
        if (r->announced && !r->fault)
            http_slow_note(r);
        return MHD_YES; /* to answer from here would close the connection */
    }
    if (*size)
        return take_body(r, data, size);
    if (!r->dispatched)
        return dispatch(r);
    if (r->arriving)
        return end_body(r);
    return r->response ? send_reply(r) : MHD_YES;
}

/* ---- the end -------------------------------------------------------------
 */

static void let_go(struct http_request *r)
{
    if (r->held)
        r->listen->server->active--;
    r->held = false;
}

static void forget_drain(struct http_request *r)
{
    struct http_request **at = &r->listen->drained;
    while (r->is_drained && *at != r)
        at = &(*at)->next_drained;
    if (r->is_drained)
        *at = r->next_drained;
    r->is_drained = r->wants_drain = false;
}

void http_note_drain(struct http_request *r)
{
    if (!r->wants_drain || r->is_drained)
        return;
    r->is_drained = true;
    r->next_drained = r->listen->drained;
    r->listen->drained = r;
}

/* MHD is in the middle of something when it drains, and the user's answer to
 * it may be more bytes; so it is told afterwards. */
void http_tell_drained(struct http_listen *l)
{
    while (l->drained) {
        struct http_request *r = l->drained;
        forget_drain(r);
        l->server->events->on_drain(r, l->server->user);
    }
}

static void end(struct http_request *r)
{
    struct http_server *s = r->listen->server;
    struct http_conn *c = r->conn;
    if (r->begun)
        s->events->on_end(r, s->user);
    forget_drain(r);
    buf_free(&r->body);
    buf_free(&r->stream);
    struct arena arena = r->arena;
    if (c->fd >= 0 && !c->request) {
        arena_free(&c->arena);
        arena_reset(&arena);
        c->arena = arena;
    } else {
        arena_free(&arena);
    }
    http_conn_unref(c);
}

void http_keep(struct http_request *r, struct slice *text)
{
    if (text->data)
        *text = arena_dup(&r->arena, *text);
}

/* These lie in the connection's memory up to here. */
static void keep_texts(struct http_request *r)
{
    http_keep(r, &r->method);
    http_keep(r, &r->version);
    for (unsigned i = 0; i < r->header_count; i++) {
        http_keep(r, &r->headers[i].name);
        http_keep(r, &r->headers[i].value);
    }
}

/* The user goes on with a request whose connection has gone on too. */
static void detach(struct http_request *r)
{
    struct http_server *s = r->listen->server;
    r->lost = r->broken = true;
    r->next = s->detached;
    r->prev = &s->detached;
    if (r->next)
        r->next->prev = &r->next;
    s->detached = r;
    keep_texts(r);
    s->events->on_lost(r, s->user);
    http_note_drain(r);
    if (r->is_drained)
        uv_timer_start(&r->listen->timer, http_on_timer, 0, 0);
}

/* Left while the body was coming: nobody watched, and somebody may read. */
static void leave_early(struct http_request *r)
{
    struct http_server *s = r->listen->server;
    r->arriving = false;
    s->events->on_body(r, s->user);
}

void http_on_completed(void *listen, struct MHD_Connection *mhd, void **request,
                       enum MHD_RequestTerminationCode code)
{
    (void)mhd;
    (void)code;
    (void)listen;
    struct http_request *r = *request;
    if (!r)
        return;
    *request = NULL;
    r->listen->moved = true;
    http_linger_end(r);
    http_slow_forget(r);
    r->mhd = NULL;
    r->conn->request = NULL;
    http_conn_enter(r->conn, HTTP_IDLE, r->keepalive_msec);
    if (r->response)
        MHD_destroy_response(r->response);
    r->response = NULL;
    if (!r->held) {
        end(r);
        return;
    }
    detach(r);
    if (r->arriving)
        leave_early(r);
}

void http_finish(struct http_request *r)
{
    let_go(r);
    if (r->mhd)
        return;
    *r->prev = r->next;
    if (r->next)
        r->next->prev = r->prev;
    end(r);
}

/* The server is being freed. */
void http_abandon(struct http_request *r)
{
    struct http_server *s = r->listen->server;
    r->broken = true;
    s->events->on_gone(r, s->user);
    http_resume(r);
    http_finish(r);
}

void http_abandon_detached(struct http_server *s)
{
    while (s->detached) {
        struct http_request *r = s->detached;
        r->conn->listen = r->listen;
        s->events->on_gone(r, s->user);
        http_finish(r);
    }
}

void http_detain(struct http_request *r)
{
    if (r->arriving && r->mhd)
        http_suspend(r);
    r->arriving = false;
}

void http_drop(struct http_request *r)
{
    r->broken = true;
    if (r->mhd) {
        shutdown(r->conn->fd, SHUT_RDWR);
        http_resume(r);
    }
    http_finish(r);
}
