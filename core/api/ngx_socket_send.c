/* ngx_socket_send.c -- sock:send. */
#include "api/ngx_socket.h"

static void add_text(lua_State *L, int index, struct buf *out)
{
    lua_pushvalue(L, index); /* tolstring would change a number in place */
    buf_add(out, vm_slice(L, -1));
    lua_pop(L, 1);
}

/* The highest index of an array, or -1 where it has other keys. */
static int array_length(lua_State *L, int index)
{
    lua_Number highest = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        lua_Number key =
            lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        if (key < 1 || key > 1 << 26 || key != (int)key) {
            lua_pop(L, 2);
            return -1;
        }
        if (key > highest)
            highest = key;
    }
    return (int)highest;
}

/* Why not, or NULL. */
static const char *add_table(lua_State *L, int index, struct buf *out)
{
    int n = lua_checkstack(L, 5) ? array_length(L, index) : -1;
    if (n < 0)
        return "non-array table found";
    for (int i = 1; i <= n; i++) {
        const char *fault = NULL;
        lua_rawgeti(L, index, i);
        if (lua_istable(L, -1))
            fault = add_table(L, lua_gettop(L), out);
        else if (lua_isstring(L, -1))
            add_text(L, lua_gettop(L), out);
        else
            fault = lua_pushfstring(L, "bad data type %s found",
                                    luaL_typename(L, -1));
        if (fault)
            return fault;
        lua_pop(L, 1);
    }
    return NULL;
}

void ngx_socket_collect(lua_State *L, int index, struct buf *out)
{
    const char *fault = NULL;
    if (lua_isstring(L, index))
        add_text(L, index, out);
    else if (lua_isboolean(L, index))
        buf_add_str(out, lua_toboolean(L, index) ? "true" : "false");
    else if (lua_isnil(L, index))
        buf_add_str(out, "nil");
    else if (lua_istable(L, index))
        fault = add_table(L, index, out);
    else
        fault = lua_pushfstring(L,
                                "string, number, boolean, nil, or array table "
                                "expected, got %s",
                                luaL_typename(L, index));
    if (!fault)
        return;
    buf_free(out);
    luaL_argerror(L, index, fault);
}

static int fail_write(struct cosocket *k, lua_State *L, struct task *t,
                      enum err e)
{
    if (e == ERR_TIMEOUT && k->conf->log_errors)
        ngx_socket_log(t, LOG_ERR, "lua tcp socket write timed out");
    else if (e == ERR_IO && k->conf->log_errors && k->stream->error)
        ngx_socket_log(t, LOG_ERR, "send() failed (%d: %s)", k->stream->error,
                       strerror(k->stream->error));
    int n = ngx_socket_fail(L, k, e);
    buf_free(&k->out);
    if (k->stream)
        ngx_socket_close_side(k, STREAM_OUT);
    return n;
}

static int try_write(struct cosocket *k, lua_State *L, struct task *t)
{
    enum err e = k->stream ? stream_write(k->stream, &k->rest) : ERR_CLOSED;
    if (e == PENDING)
        return SOCKET_WAITS;
    if (e != OK)
        return fail_write(k, L, t, e);
    buf_free(&k->out);
    lua_pushinteger(L, (lua_Integer)k->sent);
    return 1;
}

static void on_writable(void *user)
{
    struct cosocket *k = user;
    struct task *t = k->writer;
    int n = try_write(k, t->co, t);
    if (n == SOCKET_WAITS)
        stream_wait(k->stream, STREAM_OUT, on_writable, k);
    else
        ngx_socket_resume(k, t, n);
}

static void on_write_late(uv_timer_t *timer)
{
    struct task *t = timer->data;
    struct cosocket *k = t->op;
    if (k->stream)
        stream_unwait(k->stream, STREAM_OUT);
    enum err why = k->stream ? ERR_TIMEOUT : ERR_CLOSED;
    ngx_socket_resume(k, t, fail_write(k, t->co, t, why));
}

static int wait_to_write(lua_State *L, struct cosocket *k, uint64_t msec)
{
    struct task *t = task_check(L);
    if (!k->out.data)
        buf_add(&k->out, k->rest); /* the script's string may not stay */
    if (!buf_ok(&k->out))
        return fail_write(k, L, t, ERR_NOMEM);
    k->rest = slice_from(buf_slice(&k->out), k->out.len - k->rest.len);
    k->writer = t;
    stream_wait(k->stream, STREAM_OUT, on_writable, k);
    ngx_socket_deadline(t, msec, on_write_late);
    return task_wait(t, ngx_socket_cancel, k);
}

/* sock:send(data): how many bytes, once all are with the system. */
int ngx_socket_send(lua_State *L)
{
    if (lua_gettop(L) != 2)
        return luaL_error(L,
                          "expecting 2 arguments (including the object), but "
                          "got %d",
                          lua_gettop(L));
    const void *owner = ngx_socket_owner(L);
    struct cosocket *k = ngx_socket_at(L, 1);
    if (!k || !k->stream || k->write_closed)
        return ngx_socket_refuse_closed(L, k, "send");
    if (!ngx_socket_may(L, k, owner, SOCKET_CONNECTS | SOCKET_WRITES))
        return 2;
    uint64_t msec = ngx_socket_limit(k->send_msec, k->conf->send_timeout);
    ngx_socket_debug(task_running(L), "lua tcp socket send timeout: %llu",
                     (unsigned long long)msec);
    bool text = lua_type(L, 2) == LUA_TSTRING;
    buf_free(&k->out);
    if (!text)
        ngx_socket_collect(L, 2, &k->out);
    k->rest = text ? vm_slice(L, 2) : buf_slice(&k->out);
    k->sent = k->rest.len;
    int n = try_write(k, L, task_running(L));
    return n == SOCKET_WAITS ? wait_to_write(L, k, msec) : n;
}
