/* request_answer.c -- a request's answer: headers, body, the moment it goes. */
#include "api/request.h"
#include "base/version.h"

enum { STATUS_DROP = 444, HTTP_OK = 200 };

static void remove_header(struct request *r, struct slice name)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < r->out_count; i++)
        if (!slice_eq_nocase(r->out[i].name, name))
            r->out[kept++] = r->out[i];
    r->out_count = kept;
}

static bool more_room(struct request *r)
{
    unsigned cap = r->out_cap ? r->out_cap * 2 : 8;
    struct http_header *out = arena_alloc(&r->http->arena, cap * sizeof *out);
    if (!out)
        return false;
    if (r->out_count)
        memcpy(out, r->out, r->out_count * sizeof *out);
    r->out = out;
    r->out_cap = cap;
    return true;
}

void request_set_header(struct request *r, struct slice name,
                        struct slice value, bool replace)
{
    if (replace)
        remove_header(r, name);
    if (!value.data || (r->out_count == r->out_cap && !more_room(r)))
        return;
    r->out[r->out_count++] =
        (struct http_header){ arena_dup(&r->http->arena, name),
                              arena_dup(&r->http->arena, value) };
}

void request_set_location(struct request *r, struct slice to)
{
    struct buf url = { 0 };
    if (to.len && to.data[0] == '/') {
        struct buf port = { 0 };
        buf_add(&url, SLICE("http://"));
        variable_get(r, SLICE("host"), &url);
        variable_get(r, SLICE("server_port"), &port);
        if (port.len && !slice_eq(buf_slice(&port), SLICE("80")))
            buf_addf(&url, ":%.*s", SLICE_FMT(buf_slice(&port)));
        buf_free(&port);
    }
    buf_add(&url, to);
    request_set_header(r, SLICE("Location"), buf_slice(&url), true);
    buf_free(&url);
}

struct slice request_out_header(const struct request *r, struct slice name)
{
    for (unsigned i = 0; i < r->out_count; i++)
        if (slice_eq_nocase(r->out[i].name, name))
            return r->out[i].value;
    return SLICE_NONE;
}

/* add_header without `always` is for these (ngx_http_headers_module). */
static bool takes_added_headers(int status)
{
    return status == 200 || status == 201 || status == 204 || status == 206 ||
           (status >= 301 && status <= 304) || status == 307 || status == 308;
}

static void add_configured_headers(struct request *r)
{
    const struct conf_location *at = r->location;
    for (unsigned i = 0; i < at->nheaders; i++) {
        const struct conf_header *h = &at->headers[i];
        struct buf value = { 0 };
        if (!h->always && !takes_added_headers(r->status))
            continue;
        variable_render(r, &h->value, &value);
        if (value.len)
            request_set_header(r, h->name, buf_slice(&value), false);
        buf_free(&value);
    }
}

static void add_standard_headers(struct request *r)
{
    static const struct slice type = { "Content-Type", 12 };
    bool has_body = r->output.len || r->fd > 0;
    if (has_body && !request_out_header(r, type).data)
        request_set_header(r, type, r->location->default_type, false);
    if (!request_out_header(r, SLICE("Server")).data)
        request_set_header(r, SLICE("Server"),
                           r->location->server_tokens == CONF_TOKENS_OFF
                               ? SLICE("latchkey")
                               : SLICE("latchkey/" VERSION),
                           false);
    add_configured_headers(r);
}

static bool may_have_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void send_reply(struct request *r)
{
    const struct conf_location *at = r->location;
    add_standard_headers(r);
    bool length_told =
        request_out_header(r, SLICE("Content-Length")).data != NULL;
    remove_header(r, SLICE("Content-Length")); /* counted anew below us */
    struct slice connection = request_out_header(r, SLICE("Connection"));
    bool close = slice_eq_nocase(connection, SLICE("close"));
    r->http->keepalive_msec = close ? 0 : at->keepalive_timeout;
    r->http->keepalive_requests = (unsigned)at->keepalive_requests;
    remove_header(r, SLICE("Connection"));
    struct http_reply reply = { .status = r->status,
                                .headers = r->out,
                                .count = r->out_count,
                                .fd = r->fd,
                                .fd_size = r->fd_size,
                                .chunked = !length_told && r->headers_sent &&
                                           may_have_body(r->status) };
    if (may_have_body(r->status))
        reply.body = r->output;
    else
        buf_free(&r->output);
    r->output = (struct buf){ 0 };
    r->fd = 0;
    r->replied = true;
    http_reply(r->http, &reply);
}

void request_finish(struct request *r, int status)
{
    if (r->replied || r->gone)
        return;
    if (status == STATUS_DROP) {
        r->replied = true;
        http_drop(r->http);
        return;
    }
    bool empty = !r->headers_sent && r->fd <= 0;
    if (empty && status >= 300) {
        r->status = status;
        errorpage_fill(r, status);
    } else if (!r->status) {
        r->status = status >= HTTP_OK ? status : HTTP_OK;
    }
    send_reply(r);
}
