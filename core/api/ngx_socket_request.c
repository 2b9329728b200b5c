/* ngx_socket_request.c -- ngx.req.socket: the client's own connection.
 *
 * Not raw, it gives the bytes of the body.  Raw, the script reads and writes
 * the connection itself: what libmicrohttpd has read as the body comes first,
 * and the connection ends with the request. */
#include "api/ngx_socket.h"
#include "api/request.h"
#include <unistd.h>

static const char body_class[] = "__body_cosocket_mt";
static const char raw_class[] = "__raw_cosocket_mt";

/* Why the body cannot be read so, or NULL. */
static const char *check_body(const struct request *r)
{
    if (request_header(r, SLICE("Transfer-Encoding")).data)
        return "chunked request bodies not supported yet";
    if (r->body_read)
        return "request body already exists";
    if (!r->http->body.len)
        return "no body";
    return r->body.data ? NULL : "request body discarded";
}

static const char *check_raw(const struct request *r)
{
    if (r->raw)
        return "duplicate call";
    if (r->headers_sent && slice_eq(r->http->version, SLICE("HTTP/1.0")))
        return "http 1.0 buffering";
    return r->headers_sent ? "pending data to write" : NULL;
}

static enum err open_stream(struct stream **out, struct request *r, bool raw)
{
    uv_loop_t *loop = r->api->vm->loop;
    int fd = raw ? dup(http_conn_fd(r->http)) : -1;
    enum err e =
        fd < 0 ? stream_closed(out, loop) : stream_adopt(out, loop, fd);
    return e == OK && !r->body_read ? stream_feed(*out, r->body) : e;
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
    if (open_stream(&k->stream, r, raw) != OK)
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
