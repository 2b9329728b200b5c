/* ngx_location.c -- ngx.location.capture, capture_multi and ngx.exec. */
#include "api/capture.h"
#include "base/text.h"

enum { DEPTH_MAX = 50 };

/* ---- targets ------------------------------------------------------------ */

static bool is_unsafe(struct slice path)
{
    if (!path.len)
        return true;
    for (size_t i = 0; i < path.len; i++) {
        struct slice rest = slice_from(path, i);
        if (!path.data[i] || ((i == 0 || path.data[i - 1] == '/') &&
                              slice_starts(rest, SLICE("..")) &&
                              (rest.len == 2 || rest.data[2] == '/')))
            return true;
    }
    return false;
}

/* Pushes the text of a string, number or table of arguments at index (0: of
 * nothing).  It may raise: before there is a buffer. */
static struct slice push_args(lua_State *L, int index)
{
    if (!index)
        lua_pushliteral(L, "");
    else if (!lua_istable(L, index))
        lua_pushvalue(L, index);
    else {
        lua_getglobal(L, "ngx");
        lua_getfield(L, -1, "encode_args");
        lua_remove(L, -2);
        lua_pushvalue(L, index);
        lua_call(L, 1, 1);
    }
    return vm_slice(L, -1);
}

/* "/path?query" and more of a query into path and args, which live as long as
 * r.  more is an index on the stack, or 0. */
static void read_target(lua_State *L, struct request *r, struct slice target,
                        int more, struct slice *path, struct slice *args)
{
    struct buf text = { 0 };
    size_t mark = slice_find(target, '?');
    struct slice raw = { target.data, mark }, extra = push_args(L, more);
    text_unescape_uri(&text, raw, false);
    *path = arena_dup(&r->http->arena, buf_slice(&text));
    buf_clear(&text);
    if (is_unsafe(*path)) {
        buf_clear(&text);
        buf_addf(&text, "unsafe URI \"%.*s\" was detected", SLICE_FMT(raw));
        request_log(r, LOG_ERR, buf_slice(&text));
        buf_free(&text);
        luaL_error(L, "unsafe uri in argument #1: %s", path->data);
    }
    buf_add(&text, slice_from(target, mark + 1));
    if (more && text.len)
        buf_add_char(&text, '&');
    buf_add(&text, extra);
    *args = more || mark < target.len
                ? arena_dup(&r->http->arena, buf_slice(&text))
                : SLICE_NONE;
    buf_free(&text);
}

/* A named location has the query that the request came with. */
static void exec_named(lua_State *L, struct request *r, struct slice target,
                       int more)
{
    struct buf text = { 0 };
    size_t mark = slice_find(target, '?');
    struct slice name = { target.data, mark }, extra = push_args(L, more);
    r->exec_uri = arena_dup(&r->http->arena, name);
    if (mark == target.len && !more)
        return;
    buf_addf(&text,
             "query strings %.*s%s%.*s ignored when exec'ing named location "
             "%.*s",
             SLICE_FMT(slice_from(target, mark + 1)),
             mark < target.len && more ? "&" : "", SLICE_FMT(extra),
             SLICE_FMT(name));
    request_log(r, LOG_WARN, buf_slice(&text));
    buf_free(&text);
}

/* ngx.exec(uri, args): this request again, from its start. */
static int f_exec(lua_State *L)
{
    if (lua_gettop(L) > 2)
        return luaL_error(L, "expecting one or two arguments, but got %d",
                          lua_gettop(L));
    struct slice target = vm_check_slice(L, 1);
    int type = lua_type(L, 2), more = lua_isnoneornil(L, 2) ? 0 : 2;
    if (more && type != LUA_TSTRING && type != LUA_TNUMBER &&
        type != LUA_TTABLE)
        return luaL_argerror(L, 2,
                             lua_pushfstring(L,
                                             "string, number, or table "
                                             "expected, but got %s",
                                             lua_typename(L, type)));
    struct request *r = api_request_in(L, REQUEST_MAY_WAIT);
    struct task *t = task_check(L);
    if (r->headers_sent)
        return luaL_error(L, "attempt to call ngx.exec after sending out "
                             "response headers");
    if (r->subrequests)
        return luaL_error(L, "attempt to abort with pending subrequests");
    if (slice_starts(target, SLICE("@")))
        exec_named(L, r, target, more);
    else
        read_target(L, r, target, more, &r->exec_uri, &r->exec_args);
    return task_unwind(t);
}

/* ---- subrequests -------------------------------------------------------- */

static unsigned depth(const struct request *r)
{
    unsigned n = 0;
    while ((r = r->parent))
        n++;
    return n;
}

static void set_variable(lua_State *L, struct request *sub)
{
    lua_pushvalue(L, -2); /* a copy: lua_next wants its key as it is */
    struct slice name = vm_slice(L, -1), value = vm_slice(L, -2);
    if (!name.data || lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "attempt to use a non-string key in the \"vars\" option "
                      "table");
    if (!value.data)
        luaL_error(L, "attempt to use bad variable value type %s",
                   luaL_typename(L, -2));
    if (!variable_set(sub, name, value) && variable_is_builtin(name))
        luaL_error(L, "variable \"%s\" not changeable", name.data);
    if (!variable_set(sub, name, value))
        luaL_error(L,
                   "variable \"%s\" cannot be assigned a value (maybe you "
                   "forgot to define it first?) ",
                   name.data);
    lua_pop(L, 1);
}

static bool option(lua_State *L, int options, const char *name)
{
    lua_getfield(L, options, name);
    return lua_toboolean(L, -1);
}

static void read_vars(lua_State *L, int options, struct request *sub)
{
    struct request *parent = sub->parent;
    size_t size = parent->api->conf->nvariables * sizeof *sub->variables;
    if (option(L, options, "copy_all_vars") && size)
        memcpy(sub->variables, parent->variables, size);
    if (option(L, options, "share_all_vars"))
        sub->variables = parent->variables;
    lua_getfield(L, options, "vars");
    if (lua_istable(L, -1)) {
        lua_pushnil(L);
        for (int t = lua_gettop(L) - 1; lua_next(L, t); lua_pop(L, 1))
            set_variable(L, sub);
    } else if (!lua_isnil(L, -1)) {
        luaL_error(L, "Bad vars option value");
    }
    lua_pop(L, 3);
}

static void read_method(lua_State *L, int options, struct request *sub)
{
    lua_getfield(L, options, "method");
    if (!lua_isnil(L, -1)) {
        if (lua_type(L, -1) != LUA_TNUMBER)
            luaL_error(L, "Bad http request method");
        sub->method = ngx_req_method(L, (int)lua_tointeger(L, -1));
    }
    lua_pop(L, 1);
}

static void set_body(struct request *sub, struct slice body)
{
    sub->body = body;
    sub->body_read = true;
    ngx_req_change_header(
        sub, SLICE("Content-Length"),
        slice_str(arena_printf(&sub->http->arena, "%zu", body.len)), true);
}

/* The caller's body goes along with PUT and POST, or where it is said. */
static void read_body(lua_State *L, int options, struct request *sub)
{
    bool always = option(L, options, "always_forward_body");
    lua_getfield(L, options, "body");
    if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING &&
        lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "Bad http request body");
    bool forwards = always || slice_eq(sub->method, SLICE("PUT")) ||
                    slice_eq(sub->method, SLICE("POST"));
    if (!lua_isnil(L, -1))
        set_body(sub, arena_dup(&sub->http->arena, vm_slice(L, -1)));
    else if (!forwards && sub->parent->body.len)
        set_body(sub, SLICE_NONE);
    else if (forwards) {
        sub->body = sub->parent->body;
        sub->body_read = sub->parent->body_read;
    }
    lua_pop(L, 2);
}

static void read_ctx(lua_State *L, int options, struct request *sub)
{
    lua_getfield(L, options, "ctx");
    if (lua_istable(L, -1)) {
        sub->ctx_ref = luaL_ref(L, LUA_REGISTRYINDEX);
        return;
    }
    if (!lua_isnil(L, -1))
        luaL_error(L, "Bad ctx option value type %s, expected a Lua table",
                   luaL_typename(L, -1));
    lua_pop(L, 1);
}

static struct request *make_sub(lua_State *L, struct request *parent)
{
    struct arena *arena = &parent->http->arena;
    struct request *sub = arena_alloc(arena, sizeof *sub);
    struct http_header *headers =
        arena_alloc(arena, (parent->header_cap + 1) * sizeof *headers);
    if (!sub || !headers || !request_init(sub, parent->api, parent->http))
        luaL_error(L, "no memory");
    sub->parent = parent;
    sub->server = parent->server;
    sub->location = parent->server->root;
    sub->method = SLICE("GET");
    sub->internal = true;
    sub->headers = headers;
    sub->header_cap = parent->header_cap;
    sub->header_count = parent->header_count;
    memcpy(headers, parent->headers, parent->header_count * sizeof *headers);
    return sub;
}

/* The subrequest that target (an index) and options (likewise, or 0) ask
 * for.  Raises for a caller's mistake. */
static struct request *read_sub(lua_State *L, struct request *parent,
                                int target, int options)
{
    struct request *sub = make_sub(L, parent);
    struct slice uri = vm_check_slice(L, target);
    int args = 0, top = lua_gettop(L);
    if (options) {
        lua_getfield(L, options, "args");
        args = lua_isnil(L, -1) ? 0 : lua_gettop(L);
        int type = lua_type(L, -1);
        if (args && type != LUA_TTABLE && type != LUA_TSTRING &&
            type != LUA_TNUMBER)
            luaL_error(L, "Bad args option value");
    }
    read_target(L, parent, uri, args, &sub->uri, &sub->args);
    if (options) {
        read_method(L, options, sub);
        read_vars(L, options, sub);
        read_body(L, options, sub);
        read_ctx(L, options, sub);
    } else if (parent->body.len) {
        set_body(sub, SLICE_NONE);
    }
    lua_settop(L, top);
    return sub;
}

static struct request *capturing(lua_State *L)
{
    struct request *r = api_request_in(L, REQUEST_MAY_WAIT);
    if (depth(r) >= DEPTH_MAX) {
        struct buf text = { 0 };
        buf_addf(&text, "lua subrequests cycle while processing \"%.*s\"",
                 SLICE_FMT(r->uri));
        request_log(r, LOG_ERR, buf_slice(&text));
        buf_free(&text);
        luaL_error(L, "failed to issue subrequest: -1");
    }
    return r;
}

/* ngx.location.capture(uri, options) */
static int f_capture(lua_State *L)
{
    int n = lua_gettop(L);
    if (n != 1 && n != 2)
        return luaL_error(L, "expecting one or two arguments");
    luaL_checkstring(L, 1);
    int options = lua_isnoneornil(L, 2) ? 0 : 2;
    if (options)
        luaL_checktype(L, 2, LUA_TTABLE);
    struct request *r = capturing(L);
    struct task *t = task_check(L);
    struct capture *c = capture_new(L, r, 1);
    c->subs[0] = read_sub(L, r, 1, options);
    return capture_run(t, r, c);
}

/* ngx.location.capture_multi { {uri, options}, ... } */
static int f_capture_multi(lua_State *L)
{
    if (lua_gettop(L) != 1)
        return luaL_error(L, "only one argument is expected, but got %d",
                          lua_gettop(L));
    luaL_checktype(L, 1, LUA_TTABLE);
    unsigned count = (unsigned)lua_objlen(L, 1);
    if (!count)
        return luaL_error(L, "at least one subrequest should be specified");
    struct request *r = capturing(L);
    struct task *t = task_check(L);
    struct capture *c = capture_new(L, r, count);
    for (unsigned i = 0; i < count; i++) {
        lua_settop(L, 1);
        lua_rawgeti(L, 1, (int)i + 1);
        if (!lua_istable(L, 2))
            return luaL_error(L,
                              "The query argument %d is not a table, but "
                              "a %s",
                              (int)i + 1, luaL_typename(L, 2));
        lua_rawgeti(L, 2, 1);
        lua_rawgeti(L, 2, 2);
        if (!lua_isnil(L, 4))
            luaL_checktype(L, 4, LUA_TTABLE);
        c->subs[i] = read_sub(L, r, 3, lua_isnil(L, 4) ? 0 : 4);
    }
    return capture_run(t, r, c);
}

void ngx_location_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "capture", f_capture },
                                      { "capture_multi", f_capture_multi },
                                      { NULL, NULL } };
    lua_createtable(L, 0, 2);
    vm_register(vm, L, funcs);
    lua_setfield(L, -2, "location");
    vm_push_function(vm, L, f_exec);
    lua_setfield(L, -2, "exec");
}
