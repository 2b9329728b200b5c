/* ngx_header.c -- ngx.header and ngx.resp: the answer's headers. */
#include "api/collect.h"
#include "api/header_text.h"

/* Headers of which an answer has one, so that the last value counts. */
static bool is_single(struct slice name)
{
    static const char *const names[] = {
        "Content-Type",     "Content-Length", "Location",      "Last-Modified",
        "Content-Encoding", "ETag",           "Server",        "Date",
        "WWW-Authenticate", "Expires",        "Accept-Ranges", "Content-Range",
        "Refresh",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_eq_nocase(name, slice_str(names[i])))
            return true;
    return false;
}

/* content_type means Content-Type, unless the location says otherwise. */
static struct slice real_name(const struct request *r, struct slice name,
                              char text[256])
{
    if (name.len > 255)
        name.len = 255;
    bool dashes = r->location->lua_transform_underscores_in_response_headers;
    for (size_t i = 0; i < name.len; i++)
        text[i] = name.data[i] == '_' && dashes ? '-' : name.data[i];
    return SLICE_OF(text, name.len);
}

/* ---- reading ------------------------------------------------------------ */

/* The type that an answer under way got from its location. */
static void push_missing(lua_State *L, const struct request *r,
                         struct slice name)
{
    if (slice_eq_nocase(name, SLICE("Content-Type")) && r->headers_sent &&
        !r->type_set && r->location->lua_use_default_type)
        vm_push(L, r->location->default_type);
    else
        lua_pushnil(L);
}

static int f_get(lua_State *L)
{
    char text[256];
    struct request *r = api_request(L);
    struct slice name = real_name(r, header_text_at(L, 2), text);
    int found = 0;
    for (unsigned i = 0; i < r->out_count; i++) {
        if (!slice_eq_nocase(r->out[i].name, name))
            continue;
        vm_push(L, r->out[i].value);
        if (++found == 2) { /* several: a table of them */
            lua_createtable(L, 4, 0);
            lua_insert(L, -3);
            lua_rawseti(L, -3, 2);
            lua_rawseti(L, -2, 1);
        } else if (found > 2) {
            lua_rawseti(L, -2, found);
        }
    }
    if (!found)
        push_missing(L, r, name);
    return 1;
}

/* ---- setting ------------------------------------------------------------ */

/* nginx reads the length as a number, and so do we. */
static bool is_length(struct slice s)
{
    size_t i = 0;
    while (i < s.len && s.data[i] >= '0' && s.data[i] <= '9')
        i++;
    return s.len && s.len < 19 && i == s.len;
}

static void set_text(lua_State *L, struct request *r, struct slice name,
                     struct slice value, bool replace)
{
    if (value.len && slice_eq_nocase(name, SLICE("Content-Length")) &&
        !is_length(value))
        luaL_error(L, "failed to set header Content-Length (error: -1)");
    if (slice_eq_nocase(name, SLICE("Content-Type")))
        r->type_set = true;
    struct arena *arena = &r->http->arena;
    request_set_header(r, header_text_escape(arena, name, true),
                       value.len ? header_text_escape(arena, value, false)
                                 : SLICE_NONE,
                       replace || is_single(name));
}

static void set_list(lua_State *L, struct request *r, struct slice name,
                     int index, bool replace)
{
    int n = (int)lua_objlen(L, index);
    if (!n && replace)
        set_text(L, r, name, SLICE_NONE, true);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, index, i);
        struct slice value = header_text_at(L, lua_gettop(L));
        set_text(L, r, name, value, replace && i == 1);
        lua_pop(L, 1);
    }
}

static int set(lua_State *L, int index, bool replace)
{
    char text[256];
    struct request *r = api_request(L);
    struct slice name = real_name(r, header_text_at(L, index), text);
    int value = index + 1;
    if (r->headers_sent)
        request_log(r, LOG_ERR,
                    SLICE("attempt to set ngx.header.HEADER after sending "
                          "out response headers"));
    else if (lua_isnil(L, value))
        set_text(L, r, name, SLICE_NONE, true);
    else if (lua_istable(L, value))
        set_list(L, r, name, value, replace);
    else
        set_text(L, r, name, header_text_at(L, value), replace);
    return 0;
}

static int f_set(lua_State *L)
{
    return set(L, 2, true);
}

/* require("ngx.resp").add_header(name, value): beside those of that name. */
static int f_add_header(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_isnil(L, 2))
        return luaL_error(L, "invalid header value");
    return set(L, 1, false);
}

/* ---- all of them -------------------------------------------------------- */

static bool keeps_alive(const struct request *r)
{
    struct slice said = http_header(r->http, SLICE("Connection"));
    if (!r->location->keepalive_timeout)
        return false;
    return slice_eq(r->http->version, SLICE("HTTP/1.1"))
               ? !slice_eq_nocase(said, SLICE("close"))
               : slice_eq_nocase(said, SLICE("keep-alive"));
}

static void add(struct http_header *all, unsigned *n, struct slice name,
                struct slice value)
{
    all[(*n)++] = (struct http_header){ name, value };
}

/* What nginx writes itself, and scripts see among the others. */
static void add_own(const struct request *r, struct http_header *all,
                    unsigned *n)
{
    static const struct slice type = { "Content-Type", 12 };
    bool begun = r->headers_sent || r->phase == CONF_HEADER_FILTER;
    if (begun && !request_out_header(r, type).data && !r->type_set &&
        r->location->lua_use_default_type)
        add(all, n, type, r->location->default_type);
    add(all, n, SLICE("Connection"),
        keeps_alive(r) ? SLICE("keep-alive") : SLICE("close"));
    if (begun && !request_out_header(r, SLICE("Content-Length")).data &&
        slice_eq(r->http->version, SLICE("HTTP/1.1")) && !r->fd)
        add(all, n, SLICE("Transfer-Encoding"), SLICE("chunked"));
}

/* ngx.resp.get_headers(max = 100, raw = false) */
static int f_get_headers(lua_State *L)
{
    enum { OWN = 3 };
    struct request *r = api_request(L);
    unsigned max = collect_max(L, 1), n = r->out_count;
    struct http_header *all =
        arena_alloc(&r->http->arena, (n + OWN) * sizeof *all);
    if (!all)
        return vm_fail(L, "no memory");
    if (n)
        memcpy(all, r->out, n * sizeof *all);
    add_own(r, all, &n);
    if (max && n > max)
        collect_warn(r, "lua exceeding response header limit %u > %u", n, max);
    return collect_headers(L, all, n, max, lua_toboolean(L, 2));
}

void ngx_header_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg meta[] = { { "__index", f_get },
                                     { "__newindex", f_set },
                                     { NULL, NULL } };
    static const luaL_Reg resp[] = { { "get_headers", f_get_headers },
                                     { NULL, NULL } };
    static const luaL_Reg module[] = { { "add_header", f_add_header },
                                       { NULL, NULL } };
    lua_newtable(L);
    lua_createtable(L, 0, 2);
    vm_register(vm, L, meta);
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "header");
    lua_createtable(L, 0, 1);
    vm_register(vm, L, resp);
    lua_setfield(L, -2, "resp");
    api_preload(vm, "ngx.resp", module);
}
