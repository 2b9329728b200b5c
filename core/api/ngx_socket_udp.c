/* ngx_socket_udp.c -- ngx.socket.udp: datagrams, also of unix sockets. */
#include "api/ngx_socket.h"
#include <errno.h>
#include <stdio.h>
#include <sys/un.h>

enum { DATAGRAM_MAX = 8192 };

static const char class[] = "__udp_cosocket_mt";

/* ---- setpeername
 * ------------------------------------------------------------- */

/* A unix socket needs a name of its own to be answered: the system picks one
 * ("autobind"). */
static enum err bind_unix(struct stream *s)
{
    struct address any = { .len = sizeof(sa_family_t) };
    any.sa.ss_family = AF_UNIX;
    return stream_bind(s, &any);
}

static int dial(struct cosocket *k, lua_State *L, struct task *t)
{
    enum err e =
        stream_open(&k->stream, t->vm->loop, k->to.sa.ss_family, SOCK_DGRAM);
    if (e != OK)
        return vm_fail(L, strerror(errno));
    if (k->to.sa.ss_family == AF_UNIX)
        e = bind_unix(k->stream);
    if (e == OK)
        e = stream_connect(k->stream, &k->to);
    if (e != OK) {
        ngx_socket_log(t, LOG_ERR, "connect() failed (%d: %s)",
                       k->stream->error, strerror(k->stream->error));
        int n = ngx_socket_fail(L, k, e);
        ngx_socket_close(k);
        return n;
    }
    lua_pushinteger(L, 1);
    return 1;
}

static void on_resolved(void *user, int code, const struct address *found)
{
    struct cosocket *k = user;
    struct task *t = k->connector;
    int n = 2;
    k->query = NULL;
    if (code) {
        lua_pushnil(t->co);
        lua_pushfstring(t->co, "%s could not be resolved (%d: %s)", k->host,
                        code, resolver_reason(code));
    } else {
        k->to = *found;
        address_set_port(&k->to, k->port);
        n = dial(k, t->co, t);
    }
    ngx_socket_resume(k, t, n);
}

static bool is_busy(const struct cosocket *k)
{
    return ngx_socket_busy(k, SOCKET_CONNECTS | SOCKET_READS) != NULL;
}

/* udp:setpeername(host, port), udp:setpeername("unix:/path") */
static int f_setpeername(lua_State *L)
{
    int n = lua_gettop(L);
    if (n != 2 && n != 3)
        return luaL_error(L,
                          "ngx.socket.udp setpeername: expecting 2 or 3 "
                          "arguments (including the object), but seen %d",
                          n);
    const void *owner = ngx_socket_owner(L);
    struct cosocket *k = ngx_socket_at(L, 1);
    luaL_checkstring(L, 2);
    lua_Integer port = n == 3 ? luaL_checkinteger(L, 3) : 0;
    if (port < 0 || port > 65535)
        return vm_fail(L, lua_pushfstring(L, "bad port number: %d", (int)port));
    if (!k || (k->owner && k->owner != owner))
        return luaL_error(L, "bad request");
    if (is_busy(k))
        return vm_fail(L, "socket busy");
    struct task *t = task_check(L);
    ngx_socket_close(k);
    ngx_socket_own(L, k);
    k->host = ngx_socket_text(L, 2, SOCKET_HOST);
    k->port = (unsigned)port;
    int results = ngx_socket_resolve(k, L, on_resolved);
    if (results == 0)
        return dial(k, L, t);
    if (results != SOCKET_WAITS)
        return results;
    k->connector = t;
    return task_wait(t, ngx_socket_cancel, k);
}

/* ---- datagrams
 * ---------------------------------------------------------------- */

/* The socket, or NULL and results. */
static struct cosocket *check(lua_State *L, const char *what)
{
    const void *owner = ngx_socket_owner(L);
    struct cosocket *k = ngx_socket_at(L, 1);
    if (!k || !k->stream) {
        if (what)
            ngx_socket_refuse_closed(L, k, what);
        else
            vm_fail(L, "closed");
        return NULL;
    }
    if (k->owner != owner)
        luaL_error(L, "bad request");
    if (!is_busy(k))
        return k;
    vm_fail(L, "socket busy");
    return NULL;
}

static int fail(struct cosocket *k, lua_State *L, struct task *t,
                const char *call)
{
    k->stream->error = errno;
    if (k->conf->log_errors)
        ngx_socket_log(t, LOG_ERR, "%s() failed (%d: %s)", call, errno,
                       strerror(errno));
    return ngx_socket_fail(L, k, ERR_IO);
}

/* udp:send(data) */
static int f_send(lua_State *L)
{
    struct buf data = { 0 };
    if (lua_gettop(L) != 2)
        return luaL_error(L,
                          "expecting 2 arguments (including the object), but "
                          "got %d",
                          lua_gettop(L));
    struct cosocket *k = check(L, "send");
    if (!k)
        return 2;
    ngx_socket_collect(L, 2, &data);
    ssize_t n =
        send(k->stream->fd, data.data ? data.data : "", data.len, MSG_NOSIGNAL);
    size_t len = data.len;
    buf_free(&data);
    if (n < 0)
        return fail(k, L, task_running(L), "send");
    if ((size_t)n < len)
        return vm_fail(L, "partial write");
    lua_pushinteger(L, 1);
    return 1;
}

/* Results, or SOCKET_WAITS. */
static int try_receive(struct cosocket *k, lua_State *L, struct task *t)
{
    char data[DATAGRAM_MAX];
    ssize_t n = recv(k->stream->fd, data, k->scan.size, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return SOCKET_WAITS;
    if (n < 0)
        return fail(k, L, t, "recv");
    lua_pushlstring(L, data, (size_t)n);
    return 1;
}

static void on_readable(void *user)
{
    struct cosocket *k = user;
    struct task *t = k->reader;
    int n = try_receive(k, t->co, t);
    if (n == SOCKET_WAITS)
        stream_wait(k->stream, STREAM_IN, on_readable, k);
    else
        ngx_socket_resume(k, t, n);
}

static void on_late(uv_timer_t *timer)
{
    struct task *t = timer->data;
    struct cosocket *k = t->op;
    if (k->stream && k->conf->log_errors)
        ngx_socket_log(t, LOG_ERR, "lua udp socket read timed out");
    if (k->stream)
        stream_unwait(k->stream, STREAM_IN);
    enum err why = k->stream ? ERR_TIMEOUT : ERR_CLOSED;
    ngx_socket_resume(k, t, ngx_socket_fail(t->co, k, why));
}

/* udp:receive(size = 8192): one datagram, cut where it is longer. */
static int f_receive(lua_State *L)
{
    int n = lua_gettop(L);
    if (n != 1 && n != 2)
        return luaL_error(L,
                          "expecting 1 or 2 arguments (including the object), "
                          "but got %d",
                          n);
    struct cosocket *k = check(L, "receive");
    if (!k)
        return 2;
    lua_Integer size = n == 2 ? luaL_checkinteger(L, 2) : DATAGRAM_MAX;
    k->scan.size =
        size > 0 && size < DATAGRAM_MAX ? (size_t)size : DATAGRAM_MAX;
    uint64_t msec = ngx_socket_limit(k->read_msec, k->conf->read_timeout);
    struct task *t = task_check(L);
    ngx_socket_debug(t, "lua udp socket read timeout: %llu",
                     (unsigned long long)msec);
    ngx_socket_debug(t, "lua udp socket receive buffer size: %zu",
                     k->scan.size);
    n = try_receive(k, L, t);
    if (n != SOCKET_WAITS)
        return n;
    k->reader = t;
    stream_wait(k->stream, STREAM_IN, on_readable, k);
    ngx_socket_deadline(t, msec, on_late);
    return task_wait(t, ngx_socket_cancel, k);
}

static int f_close(lua_State *L)
{
    if (lua_gettop(L) != 1)
        return luaL_error(L,
                          "expecting 1 argument (including the object) but "
                          "seen %d",
                          lua_gettop(L));
    struct cosocket *k = check(L, NULL);
    if (!k)
        return 2;
    ngx_socket_close(k);
    lua_pushinteger(L, 1);
    return 1;
}

int ngx_socket_udp(lua_State *L)
{
    if (lua_gettop(L))
        return luaL_error(L, "expecting zero arguments, but got %d",
                          lua_gettop(L));
    ngx_socket_owner(L);
    lua_createtable(L, 1, 0);
    luaL_getmetatable(L, class);
    lua_setmetatable(L, -2);
    ngx_socket_new(L);
    lua_rawseti(L, -2, 1);
    return 1;
}

void ngx_socket_udp_open(struct vm *vm)
{
    static const luaL_Reg methods[] = { { "setpeername", f_setpeername },
                                        { "send", f_send },
                                        { "receive", f_receive },
                                        { "settimeout", ngx_socket_settimeout },
                                        { "close", f_close },
                                        { NULL, NULL } };
    vm_class(vm, class, methods);
}
