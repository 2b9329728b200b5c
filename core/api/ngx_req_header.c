/* ngx_req_header.c -- ngx.req: the request's headers, read and changed. */
#include "api/collect.h"
#include "api/header_text.h"

/* ngx.req.get_headers(max = 100, raw = false): names in lower case, found
 * under any spelling. */
static int f_get_headers(lua_State *L)
{
    struct request *r = api_request(L);
    unsigned max = collect_max(L, 1);
    if (max && r->header_count > max)
        collect_warn(r, "lua exceeding request header limit %u > %u",
                     r->header_count, max);
    return collect_headers(L, r->headers, r->header_count, max,
                           lua_toboolean(L, 2));
}

/* An empty text takes the header out. */
static void put(struct request *r, struct slice name, struct slice value,
                bool replace)
{
    struct arena *arena = &r->http->arena;
    struct slice text = header_text_escape(arena, value, false);
    ngx_req_change_header(r, header_text_escape(arena, name, true),
                          text.len || !replace ? text : SLICE_NONE, replace);
}

static void put_list(lua_State *L, struct request *r, struct slice name,
                     bool replace)
{
    int n = (int)lua_objlen(L, 2);
    if (!n && !replace)
        luaL_error(L, "bad 'value' argument: non-empty table expected");
    if (!n)
        ngx_req_change_header(r, name, SLICE_NONE, true);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, 2, i);
        put(r, name, header_text_at(L, lua_gettop(L)), replace && i == 1);
        lua_pop(L, 1);
    }
}

static int change(lua_State *L, bool replace)
{
    struct request *r = api_request(L);
    lua_settop(L, 2);
    if (lua_isnil(L, 1))
        return luaL_error(L, "bad 'name' argument: string expected, got nil");
    if (lua_isnil(L, 2) && !replace)
        return luaL_error(L, "bad 'value' argument: string or table expected, "
                             "got nil");
    struct slice name = header_text_at(L, 1);
    if (lua_isnil(L, 2))
        ngx_req_change_header(r, name, SLICE_NONE, true);
    else if (lua_istable(L, 2))
        put_list(L, r, name, replace);
    else
        put(r, name, header_text_at(L, 2), replace);
    return 0;
}

static int f_set_header(lua_State *L)
{
    return change(L, true);
}

/* require("ngx.req").add_header(name, value): beside those of that name. */
static int f_add_header(lua_State *L)
{
    return change(L, false);
}

static int f_clear_header(lua_State *L)
{
    struct request *r = api_request(L);
    luaL_checkany(L, 1);
    ngx_req_change_header(r, header_text_at(L, 1), SLICE_NONE, true);
    return 0;
}

void ngx_req_header_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "get_headers", f_get_headers },
                                      { "set_header", f_set_header },
                                      { "clear_header", f_clear_header },
                                      { NULL, NULL } };
    static const luaL_Reg module[] = { { "add_header", f_add_header },
                                       { NULL, NULL } };
    vm_register(vm, L, funcs);
    api_preload(vm, "ngx.req", module);
}
