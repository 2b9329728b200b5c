/* output.c -- an answer on its way: headers fixed, filters run, bytes sent.
 *
 * What scripts output collects in r->output.  It leaves in one piece when the
 * request ends, which is the cheap way, or piece by piece: where a script
 * flushes, or waits while there is much of it. */
#include "api/conditional.h"
#include "base/version.h"
#include <stdlib.h>
#include <unistd.h>

enum { READ_STEP = 65536 };

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

static const struct slice type = { "Content-Type", 12 };

void output_type(struct request *r)
{
    const struct conf_location *at = r->location;
    bool by_code = at->code[CONF_CONTENT] && r->status == 200;
    if ((r->output.len || r->fd > 0 || r->headers_sent || by_code) &&
        at->lua_use_default_type && !r->type_set &&
        !request_out_header(r, type).data)
        request_add_constant(r, type, at->default_type);
}

static void add_standard_headers(struct request *r)
{
    output_type(r);
    if (!request_out_header(r, SLICE("Server")).data)
        request_add_constant(r, SLICE("Server"),
                             r->location->server_tokens == CONF_TOKENS_OFF
                                 ? SLICE("latchkey")
                                 : SLICE("latchkey/" VERSION));
    add_configured_headers(r);
}

/* ---- filters ------------------------------------------------------------ */

/* ngx.exit in a header filter. */
static void overrule(struct request *r, int status)
{
    r->overruled = true;
    r->status = status;
    buf_clear(&r->output);
    if (r->fd > 0)
        close(r->fd);
    r->fd = 0;
    if (status >= 300)
        errorpage_fill(r, status);
}

static bool filter_head(struct request *r, const struct conf_code *code)
{
    r->head_filtered = true;
    output_type(r);
    r->headers_sent = false;
    bool ok = phase_call(r, CONF_HEADER_FILTER, code, 0);
    if (!r->leaving)
        return ok;
    int status = r->exit_status;
    r->exit_status = REQUEST_NO_EXIT;
    if (status >= 200)
        overrule(r, status);
    return status >= 0 && !request_drops(status);
}

/* The client's conditions may leave nothing of an answer to send; false: the
 * rest of it is not wanted. */
static bool apply_conditions(struct request *r)
{
    int status = conditional_status(r);
    if (!status)
        return true;
    r->status = status;
    request_set_header(r, SLICE("Content-Length"), SLICE_NONE, true);
    errorpage_fill(r, status);
    r->eof = status >= 400;
    return !r->eof;
}

bool output_begin(struct request *r)
{
    const struct conf_code *code = r->location->code[CONF_HEADER_FILTER];
    if (!r->status)
        r->status = r->error_status ? r->error_status : 200;
    bool wanted = r->status != 200 || !r->out_count || r->parent ||
                  r->headers_sent || apply_conditions(r);
    if (code && !r->head_filtered && !filter_head(r, code))
        r->failed = true;
    r->headers_sent = true;
    return !r->failed && !r->overruled && wanted;
}

bool output_filter(struct request *r, bool last)
{
    const struct conf_code *code = r->location->code[CONF_BODY_FILTER];
    if (!code || r->failed)
        return !r->failed;
    struct request_chunk chunk = { &r->output, r->filtered, last };
    r->chunk = &chunk;
    r->failed = !phase_call(r, CONF_BODY_FILTER, code, 0);
    r->chunk = NULL;
    r->filtered = r->output.len;
    if (chunk.last && !last)
        r->eof = true;
    if (last && !chunk.last && r->parent)
        r->failed = true; /* whoever captures it still waits for its end */
    return !r->failed;
}

/* ---- sending ------------------------------------------------------------ */

static bool may_have_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static bool is_head(const struct request *r)
{
    return slice_eq(r->http->method, SLICE("HEAD"));
}

bool output_buffers(const struct request *r)
{
    return r->location->lua_http10_buffering &&
           slice_eq(r->http->version, SLICE("HTTP/1.0"));
}

static struct http_reply make_reply(struct request *r)
{
    const struct conf_location *at = r->location;
    add_standard_headers(r);
    struct slice length = request_out_header(r, SLICE("Content-Length"));
    bool told = length.data != NULL;
    uint64_t bytes = told ? strtoull(length.data, NULL, 10) : 0;
    request_set_header(r, SLICE("Content-Length"), SLICE_NONE, true);
    struct slice connection = request_out_header(r, SLICE("Connection"));
    bool close = slice_eq_nocase(connection, SLICE("close"));
    r->http->keepalive_msec = close ? 0 : at->keepalive_timeout;
    r->http->keepalive_requests = (unsigned)at->keepalive_requests;
    request_set_header(r, SLICE("Connection"), SLICE_NONE, true);
    return (struct http_reply){ .status = r->status,
                                .headers = r->out,
                                .count = r->out_count,
                                .fd = r->fd,
                                .fd_size = r->fd_size,
                                .length = bytes,
                                .chunked = !told };
}

static void take_output(struct request *r, struct buf *to)
{
    *to = r->output;
    r->output = (struct buf){ 0 };
    r->filtered = 0;
}

static void send_part(struct request *r)
{
    if (r->http->streaming) {
        struct buf bytes;
        take_output(r, &bytes);
        http_write(r->http, &bytes);
        return;
    }
    struct http_reply reply = make_reply(r);
    take_output(r, &reply.body);
    http_start(r->http, &reply);
}

static bool may_stream(const struct request *r)
{
    return r->headers_sent && !r->parent && !r->replied && !r->failed &&
           !is_head(r) && !output_buffers(r) && may_have_body(r->status);
}

void output_push(struct request *r)
{
    if (r->output.len >= r->location->postpone_output && may_stream(r))
        send_part(r);
}

void output_flush(struct request *r)
{
    if (may_stream(r) && (r->output.len || !r->http->streaming))
        send_part(r);
}

/* A file that a filter or a captured subrequest wants to see. */
static void read_file(struct request *r)
{
    uint64_t left = r->fd_size;
    while (left && buf_ok(&r->output)) {
        char *to = buf_reserve(&r->output, READ_STEP);
        ssize_t n = to ? read(r->fd, to, READ_STEP) : -1;
        if (n <= 0)
            break;
        r->output.len += (size_t)n;
        left -= (uint64_t)n < left ? (uint64_t)n : left;
    }
    close(r->fd);
    r->fd = 0;
    request_set_header(r, SLICE("Content-Length"), SLICE("0"), true);
}

static void end_stream(struct request *r, bool more)
{
    if (r->output.len)
        send_part(r);
    http_last(r->http);
    r->finished = !more;
    if (!more)
        http_finish(r->http);
}

static void reply_whole(struct request *r, bool more)
{
    struct http_reply reply = make_reply(r);
    r->headers_sent = true;
    reply.more = more;
    if (may_have_body(r->status))
        take_output(r, &reply.body);
    if (reply.length && reply.length < reply.body.len)
        reply.body.len = reply.length; /* as the script said */
    r->fd = 0;
    r->finished = !more;
    http_reply(r->http, &reply);
}

void output_end(struct request *r, bool more)
{
    bool filters = r->location->code[CONF_BODY_FILTER];
    bool begun = r->headers_sent;
    output_begin(r);
    bool ok = !r->failed;
    r->headers_sent = begun || more;
    if (ok && r->fd > 0 && (filters || r->parent))
        read_file(r);
    if (filters)
        ok = output_filter(r, true);
    r->replied = true;
    if (r->parent) {
        r->finished = !more;
        if (!more)
            capture_done(r);
    } else if (!ok) {
        r->finished = true;
        http_drop(r->http);
    } else if (r->http->streaming) {
        end_stream(r, more);
    } else {
        reply_whole(r, more);
    }
}
