/* http_answer.c -- replies, whole or in parts.
 *
 * A whole one has a Content-Length: libmicrohttpd sends that with one system
 * call, and a chunked one, whose head, chunks and end go one by one, with
 * three.  In parts, libmicrohttpd asks for bytes when it has sent the last
 * ones. Where there are none yet the connection is suspended until some come.
 */
#include "net/http_private.h"
#include <stdlib.h>
#include <unistd.h>

enum { FILE_BLOCK = 65536 };

struct file {
    int fd;
    struct http_listen *listen; /* outlives every answer */
};

static ssize_t on_read(void *user, uint64_t at, char *out, size_t max)
{
    struct file *f = user;
    ssize_t n = pread(f->fd, out, max, (off_t)at);
    f->listen->moved = true;
    return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void on_read_end(void *user)
{
    struct file *f = user;
    close(f->fd);
    free(f);
}

/* libmicrohttpd's own would read 4 KB at a time. */
static struct MHD_Response *make_file(const struct http_request *r,
                                      const struct http_reply *reply)
{
    struct MHD_Response *response = NULL;
    struct file *f = r->broken ? NULL : malloc(sizeof *f);
    if (f) {
        *f = (struct file){ reply->fd, r->listen };
        response = MHD_create_response_from_callback(reply->fd_size, FILE_BLOCK,
                                                     on_read, f, on_read_end);
    }
    if (!response) {
        close(reply->fd);
        free(f);
    }
    return response;
}

/* NULL: there is nobody to answer, or no memory. */
static struct MHD_Response *make_response(const struct http_request *r,
                                          struct http_reply *reply)
{
    if (reply->fd > 0)
        return make_file(r, reply);
    if (r->broken)
        return NULL;
    size_t len = reply->body.len;
    return MHD_create_response_from_buffer_with_free_callback(
        len, buf_take(&reply->body), free);
}

static bool must_close(const struct http_request *r)
{
    return http_is_unclear(r) || r->listen->server->draining ||
           !r->keepalive_msec || r->conn->requests >= r->keepalive_requests;
}

/* False: there is nothing to be sent on. */
static bool queue(struct http_request *r, const struct http_reply *reply,
                  struct MHD_Response *response)
{
    if (!response && !r->broken)
        http_drop(r);
    if (!response)
        return false;
    for (unsigned i = 0; i < reply->count; i++)
        MHD_add_response_header(response, reply->headers[i].name.data,
                                reply->headers[i].value.data);
    if (must_close(r))
        MHD_add_response_header(response, "Connection", "close");
    r->status = reply->status;
    r->response = response;
    http_resume(r);
    return true;
}

void http_reply(struct http_request *r, struct http_reply *reply)
{
    r->sent = reply->fd > 0 ? reply->fd_size : reply->body.len;
    bool more = reply->more;
    if (r->arriving && !r->broken && http_slow_reply(r, reply)) {
        buf_free(&reply->body);
        if (!more)
            http_finish(r);
        return;
    }
    bool queued = queue(r, reply, make_response(r, reply));
    buf_free(&reply->body);
    if (!more && (queued || r->held))
        http_finish(r);
}

/* MHD wants the next bytes, and all before them are with the system. */
static ssize_t on_pull(void *user, uint64_t at, char *out, size_t max)
{
    (void)at;
    struct http_request *r = user;
    size_t left = r->stream.len - r->taken;
    if (r->broken || !buf_ok(&r->stream))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (!left && r->last)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (!left) {
        http_note_drain(r);
        r->parked = true;
        http_suspend(r);
        return 0;
    }
    size_t n = left < max ? left : max;
    memcpy(out, r->stream.data + r->taken, n);
    r->taken += n;
    if (r->taken == r->stream.len) {
        buf_clear(&r->stream);
        r->taken = 0;
    }
    http_conn_enter(r->conn, HTTP_SENDING, r->listen->limits.send_msec);
    return (ssize_t)n;
}

void http_start(struct http_request *r, struct http_reply *reply)
{
    struct MHD_Response *response = NULL;
    r->streaming = true;
    r->sent = reply->body.len;
    r->stream = reply->body;
    reply->body = (struct buf){ 0 };
    if (!r->broken)
        response = MHD_create_response_from_callback(
            reply->chunked ? MHD_SIZE_UNKNOWN : reply->length, 16384, on_pull,
            r, NULL);
    queue(r, reply, response);
}

void http_write(struct http_request *r, struct buf *bytes)
{
    r->sent += bytes->len;
    if (!r->broken)
        buf_add(&r->stream, buf_slice(bytes));
    buf_free(bytes);
    if (r->parked)
        http_resume(r);
}

void http_last(struct http_request *r)
{
    r->last = true;
    if (r->parked)
        http_resume(r);
}

bool http_flush(struct http_request *r)
{
    if (r->lost || (r->parked && !r->stream.len))
        return false;
    return r->wants_drain = true;
}

void http_drain_again(struct http_request *r)
{
    r->wants_drain = true;
    http_note_drain(r);
}
