/* ngx_socket.c -- ngx.socket: what all of a socket's files share, and its
 * small methods. */
#include "api/ngx_socket.h"
#include "api/ngx_log.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>

static const char magic;
static const char class[] = "ngx.socket"; /* of the userdata */
static const char tcp_class[] = "__tcp_cosocket_mt";

struct named_resolver {
    const struct conf_resolver *conf;
    struct resolver *resolver;
    struct named_resolver *next;
};

struct cosocket *ngx_socket_at(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    lua_rawgeti(L, index, 1);
    struct cosocket *k = lua_touserdata(L, -1);
    bool ours = k && lua_objlen(L, -1) == sizeof *k && k->magic == &magic;
    lua_pop(L, 1);
    return ours ? k : NULL;
}

const char *ngx_socket_text(lua_State *L, int index, int key)
{
    lua_pushvalue(L, index);
    lua_rawseti(L, 1, key);
    return lua_tostring(L, index);
}

const void *ngx_socket_owner(lua_State *L)
{
    const struct vm *vm = vm_of(L);
    if (!vm->running || vm->phase) {
        if (!vm->phase || !strcmp(vm->phase, "init_by_lua*"))
            luaL_error(L, "no request found");
        luaL_error(L, "API disabled in the context of %s", vm->phase);
    }
    struct task *root = task_root(vm->running);
    return root->owner ? root->owner : root;
}

const char *ngx_socket_busy(const struct cosocket *k, unsigned uses)
{
    if ((uses & SOCKET_CONNECTS) && k->connector)
        return "socket busy connecting";
    if ((uses & SOCKET_READS) && k->reader)
        return "socket busy reading";
    if ((uses & SOCKET_WRITES) && k->writer)
        return "socket busy writing";
    return NULL;
}

bool ngx_socket_may(lua_State *L, const struct cosocket *k, const void *owner,
                    unsigned uses)
{
    if (k->owner != owner)
        luaL_error(L, "bad request");
    const char *busy = ngx_socket_busy(k, uses);
    if (busy)
        vm_fail(L, busy);
    return !busy;
}

static void on_owner_ends(struct cleanup *c)
{
    struct cosocket *k =
        (struct cosocket *)((char *)c - offsetof(struct cosocket, cleanup));
    ngx_socket_close(k);
    k->owner = NULL;
}

void ngx_socket_own(lua_State *L, struct cosocket *k)
{
    struct task *root = task_root(task_running(L));
    struct request *r = root->owner;
    k->owner = r ? (const void *)r : root;
    k->conf = api_sockets(L);
    cleanup_remove(&k->cleanup);
    k->cleanup.run = on_owner_ends;
    cleanup_add(r ? &r->cleanups : &root->cleanups, &k->cleanup);
}

struct cosocket *ngx_socket_new(lua_State *L)
{
    struct cosocket *k = lua_newuserdata(L, sizeof *k);
    *k = (struct cosocket){ .magic = &magic, .api = api_of(L) };
    luaL_getmetatable(L, class);
    lua_setmetatable(L, -2);
    return k;
}

/* Whoever waits goes on in the loop's next round, and finds it closed. */
static void wake(struct task *t)
{
    if (t)
        uv_timer_start(&t->timer, t->timer.timer_cb, 0, 0);
}

void ngx_socket_close(struct cosocket *k)
{
    struct stream_pool *pool = k->pool;
    if (k->query)
        resolver_cancel(k->query);
    if (k->queued)
        stream_pool_withdraw(&k->turn);
    else if (pool)
        stream_pool_leave(pool);
    if (k->client)
        k->client->reader = NULL;
    stream_close(k->stream);
    k->client = NULL;
    k->stream = NULL;
    k->pool = NULL;
    k->query = NULL;
    k->queued = false;
    k->read_closed = k->write_closed = false;
    buf_free(&k->out);
    wake(k->connector);
    wake(k->reader);
    wake(k->writer);
}

void ngx_socket_deadline(struct task *t, uint64_t msec, uv_timer_cb on_late)
{
    uv_update_time(t->vm->loop);
    uv_timer_start(&t->timer, on_late, msec, 0);
}

static void stop_waiting(struct cosocket *k, struct task *t)
{
    if (k->connector == t)
        k->connector = NULL;
    if (k->reader == t)
        k->reader = NULL;
    if (k->writer == t)
        k->writer = NULL;
    uv_timer_stop(&t->timer);
}

void ngx_socket_resume(struct cosocket *k, struct task *t, int n)
{
    stop_waiting(k, t);
    task_resume(t, n);
}

void ngx_socket_cancel(struct task *t)
{
    struct cosocket *k = t->op;
    stop_waiting(k, t);
    ngx_socket_close(k);
}

void ngx_socket_close_side(struct cosocket *k, enum stream_side side)
{
    if (side == STREAM_IN)
        k->read_closed = true;
    else
        k->write_closed = true;
    if (k->read_closed && k->write_closed)
        ngx_socket_close(k);
}

int ngx_socket_fail(lua_State *L, const struct cosocket *k, enum err e)
{
    char reason[128];
    switch (e) {
    case ERR_TIMEOUT:
        return vm_fail(L, "timeout");
    case ERR_CLOSED:
        return vm_fail(L, "closed");
    case ERR_CANCELED:
        return vm_fail(L, "client aborted");
    case ERR_NOMEM:
        return vm_fail(L, "no memory");
    default:
        return vm_fail(L, k->stream
                              ? stream_reason(k->stream, reason, sizeof reason)
                              : "error");
    }
}

void ngx_socket_log(const struct task *t, enum log_level level,
                    const char *format, ...)
{
    struct buf text = { 0 };
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    buf_add_str(&text, line);
    ngx_log_write(t ? task_root((struct task *)(uintptr_t)t)->owner : NULL,
                  t ? t->context : "", level, &text);
    buf_free(&text);
}

int ngx_socket_refuse_closed(lua_State *L, const struct cosocket *k,
                             const char *what)
{
    const struct conf_sockets *conf = k && k->conf ? k->conf : api_sockets(L);
    if (conf->log_errors)
        ngx_socket_log(task_running(L), LOG_ERR,
                       "attempt to %s data on a closed socket: u:%p, c:%p",
                       what, (const void *)k, (void *)NULL);
    return vm_fail(L, "closed");
}

struct resolver *ngx_socket_resolver(const struct cosocket *k)
{
    struct ngx_sockets *all = k->api->sockets;
    struct named_resolver *n = all->resolvers;
    while (n && n->conf != k->conf->resolver)
        n = n->next;
    if (n)
        return n->resolver;
    n = calloc(1, sizeof *n);
    if (!n || resolver_new(&n->resolver, k->api->vm->loop,
                           k->conf->resolver->servers.data,
                           k->conf->resolver->ipv6) != OK) {
        free(n);
        return NULL;
    }
    n->conf = k->conf->resolver;
    n->next = all->resolvers;
    all->resolvers = n;
    return n->resolver;
}

/* ---- small methods ------------------------------------------------------- */

static int f_tcp(lua_State *L)
{
    if (lua_gettop(L))
        return luaL_error(L, "expecting zero arguments, but got %d",
                          lua_gettop(L));
    ngx_socket_owner(L);
    lua_createtable(L, SOCKET_HOST, 0);
    luaL_getmetatable(L, tcp_class);
    lua_setmetatable(L, -2);
    ngx_socket_new(L);
    lua_rawseti(L, -2, 1);
    return 1;
}

/* ngx.socket.connect(...): a new socket, connected. */
static const char connect_source[] = "local tcp = ...\n"
                                     "return function(...)\n"
                                     "  local sock = tcp()\n"
                                     "  local ok, err = sock:connect(...)\n"
                                     "  if ok then return sock end\n"
                                     "  return nil, err\n"
                                     "end\n";

static int f_close(lua_State *L)
{
    if (lua_gettop(L) != 1)
        return luaL_error(L,
                          "expecting 1 argument (including the object) but "
                          "seen %d",
                          lua_gettop(L));
    const void *owner = ngx_socket_owner(L);
    struct cosocket *k = ngx_socket_at(L, 1);
    if (!k || !k->stream)
        return vm_fail(L, "closed");
    if (!ngx_socket_may(L, k, owner, SOCKET_ALL))
        return 2;
    ngx_socket_close(k);
    lua_pushinteger(L, 1);
    return 1;
}

/* Milliseconds; 0 and less stand for the configuration's. */
static uint64_t check_timeout(lua_State *L, int index)
{
    lua_Number msec = lua_tonumber(L, index);
    if (!(msec > -1 && msec < 2147483648.0))
        luaL_error(L, "bad timeout value");
    return msec > 0 ? (uint64_t)msec : 0;
}

/* sock:settimeout(msec) */
int ngx_socket_settimeout(lua_State *L)
{
    if (lua_gettop(L) != 2)
        return luaL_error(L,
                          "ngx.socket settimeout: expecting 2 arguments "
                          "(including the object) but seen %d",
                          lua_gettop(L));
    struct cosocket *k = ngx_socket_at(L, 1);
    uint64_t msec = check_timeout(L, 2);
    if (k)
        k->connect_msec = k->send_msec = k->read_msec = msec;
    return 0;
}

/* sock:settimeouts(connect, send, read) */
int ngx_socket_settimeouts(lua_State *L)
{
    if (lua_gettop(L) != 4)
        return luaL_error(L,
                          "ngx.socket settimeout: expecting 4 arguments "
                          "(including the object) but seen %d",
                          lua_gettop(L));
    struct cosocket *k = ngx_socket_at(L, 1);
    uint64_t connect = check_timeout(L, 2), send = check_timeout(L, 3);
    uint64_t read = check_timeout(L, 4);
    if (!k)
        return 0;
    k->connect_msec = connect;
    k->send_msec = send;
    k->read_msec = read;
    return 0;
}

static int f_getreusedtimes(lua_State *L)
{
    if (lua_gettop(L) != 1)
        return luaL_error(L,
                          "expecting 1 argument (including the object), but "
                          "got %d",
                          lua_gettop(L));
    struct cosocket *k = ngx_socket_at(L, 1);
    if (!k || !k->stream || (k->read_closed && k->write_closed))
        return vm_fail(L, "closed");
    lua_pushinteger(L, (lua_Integer)k->stream->reused);
    return 1;
}

static const struct option {
    const char *name;
    int level, option;
    bool flag;
} options[] = { { "keepalive", SOL_SOCKET, SO_KEEPALIVE, true },
                { "reuseaddr", SOL_SOCKET, SO_REUSEADDR, true },
                { "tcp-nodelay", IPPROTO_TCP, TCP_NODELAY, true },
                { "sndbuf", SOL_SOCKET, SO_SNDBUF, false },
                { "rcvbuf", SOL_SOCKET, SO_RCVBUF, false } };

static const struct option *find_option(lua_State *L, int index)
{
    const char *name = luaL_checkstring(L, index);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (!strcmp(options[i].name, name))
            return &options[i];
    return NULL;
}

/* Whose socket it is, or NULL after pushing nil and why; need: how many
 * arguments, in lua-resty-core's words. */
static struct cosocket *check_option_args(lua_State *L, int need)
{
    static const char *const names[] = { "option", "value" };
    struct cosocket *k = ngx_socket_at(L, 1);
    if (!k || (!k->stream && !k->owner)) {
        luaL_error(L, "socket is never created nor connected");
        return NULL;
    }
    for (int i = 0; i < need; i++)
        if (lua_isnoneornil(L, i + 2)) {
            vm_fail(
                L, lua_pushfstring(L, "missing the \"%s\" argument", names[i]));
            return NULL;
        }
    if (k->stream)
        return k;
    vm_fail(L, "closed");
    return NULL;
}

/* sock:setoption(name, value) */
static int f_setoption(lua_State *L)
{
    struct cosocket *k = check_option_args(L, 2);
    if (!k)
        return 2;
    const struct option *o = find_option(L, 2);
    if (!o)
        return vm_fail(
            L, lua_pushfstring(L, "unsupported option %s", lua_tostring(L, 2)));
    int value = o->flag && !lua_isnumber(L, 3) ? lua_toboolean(L, 3)
                                               : (int)luaL_checkinteger(L, 3);
    if (setsockopt(k->stream->fd, o->level, o->option, &value, sizeof value))
        return vm_fail(L, strerror(errno));
    lua_pushboolean(L, true);
    return 1;
}

/* sock:getoption(name) */
static int f_getoption(lua_State *L)
{
    struct cosocket *k = check_option_args(L, 1);
    if (!k)
        return 2;
    const struct option *o = find_option(L, 2);
    int value = 0;
    socklen_t len = sizeof value;
    if (!o)
        return vm_fail(
            L, lua_pushfstring(L, "unsupported option %s", lua_tostring(L, 2)));
    if (getsockopt(k->stream->fd, o->level, o->option, &value, &len))
        return vm_fail(L, strerror(errno));
    lua_pushinteger(L, o->flag ? value != 0 : value);
    return 1;
}

static int f_gc(lua_State *L)
{
    struct cosocket *k = lua_touserdata(L, 1);
    cleanup_remove(&k->cleanup);
    ngx_socket_close(k);
    return 0;
}

/* ---- the whole ------------------------------------------------------------
 */

static void push_connect(struct vm *vm, lua_State *L)
{
    if (vm_load(vm, SLICE_OF(connect_source, sizeof connect_source - 1),
                "=ngx.socket.connect") != OK)
        lua_pushnil(L);
    lua_getfield(L, -2, "tcp");
    lua_call(L, 1, 1);
    lua_setfield(L, -2, "connect");
}

void ngx_socket_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "tcp", f_tcp },
                                      { "stream", f_tcp },
                                      { "udp", ngx_socket_udp },
                                      { NULL, NULL } };
    static const luaL_Reg methods[] = {
        { "bind", ngx_socket_bind },
        { "connect", ngx_socket_connect },
        { "close", f_close },
        { "send", ngx_socket_send },
        { "receive", ngx_socket_receive },
        { "receiveany", ngx_socket_receiveany },
        { "receiveuntil", ngx_socket_receiveuntil },
        { "settimeout", ngx_socket_settimeout },
        { "settimeouts", ngx_socket_settimeouts },
        { "setoption", f_setoption },
        { "getoption", f_getoption },
        { "setkeepalive", ngx_socket_setkeepalive },
        { "getreusedtimes", f_getreusedtimes },
        { "sslhandshake", ngx_socket_sslhandshake },
        { "setclientcert", ngx_socket_setclientcert },
        { NULL, NULL }
    };
    static const luaL_Reg meta[] = { { "__gc", f_gc }, { NULL, NULL } };
    struct api *api = vm->host;
    api->sockets = calloc(1, sizeof *api->sockets);
    if (!api->sockets)
        abort(); /* nothing works without memory at the start */
    api->sockets->api = api;
    api->sockets->pools.loop = vm->loop;
    vm_class(vm, class, meta);
    vm_class(vm, tcp_class, methods);
    ngx_socket_tls_open(vm);
    ngx_socket_udp_open(vm);
    ngx_socket_request_open(vm);
    lua_getfield(L, -1, "req");
    vm_push_function(vm, L, ngx_socket_request);
    lua_setfield(L, -2, "socket");
    lua_pop(L, 1);
    lua_createtable(L, 0, 4);
    vm_register(vm, L, funcs);
    push_connect(vm, L);
    lua_setfield(L, -2, "socket");
}

void ngx_socket_fini(struct ngx_sockets *all)
{
    if (!all)
        return;
    stream_pools_fini(&all->pools);
    while (all->resolvers) {
        struct named_resolver *n = all->resolvers;
        all->resolvers = n->next;
        resolver_free(n->resolver);
        free(n);
    }
    ngx_socket_tls_fini(all->contexts);
    free(all);
}
