/* ngx_socket_connect.c -- sock:connect, bind and setkeepalive: where a
 * connection comes from and where it goes.
 *
 * A connect has stages: a turn in the pool's queue, the name, the connection.
 * Each gives results or SOCKET_WAITS, and the callback that ends a wait goes
 * on with the next one. */
#include "api/ngx_socket.h"
#include <errno.h>
#include <stdio.h>

static void on_connected(void *user);
static void on_late(uv_timer_t *timer);

static int fail(struct cosocket *k, lua_State *L, enum err e)
{
    int n = ngx_socket_fail(L, k, e);
    ngx_socket_close(k);
    return n;
}

/* nginx's line for errno, at its level. */
static void log_failure(const struct cosocket *k, const struct task *t)
{
    char to[ADDRESS_TEXT];
    int code = k->stream->error;
    bool remote = code == ECONNREFUSED || code == ECONNRESET ||
                  code == EHOSTUNREACH || code == ENETUNREACH ||
                  code == ETIMEDOUT;
    if (k->to.sa.ss_family == AF_UNIX)
        ngx_socket_log(t, remote ? LOG_ERR : LOG_CRIT,
                       "connect() to %s failed (%d: %s)",
                       address_text(&k->to, to), code, strerror(code));
    else if (k->conf->log_errors || !remote)
        ngx_socket_log(t, remote ? LOG_ERR : LOG_CRIT,
                       "connect() failed (%d: %s)", code, strerror(code));
}

static enum err bind_from(struct cosocket *k, struct task *t)
{
    char from[ADDRESS_TEXT];
    enum err e = stream_bind(k->stream, &k->from);
    if (e != OK) {
        address_text(&k->from, from);
        ngx_socket_log(t, LOG_CRIT, "bind(%.*s) failed (%d: %s)",
                       (int)(strrchr(from, ':') - from), from, k->stream->error,
                       strerror(k->stream->error));
    }
    return e;
}

static int connected(struct cosocket *k, lua_State *L, struct task *t,
                     enum err e)
{
    if (e != OK) {
        log_failure(k, t);
        return fail(k, L, e);
    }
    lua_pushinteger(L, 1);
    return 1;
}

static int dial(struct cosocket *k, lua_State *L, struct task *t)
{
    uint64_t msec = ngx_socket_limit(k->connect_msec, k->conf->connect_timeout);
    ngx_socket_debug(t, "lua tcp socket connect timeout: %llu",
                     (unsigned long long)msec);
    enum err e =
        stream_open(&k->stream, t->vm->loop, k->to.sa.ss_family, SOCK_STREAM);
    if (e != OK) {
        ngx_socket_close(k);
        return vm_fail(L, strerror(errno));
    }
    if (k->from.len)
        e = bind_from(k, t);
    if (e == OK)
        e = stream_connect(k->stream, &k->to);
    if (e != PENDING)
        return connected(k, L, t, e);
    stream_wait(k->stream, STREAM_OUT, on_connected, k);
    ngx_socket_deadline(t, msec, on_late);
    return SOCKET_WAITS;
}

/* ---- what ends a wait -----------------------------------------------------
 */

/* The stage that t waited for gave n, with the results on t->co. */
static void go_on(struct cosocket *k, struct task *t, int n)
{
    if (n != SOCKET_WAITS)
        ngx_socket_resume(k, t, n);
}

static void on_connected(void *user)
{
    struct cosocket *k = user;
    struct task *t = k->connector;
    go_on(k, t, connected(k, t->co, t, stream_connected(k->stream)));
}

static void on_resolved(void *user, int code, const struct address *found)
{
    struct cosocket *k = user;
    struct task *t = k->connector;
    k->query = NULL;
    if (!code) {
        k->to = *found;
        address_set_port(&k->to, k->port);
        go_on(k, t, dial(k, t->co, t));
        return;
    }
    ngx_socket_close(k);
    lua_pushnil(t->co);
    lua_pushfstring(t->co, "%s could not be resolved (%d: %s)", k->host, code,
                    resolver_reason(code));
    go_on(k, t, 2);
}

static void on_late(uv_timer_t *timer)
{
    struct task *t = timer->data;
    struct cosocket *k = t->op;
    char to[ADDRESS_TEXT];
    if (k->queued && k->conf->log_errors)
        ngx_socket_log(t, LOG_ERR,
                       "lua tcp socket queued connect timed out, when trying "
                       "to connect to %s:%u",
                       k->host, k->port);
    else if (k->stream && k->conf->log_errors)
        ngx_socket_log(t, LOG_ERR,
                       "lua tcp socket connect timed out, when connecting to "
                       "%s",
                       address_text(&k->to, to));
    go_on(k, t, fail(k, t->co, ERR_TIMEOUT));
}

static void cancel(struct task *t)
{
    struct cosocket *k = t->op;
    if (k->queued)
        ngx_socket_debug(t, "lua tcp socket abort queueing");
    ngx_socket_cancel(t);
}

/* ---- the name and the pool ------------------------------------------------
 */

int ngx_socket_resolve(struct cosocket *k, lua_State *L, resolver_done *done)
{
    const char *host = k->host;
    bool here = !strcmp(host, "localhost");
    enum err e =
        address_parse(slice_str(here ? "127.0.0.1" : host), k->port, &k->to);
    if (e == OK)
        return 0;
    if (e != ERR_NOT_FOUND) {
        lua_pushnil(L);
        lua_pushfstring(L, "failed to parse host name \"%s\": %s", host,
                        err_text());
    } else if (!k->conf->resolver) {
        lua_pushnil(L);
        lua_pushfstring(L, "no resolver defined to resolve \"%s\"", host);
    } else {
        struct resolver *r = ngx_socket_resolver(k);
        uint64_t msec = k->conf->resolver_timeout;
        k->query = r ? resolver_start(r, host, msec, done, k) : NULL;
        if (k->query)
            return SOCKET_WAITS;
        vm_fail(L, "failed to start the resolver");
    }
    return 2;
}

static int resolve(struct cosocket *k, lua_State *L, struct task *t)
{
    int n = ngx_socket_resolve(k, L, on_resolved);
    if (n == 0)
        return dial(k, L, t);
    if (n == SOCKET_WAITS)
        ngx_socket_deadline(t, UINT32_MAX,
                            on_late); /* the resolver has its own */
    else
        ngx_socket_close(k);
    return n;
}

/* True: an idle connection serves. */
static bool take_idle(struct cosocket *k, lua_State *L, struct task *t)
{
    k->stream = stream_pool_take(k->pool);
    if (!k->stream)
        return false;
    ngx_socket_debug(t,
                     "lua tcp socket get keepalive peer: using connection "
                     "%p, fd:%d",
                     (void *)k->stream, k->stream->fd);
    lua_pushinteger(L, 1);
    return true;
}

static void on_turn_timer(uv_timer_t *timer)
{
    struct task *t = timer->data;
    struct cosocket *k = t->op;
    struct stream_pool *pool = k->pool;
    if (take_idle(k, t->co, t)) {
        stream_pool_leave(pool); /* that one is counted */
        go_on(k, t, 1);
        return;
    }
    go_on(k, t, resolve(k, t->co, t));
}

static void on_turn(struct stream_turn *turn)
{
    struct cosocket *k =
        (struct cosocket *)((char *)turn - offsetof(struct cosocket, turn));
    k->queued = false;
    uv_timer_start(&k->connector->timer, on_turn_timer, 0, 0);
}

static int enter_pool(struct cosocket *k, lua_State *L, struct task *t)
{
    if (take_idle(k, L, t))
        return 1;
    struct stream_pool *pool = k->pool;
    k->turn.granted = on_turn;
    enum err e = stream_pool_join(pool, &k->turn);
    if (e == OK)
        return resolve(k, L, t);
    if (e != PENDING) {
        k->pool = NULL;
        return vm_fail(L, "too many waiting connect operations");
    }
    ngx_socket_debug(t,
                     "lua tcp socket queue connect operation for connection "
                     "pool \"%.*s\", connections: %u",
                     SLICE_FMT(pool->key), pool->connections);
    k->queued = true;
    ngx_socket_deadline(
        t, ngx_socket_limit(k->connect_msec, k->conf->connect_timeout),
        on_late);
    return SOCKET_WAITS;
}

/* ---- connect's arguments ---------------------------------------------------
 */

struct plan {
    int pool_size, backlog;
    bool custom; /* the pool's name is in the table already */
};

static int read_size(lua_State *L, int table, const char *name, int least)
{
    lua_getfield(L, table, name);
    int value = (int)lua_tointeger(L, -1);
    bool number = lua_isnumber(L, -1);
    if (number && value < least)
        luaL_argerror(
            L, table,
            lua_pushfstring(L, "bad \"%s\" option value: %d", name, value));
    if (!number && !lua_isnil(L, -1))
        luaL_argerror(L, table,
                      lua_pushfstring(L, "bad \"%s\" option type: %s", name,
                                      luaL_typename(L, -1)));
    lua_pop(L, 1);
    return number ? value : -1;
}

static void read_options(lua_State *L, int table, struct plan *plan)
{
    plan->pool_size = read_size(L, table, "pool_size", 1);
    plan->backlog = read_size(L, table, "backlog", 0);
    if (plan->backlog >= 0 && plan->pool_size < 0)
        plan->pool_size = (int)api_sockets(L)->pool_size;
    lua_getfield(L, table, "pool");
    if (lua_type(L, -1) == LUA_TNUMBER)
        lua_tostring(L, -1);
    plan->custom = lua_type(L, -1) == LUA_TSTRING;
    if (!plan->custom && !lua_isnil(L, -1))
        luaL_argerror(L, table,
                      lua_pushfstring(L, "bad \"pool\" option type: %s",
                                      luaL_typename(L, -1)));
    if (plan->custom)
        lua_rawseti(L, 1, SOCKET_KEY);
}

/* Sets the pool's name into the table.  0, or the results of a refusal. */
static int read_target(lua_State *L, int n, const struct plan *plan, int *port)
{
    struct slice host = vm_slice(L, 2);
    *port = 0;
    if (n >= 3 && lua_isnumber(L, 3)) {
        *port = (int)lua_tointeger(L, 3);
        if (*port < 0 || *port > 65535)
            return vm_fail(L, lua_pushfstring(L, "bad port number: %d", *port));
        lua_pushfstring(L, "%s:%d", host.data, *port);
    } else if (host.len >= 5 && !strncasecmp(host.data, "unix:", 5)) {
        lua_pushvalue(L, 2);
    } else {
        return vm_fail(L, "missing the port number");
    }
    if (!plan->custom)
        lua_rawseti(L, 1, SOCKET_KEY);
    return 0;
}

static struct slice pool_key(lua_State *L)
{
    lua_rawgeti(L, 1, SOCKET_KEY);
    struct slice key = vm_slice(L, -1);
    lua_pop(L, 1); /* the table keeps it */
    return key;
}

static struct stream_pool *make_pool(struct cosocket *k, lua_State *L,
                                     struct slice key, int size, int backlog)
{
    struct task *t = task_running(L);
    ngx_socket_debug(t, "lua tcp socket connection pool size: %d, backlog: %d",
                     size, backlog);
    ngx_socket_debug(t,
                     "lua tcp socket keepalive create connection pool for key "
                     "\"%.*s\"",
                     SLICE_FMT(key));
    return stream_pool_new(&k->api->sockets->pools, key, (unsigned)size,
                           backlog);
}

static void choose_pool(struct cosocket *k, lua_State *L,
                        const struct plan *plan)
{
    struct slice key = pool_key(L);
    k->pool = stream_pool_find(&k->api->sockets->pools, key);
    if (!k->pool && plan->pool_size > 0)
        k->pool = make_pool(k, L, key, plan->pool_size, plan->backlog);
}

static struct cosocket *check_socket(lua_State *L, const void *owner)
{
    struct cosocket *k = ngx_socket_at(L, 1);
    if (!k) {
        k = ngx_socket_new(L);
        lua_rawseti(L, 1, 1);
    }
    if (k->owner && k->owner != owner)
        luaL_error(L, "bad request");
    return k;
}

/* sock:connect(host, port, options?), sock:connect("unix:/path", options?) */
int ngx_socket_connect(lua_State *L)
{
    int n = lua_gettop(L), port;
    if (n < 2 || n > 4)
        return luaL_error(L,
                          "ngx.socket connect: expecting 2, 3, or 4 arguments "
                          "(including the object), but seen %d",
                          n);
    const void *owner = ngx_socket_owner(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstring(L, 2);
    struct plan plan = { -1, -1, false };
    if (lua_istable(L, n))
        read_options(L, n--, &plan);
    int refused = read_target(L, n, &plan, &port);
    if (refused)
        return refused;
    struct cosocket *k = check_socket(L, owner);
    const char *busy = ngx_socket_busy(k, SOCKET_ALL);
    if (busy)
        return vm_fail(L, busy);
    struct task *t = task_check(L);
    ngx_socket_close(k);
    ngx_socket_own(L, k);
    k->host = ngx_socket_text(L, 2, SOCKET_HOST);
    k->port = (unsigned)port;
    choose_pool(k, L, &plan);
    k->connector = t;
    int results = k->pool ? enter_pool(k, L, t) : resolve(k, L, t);
    if (results == SOCKET_WAITS)
        return task_wait(t, cancel, k);
    k->connector = NULL;
    uv_timer_stop(&t->timer);
    return results;
}

/* sock:bind(address): where later connections come from. */
int ngx_socket_bind(lua_State *L)
{
    struct address from;
    if (lua_gettop(L) != 2)
        return luaL_error(L, "expecting 2 arguments, but got %d",
                          lua_gettop(L));
    ngx_socket_owner(L);
    struct cosocket *k = ngx_socket_at(L, 1);
    struct slice text = vm_check_slice(L, 2);
    if (!k || address_parse(text, 0, &from) != OK ||
        from.sa.ss_family == AF_UNIX)
        return vm_fail(L, "bad address");
    k->from = from;
    ngx_socket_debug(task_running(L), "lua tcp socket bind ip: %.*s",
                     SLICE_FMT(text));
    lua_pushboolean(L, true);
    return 1;
}

/* ---- keeping ----------------------------------------------------------------
 */

/* 0, or the results of a refusal. */
static int check_keepable(lua_State *L, struct cosocket *k)
{
    if (!ngx_socket_may(L, k, ngx_socket_owner(L), SOCKET_ALL))
        return 2;
    if (stream_pending(k->stream).len)
        return vm_fail(L, "unread data in buffer");
    return 0;
}

static int keep(lua_State *L, struct cosocket *k, struct stream_pool *pool,
                uint64_t msec)
{
    struct stream *s = k->stream;
    bool counted = k->pool != NULL;
    struct task *t = task_running(L);
    ngx_socket_debug(t, "lua tcp socket set keepalive: saving connection %p",
                     (void *)s);
    if (msec)
        ngx_socket_debug(t, "lua tcp socket keepalive timeout: %llu ms",
                         (unsigned long long)msec);
    else
        ngx_socket_debug(t, "lua tcp socket keepalive timeout: unlimited");
    k->stream = NULL;
    k->pool = NULL;
    if (!stream_pool_keep(pool, s, msec, counted))
        return vm_fail(L, "connection in dubious state");
    lua_pushinteger(L, 1);
    return 1;
}

/* sock:setkeepalive(timeout?, pool_size?) */
int ngx_socket_setkeepalive(lua_State *L)
{
    int n = lua_gettop(L);
    if (n < 1 || n > 3)
        return luaL_error(L,
                          "expecting 1 to 3 arguments (including the object), "
                          "but got %d",
                          n);
    struct cosocket *k = ngx_socket_at(L, 1);
    if (!k || !k->stream || k->read_closed || k->write_closed)
        return vm_fail(L, "closed");
    int refused = check_keepable(L, k);
    if (refused)
        return refused;
    lua_settop(L, 3);
    lua_Integer msec =
        luaL_optinteger(L, 2, (lua_Integer)k->conf->keepalive_timeout);
    struct slice key = pool_key(L);
    struct stream_pool *pool = k->pool;
    if (!pool)
        pool = stream_pool_find(&k->api->sockets->pools, key);
    if (!pool) {
        int size = (int)luaL_optinteger(L, 3, (int)k->conf->pool_size);
        if (size <= 0)
            return luaL_argerror(
                L, n,
                lua_pushfstring(L, "bad \"pool_size\" option value: %d", size));
        pool = make_pool(k, L, key, size, -1);
    }
    if (!pool)
        return vm_fail(L, "no memory");
    if (k->api->vm->retired ||
        atomic_load(&k->api->worker->process->draining)) {
        ngx_socket_close(k);
        lua_pushinteger(L, 1);
        return 1;
    }
    return keep(L, k, pool, msec > 0 ? (uint64_t)msec : 0);
}
