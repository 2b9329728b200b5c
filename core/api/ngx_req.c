/* ngx_req.c -- ngx.req: method, uri, headers, arguments and body. */
#include "api/collect.h"
#include "api/unsafe.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/uri.h"

static const struct method {
    const char *name;
    int number;
} methods[] = {
    { "GET", 2 },         { "HEAD", 4 },         { "POST", 8 },
    { "PUT", 16 },        { "DELETE", 32 },      { "MKCOL", 64 },
    { "COPY", 128 },      { "MOVE", 256 },       { "OPTIONS", 512 },
    { "PROPFIND", 1024 }, { "PROPPATCH", 2048 }, { "LOCK", 4096 },
    { "UNLOCK", 8192 },   { "PATCH", 16384 },    { "TRACE", 32768 },
};

static int f_get_method(lua_State *L)
{
    vm_push_word(L, api_request(L)->method);
    return 1;
}

struct slice ngx_req_method(lua_State *L, int number)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].number == number)
            return slice_str(methods[i].name);
    luaL_error(L, "unsupported HTTP method: %d", number);
    return SLICE_NONE;
}

static int f_set_method(lua_State *L)
{
    if (!lua_isnumber(L, 1))
        return luaL_error(L, "bad method number");
    int number = (int)luaL_checkinteger(L, 1);
    struct request *r = api_request(L);
    r->method = ngx_req_method(L, number);
    return 0;
}

static int f_http_version(lua_State *L)
{
    struct slice v = api_request(L)->http->version;
    if (slice_eq(v, SLICE("HTTP/1.0")))
        lua_pushnumber(L, 1.0);
    else if (slice_eq(v, SLICE("HTTP/1.1")))
        lua_pushnumber(L, 1.1);
    else
        lua_pushnil(L);
    return 1;
}

/* The head as it came, but for MHD's folding: line, headers, empty line. */
static int f_raw_header(lua_State *L)
{
    struct request *r = api_request(L);
    struct buf out = { 0 };
    if (!lua_toboolean(L, 1))
        buf_addf(&out, "%.*s %.*s %.*s\r\n", SLICE_FMT(r->http->method),
                 SLICE_FMT(r->http->uri), SLICE_FMT(r->http->version));
    for (unsigned i = 0; i < r->http->header_count; i++)
        buf_addf(&out, "%.*s: %.*s\r\n", SLICE_FMT(r->http->headers[i].name),
                 SLICE_FMT(r->http->headers[i].value));
    buf_add(&out, SLICE("\r\n"));
    vm_push(L, buf_slice(&out));
    buf_free(&out);
    return 1;
}

static int f_start_time(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)api_request(L)->http->started / 1000);
    return 1;
}

static int f_is_internal(lua_State *L)
{
    lua_pushboolean(L, api_request(L)->internal);
    return 1;
}

static void remove_header(struct request *r, struct slice name)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < r->header_count; i++)
        if (!slice_eq_nocase(r->headers[i].name, name))
            r->headers[kept++] = r->headers[i];
    r->header_count = kept;
}

static void add_header(struct request *r, struct slice name, struct slice value)
{
    struct arena *arena = &r->http->arena;
    if (r->header_count == r->header_cap) {
        unsigned cap = r->header_cap * 2 + 8;
        struct http_header *more = arena_alloc(arena, cap * sizeof *more);
        if (!more)
            return;
        memcpy(more, r->headers, r->header_count * sizeof *more);
        r->headers = more;
        r->header_cap = cap;
    }
    r->headers[r->header_count++] =
        (struct http_header){ arena_dup(arena, name), arena_dup(arena, value) };
}

void ngx_req_change_header(struct request *r, struct slice name,
                           struct slice value, bool replace)
{
    if (replace)
        remove_header(r, name);
    if (value.data)
        add_header(r, name, value);
}

static void push_decoded(lua_State *L, struct slice s,
                         void (*push)(lua_State *L, struct slice s))
{
    if (slice_find(s, '%') == s.len && slice_find(s, '+') == s.len) {
        push(L, s);
        return;
    }
    struct buf out = { 0 };
    text_unescape_uri(&out, s, true);
    push(L, buf_slice(&out));
    buf_free(&out);
}

/* Fills the table at the top with "a=1&b&a=2": strings, true where there is
 * no '=', tables for names that come again. */
static int collect_args(lua_State *L, const struct request *r,
                        struct slice text, unsigned max)
{
    struct slice name, value;
    unsigned count = 0;
    int t = lua_gettop(L);
    while (text_query_next(&text, &name, &value)) {
        if (max && ++count > max) {
            collect_warn(r, "lua hit query args limit %u", max);
            lua_pushliteral(L, "truncated");
            return 2;
        }
        push_decoded(L, name, vm_push_word);
        if (value.data)
            push_decoded(L, value, vm_push);
        else
            lua_pushboolean(L, true);
        collect_put(L, t);
    }
    return 1;
}

/* ngx.req.get_uri_args(max = 100, table): the table is emptied and filled. */
static int f_get_uri_args(lua_State *L)
{
    struct request *r = api_request(L);
    unsigned max = collect_max(L, 1);
    lua_settop(L, 2);
    if (!lua_istable(L, 2)) {
        lua_newtable(L);
        return collect_args(L, r, r->args, max);
    }
    for (lua_pushnil(L); lua_next(L, 2); lua_pushnil(L)) {
        lua_pop(L, 1);
        lua_pushnil(L);
        lua_rawset(L, 2);
    }
    return collect_args(L, r, r->args, max);
}

static int f_get_post_args(lua_State *L)
{
    if (lua_gettop(L) > 1)
        return luaL_error(L, "expecting 0 or 1 arguments but seen %d",
                          lua_gettop(L));
    struct request *r = api_request(L);
    if (!r->body_read)
        return luaL_error(L, "no request body found; maybe you should turn on "
                             "lua_need_request_body?");
    lua_settop(L, 1);
    unsigned max = collect_max(L, 1);
    lua_newtable(L);
    return collect_args(L, r, r->body, max);
}

static void change_uri(struct request *r, struct slice uri)
{
    r->uri = arena_dup(&r->http->arena, uri);
    r->internal = true;
}

/* ngx.req.set_uri(uri, jump = false, binary = false): with jump the search for
 * a location begins again. */
static int f_set_uri(lua_State *L)
{
    struct slice uri = vm_check_slice(L, 1);
    bool jumps = lua_toboolean(L, 2);
    struct request *r = api_request(L);
    if (!uri.len)
        return luaL_error(L, "attempt to use zero-length uri");
    if (!lua_toboolean(L, 3))
        unsafe_refuse(L, uri, "uri",
                      " (maybe you want to set the 'binary' argument?)");
    if (!jumps) {
        change_uri(r, uri);
        return 0;
    }
    api_request_in(L, 1u << CONF_REWRITE | 1u << CONF_SERVER_REWRITE);
    struct task *t = task_check(L);
    if (r->subrequests)
        return luaL_error(L, "attempt to abort with pending subrequests");
    change_uri(r, uri);
    r->jumped = true;
    return task_unwind(t);
}

/* A string as it is, or a table through ngx.encode_args. */
static int f_set_uri_args(lua_State *L)
{
    struct request *r = api_request(L);
    if (lua_istable(L, 1)) {
        lua_getglobal(L, "ngx");
        lua_getfield(L, -1, "encode_args");
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
    } else {
        luaL_checkstring(L, 1);
        lua_pushvalue(L, 1);
    }
    r->args = arena_dup(&r->http->arena, vm_slice(L, -1));
    return 0;
}

void ngx_req_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "get_method", f_get_method },
                                      { "set_method", f_set_method },
                                      { "http_version", f_http_version },
                                      { "raw_header", f_raw_header },
                                      { "start_time", f_start_time },
                                      { "is_internal", f_is_internal },
                                      { "get_uri_args", f_get_uri_args },
                                      { "get_query_args", f_get_uri_args },
                                      { "get_post_args", f_get_post_args },
                                      { "set_uri", f_set_uri },
                                      { "set_uri_args", f_set_uri_args },
                                      { NULL, NULL } };
    lua_newtable(L);
    vm_register(vm, L, funcs);
    ngx_req_header_open(vm, L);
    lua_setfield(L, -2, "req");
}
