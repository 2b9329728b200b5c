/* ngx_socket_receive.c -- sock:receive, receiveany, receiveuntil. */
#include "api/ngx_socket.h"

enum { READ_MAX = 1 << 16 };

/* A line loses all its "\r", as in OpenResty.  Mostly it ends with the only
 * one. */
static void push_piece(const struct cosocket *k, lua_State *L,
                       struct slice piece)
{
    luaL_Buffer b;
    if (k->scan.kind == SCAN_LINE && slice_find(piece, '\r') + 1 == piece.len)
        piece.len--;
    if (k->scan.kind != SCAN_LINE || slice_find(piece, '\r') == piece.len) {
        vm_push(L, piece);
        return;
    }
    luaL_buffinit(L, &b);
    while (piece.len) {
        size_t n = slice_find(piece, '\r');
        luaL_addlstring(&b, piece.data, n);
        piece = slice_from(piece, n + 1);
    }
    luaL_pushresult(&b);
}

/* nil, the reason, and what has come so far, which is taken. */
static int fail_read(struct cosocket *k, lua_State *L, struct task *t,
                     enum err e)
{
    struct slice part = SLICE_NONE;
    size_t used = 0;
    if (e == ERR_TIMEOUT && k->conf->log_errors)
        ngx_socket_log(t, LOG_ERR, "lua tcp socket read timed out");
    else if (e == ERR_IO && k->conf->log_errors && k->stream->error)
        ngx_socket_log(t, LOG_ERR, "recv() failed (%d: %s)", k->stream->error,
                       strerror(k->stream->error));
    int n = ngx_socket_fail(L, k, e);
    if (k->stream)
        stream_scan_try(&k->scan, stream_pending(k->stream), &part, &used);
    push_piece(k, L, part);
    if (k->stream)
        stream_take(k->stream, used);
    if (k->stream && e != ERR_TIMEOUT)
        ngx_socket_close_side(k, STREAM_IN);
    return n + 1;
}

/* How much to ask for at once. */
static size_t read_size(const struct cosocket *k)
{
    size_t size = k->conf->buffer_size ? k->conf->buffer_size : 1;
    size_t come = stream_pending(k->stream).len, want = size;
    if (k->scan.kind == SCAN_SIZE)
        want = k->scan.size - come;
    else if (k->scan.kind == SCAN_ALL)
        want = come;
    if (want > READ_MAX)
        want = READ_MAX;
    return want > size ? want : size;
}

static int try_read(struct cosocket *k, lua_State *L, struct task *t)
{
    struct slice piece;
    size_t used;
    while (k->stream) {
        if (stream_scan_try(&k->scan, stream_pending(k->stream), &piece,
                            &used) == OK) {
            push_piece(k, L, piece);
            stream_take(k->stream, used);
            return 1;
        }
        enum err e = stream_read(k->stream, read_size(k));
        if (e == PENDING)
            return SOCKET_WAITS;
        if (e == ERR_CLOSED && k->scan.kind == SCAN_ALL) {
            vm_push(L, stream_pending(k->stream));
            stream_take(k->stream, stream_pending(k->stream).len);
            return 1;
        }
        if (e != OK)
            return fail_read(k, L, t, e);
    }
    return fail_read(k, L, t, ERR_CLOSED);
}

static void on_readable(void *user)
{
    struct cosocket *k = user;
    struct task *t = k->reader;
    int n = try_read(k, t->co, t);
    if (n == SOCKET_WAITS)
        stream_wait(k->stream, STREAM_IN, on_readable, k);
    else
        ngx_socket_resume(k, t, n);
}

static void on_read_late(uv_timer_t *timer)
{
    struct task *t = timer->data;
    struct cosocket *k = t->op;
    if (k->stream)
        stream_unwait(k->stream, STREAM_IN);
    enum err why = k->stream ? ERR_TIMEOUT : ERR_CLOSED;
    ngx_socket_resume(k, t, fail_read(k, t->co, t, why));
}

/* k->scan says what. */
static int read_piece(lua_State *L, struct cosocket *k)
{
    uint64_t msec = ngx_socket_limit(k->read_msec, k->conf->read_timeout);
    ngx_socket_debug(task_running(L), "lua tcp socket read timeout: %llu",
                     (unsigned long long)msec);
    int n = try_read(k, L, task_running(L));
    if (n != SOCKET_WAITS)
        return n;
    struct task *t = task_check(L);
    k->reader = t;
    stream_wait(k->stream, STREAM_IN, on_readable, k);
    ngx_socket_deadline(t, msec, on_read_late);
    return task_wait(t, ngx_socket_cancel, k);
}

/* The socket at index if it can be read now, else NULL and results. */
static struct cosocket *check_reader(lua_State *L, int index)
{
    const void *owner = ngx_socket_owner(L);
    struct cosocket *k = ngx_socket_at(L, index);
    if (!k || !k->stream || k->read_closed) {
        if (index == 1)
            ngx_socket_refuse_closed(L, k, "receive");
        else
            vm_fail(L, "closed"); /* an iterator ends without a word */
        return NULL;
    }
    unsigned uses = SOCKET_CONNECTS | SOCKET_READS;
    return ngx_socket_may(L, k, owner, uses) ? k : NULL;
}

/* "*l", "*a", or a number of bytes, at index 2. */
static struct stream_scan check_pattern(lua_State *L)
{
    if (lua_gettop(L) < 2)
        return (struct stream_scan){ .kind = SCAN_LINE };
    if (lua_isnumber(L, 2)) {
        lua_Integer size = lua_tointeger(L, 2);
        luaL_argcheck(L, size >= 0, 2, "bad pattern argument");
        return (struct stream_scan){ .kind = SCAN_SIZE, .size = (size_t)size };
    }
    luaL_argcheck(L, lua_type(L, 2) == LUA_TSTRING, 2, "bad pattern argument");
    struct slice text = vm_slice(L, 2);
    if (slice_eq(text, SLICE("*l")))
        return (struct stream_scan){ .kind = SCAN_LINE };
    if (slice_eq(text, SLICE("*a")))
        return (struct stream_scan){ .kind = SCAN_ALL };
    luaL_argerror(
        L, 2,
        text.len == 2 && *text.data == '*'
            ? "bad pattern argument"
            : lua_pushfstring(L, "bad pattern argument: %s", text.data));
    return (struct stream_scan){ 0 };
}

/* sock:receive(pattern = "*l") */
int ngx_socket_receive(lua_State *L)
{
    int n = lua_gettop(L);
    if (n != 1 && n != 2)
        return luaL_error(L,
                          "expecting 1 or 2 arguments (including the object), "
                          "but got %d",
                          n);
    struct cosocket *k = check_reader(L, 1);
    if (!k)
        return 2;
    k->scan = check_pattern(L);
    return read_piece(L, k);
}

/* sock:receiveany(max) */
int ngx_socket_receiveany(lua_State *L)
{
    if (lua_gettop(L) != 2)
        return luaL_error(L,
                          "expecting 2 arguments (including the object), but "
                          "got %d",
                          lua_gettop(L));
    struct cosocket *k = check_reader(L, 1);
    if (!k)
        return 2;
    lua_Integer max = lua_isnumber(L, 2) ? lua_tointeger(L, 2) : 0;
    luaL_argcheck(L, max > 0, 2, "bad max argument");
    ngx_socket_debug(task_running(L),
                     "lua tcp socket calling receiveany() method to read at "
                     "most %d bytes",
                     (int)max);
    k->scan = (struct stream_scan){ .kind = SCAN_ANY, .size = (size_t)max };
    return read_piece(L, k);
}

/* The iterator of receiveuntil; upvalues: vm, socket, pattern, its text. */
static int f_until(lua_State *L)
{
    if (lua_gettop(L) > 1)
        return luaL_error(L, "expecting 0 or 1 arguments, but seen %d",
                          lua_gettop(L));
    lua_Integer size = luaL_optinteger(L, 1, 0);
    struct cosocket *k = check_reader(L, lua_upvalueindex(2));
    if (!k)
        return 2;
    struct stream_pattern *p = lua_touserdata(L, lua_upvalueindex(3));
    if (p->ended) {
        p->ended = false;
        lua_settop(L, 0);
        lua_settop(L, 3);
        return 3;
    }
    k->scan = (struct stream_scan){ .kind = SCAN_UNTIL,
                                    .size = size > 0 ? (size_t)size : 0,
                                    .pattern = p };
    return read_piece(L, k);
}

static bool read_inclusive(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    lua_getfield(L, index, "inclusive");
    if (!lua_isnil(L, -1) && !lua_isboolean(L, -1))
        luaL_error(L, "bad \"inclusive\" option value type: %s",
                   luaL_typename(L, -1));
    bool inclusive = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return inclusive;
}

/* sock:receiveuntil(pattern, { inclusive = false }) */
int ngx_socket_receiveuntil(lua_State *L)
{
    int n = lua_gettop(L);
    if (n != 2 && n != 3)
        return luaL_error(L,
                          "expecting 2 or 3 arguments (including the object), "
                          "but got %d",
                          n);
    luaL_checktype(L, 1, LUA_TTABLE);
    bool inclusive = n == 3 && read_inclusive(L, 3);
    struct slice text = vm_check_slice(L, 2);
    ngx_socket_owner(L);
    if (!text.len)
        return vm_fail(L, "pattern is empty");
    lua_pushlightuserdata(L, vm_of(L));
    lua_pushvalue(L, 1);
    struct stream_pattern *p =
        lua_newuserdata(L, stream_scan_pattern_size(text.len));
    stream_scan_compile(p, text, inclusive);
    lua_pushvalue(L, 2); /* keeps the text */
    lua_pushcclosure(L, f_until, 4);
    return 1;
}
