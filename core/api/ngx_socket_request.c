/* ngx_socket_request.c -- ngx.req.socket: the client's own connection.
 *
 * Not raw, it gives the bytes of the body.  Raw, the script reads and writes
 * the connection itself: what libmicrohttpd has read as the body comes first,
 * and the connection ends with the request.  A head of status 101 has been kept
 * back until then, as libmicrohttpd sends none, and is written here. */
#include "api/ngx_socket.h"
#include "api/request.h"
#include <sys/socket.h>
#include <unistd.h>

enum { SWITCHING = 101 };

static const char body_class[] = "__body_cosocket_mt";
static const char raw_class[] = "__raw_cosocket_mt";

/* Why the body cannot be read so, or NULL. */
static const char *check_body(const struct request *r)
{
    if (request_header(r, SLICE("Transfer-Encoding")).data)
        return "chunked request bodies not supported yet";
    if (r->body_read)
        return "request body already exists";
    if (r->reader)
        return "request body already exists";
    if (r->http->arriving)
        return NULL;
    if (!r->http->body.len)
        return "no body";
    return r->body.data ? NULL : "request body discarded";
}

/* Of what has been output nothing is on its way any more. */
static bool is_out(const struct request *r)
{
    if (!r->headers_sent)
        return true;
    if (!r->http->streaming)
        return r->status == SWITCHING && !r->output.len;
    return r->http->parked && !r->http->stream.len && !r->output.len;
}

static const char *check_raw(const struct request *r)
{
    if (r->raw)
        return "duplicate call";
    if (http_tls(r->http))
        return "raw sockets of TLS connections are not supported";
    if (r->reader)
        return "pending request body reading in some other thread";
    if (r->headers_sent && slice_eq(r->http->version, SLICE("HTTP/1.0")))
        return "http 1.0 buffering";
    return is_out(r) ? NULL : "pending data to write";
}

static void add_head(const struct request *r, struct buf *out)
{
    bool connection = false;
    buf_addf(out, "HTTP/1.1 %d Switching Protocols\r\n", r->status);
    for (unsigned i = 0; i < r->out_count; i++) {
        const struct http_header *h = &r->out[i];
        connection |= slice_eq_nocase(h->name, SLICE("Connection"));
        buf_addf(out, "%.*s: %.*s\r\n", SLICE_FMT(h->name),
                 SLICE_FMT(h->value));
    }
    if (!connection)
        buf_add_str(out, "Connection: upgrade\r\n");
    buf_add_str(out, "\r\n");
}

/* Nothing was sent on the connection before, so there is room for it. */
static enum err send_head(const struct request *r, int fd)
{
    struct buf head = { 0 };
    add_head(r, &head);
    bool ok = buf_ok(&head) &&
              send(fd, head.data, head.len, MSG_NOSIGNAL) == (ssize_t)head.len;
    buf_free(&head);
    return ok ? OK : ERR_IO;
}

/* Moves what has come from the request to the stream, which may run the
 * script on, to the request's end. */
static void on_body(struct body_reader *self, struct request *r)
{
    struct cosocket *k =
        (struct cosocket *)((char *)self - offsetof(struct cosocket, reading));
    struct buf come = r->http->body;
    bool last = !r->http->arriving;
    r->http->body = (struct buf){ 0 };
    if (last) {
        r->reader = NULL;
        k->client = NULL;
    }
    if (r->http->lost)
        stream_cut(k->stream);
    else
        stream_feed(k->stream, buf_slice(&come), last);
    buf_free(&come);
}

static enum err open_stream(struct cosocket *k, struct request *r, bool raw)
{
    uv_loop_t *loop = r->api->vm->loop;
    struct slice come = r->body_read ? SLICE_NONE : buf_slice(&r->http->body);
    int fd = raw ? dup(http_conn_fd(r->http)) : -1;
    if (raw)
        http_detain(r->http);
    bool held = raw && r->headers_sent && !r->http->streaming;
    enum err e = held ? send_head(r, fd) : OK;
    if (e != OK) {
        close(fd);
        return e;
    }
    e = raw ? stream_adopt(&k->stream, loop, fd) : stream_fed(&k->stream, loop);
    bool last = !r->http->arriving;
    if (e == OK)
        e = stream_feed(k->stream, come, last);
    if (e != OK || last)
        return e;
    buf_clear(&r->http->body);
    k->client = r;
    k->reading.on_body = on_body;
    r->reader = &k->reading;
    return OK;
}

static struct cosocket *push_socket(lua_State *L, const char *class)
{
    lua_createtable(L, 1, 0);
    luaL_getmetatable(L, class);
    lua_setmetatable(L, -2);
    struct cosocket *k = ngx_socket_new(L);
    lua_rawseti(L, -2, 1);
    return k;
}

/* ngx.req.socket(raw = false) */
int ngx_socket_request(lua_State *L)
{
    if (lua_gettop(L) > 1)
        return luaL_error(L, "expecting zero arguments, but got %d",
                          lua_gettop(L));
    bool raw = lua_toboolean(L, 1);
    struct request *r = api_request_in(L, REQUEST_MAY_WAIT);
    if (r->parent)
        return luaL_error(L,
                          "attempt to read the request body in a subrequest");
    const char *refused = raw ? check_raw(r) : check_body(r);
    if (refused)
        return vm_fail(L, refused);
    struct cosocket *k = push_socket(L, raw ? raw_class : body_class);
    ngx_socket_own(L, k);
    if (open_stream(k, r, raw) != OK)
        return vm_fail(L, "no memory");
    r->body_read = true;
    r->body = SLICE_NONE;
    r->raw = raw;
    return 1;
}

void ngx_socket_request_open(struct vm *vm)
{
    static const luaL_Reg reading[] = {
        { "receive", ngx_socket_receive },
        { "receiveany", ngx_socket_receiveany },
        { "receiveuntil", ngx_socket_receiveuntil },
        { "settimeout", ngx_socket_settimeout },
        { "settimeouts", ngx_socket_settimeouts },
        { NULL, NULL }
    };
    static const luaL_Reg both[] = { { "receive", ngx_socket_receive },
                                     { "receiveany", ngx_socket_receiveany },
                                     { "receiveuntil",
                                       ngx_socket_receiveuntil },
                                     { "settimeout", ngx_socket_settimeout },
                                     { "settimeouts", ngx_socket_settimeouts },
                                     { "send", ngx_socket_send },
                                     { NULL, NULL } };
    vm_class(vm, body_class, reading);
    vm_class(vm, raw_class, both);
}
