/* ngx_header.c -- ngx.header: the answer's headers, read and set. */
#include "api/request.h"

/* content_type means Content-Type. */
static struct slice real_name(struct slice name, char text[256])
{
    if (name.len > 255)
        name.len = 255;
    for (size_t i = 0; i < name.len; i++)
        text[i] = name.data[i] == '_' ? '-' : name.data[i];
    return SLICE_OF(text, name.len);
}

static int f_get(lua_State *L)
{
    char text[256];
    struct request *r = api_request(L);
    struct slice name = real_name(vm_check_slice(L, 2), text);
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
    if (!found && slice_eq_nocase(name, SLICE("Content-Type")) &&
        !r->headers_sent)
        vm_push(L, r->location->default_type);
    else if (!found)
        lua_pushnil(L);
    return 1;
}

/* A line break in a value would start a header of the caller's making. */
static struct slice safe_value(struct request *r, struct slice value)
{
    struct slice copy = arena_dup(&r->http->arena, value);
    size_t kept = 0;
    char *to = (char *)(uintptr_t)copy.data;
    for (size_t i = 0; to && i < copy.len; i++)
        if ((unsigned char)copy.data[i] >= 0x20 || copy.data[i] == '\t')
            to[kept++] = copy.data[i];
    return (struct slice){ copy.data, to ? kept : 0 };
}

static void set_one(lua_State *L, struct request *r, struct slice name,
                    int index, bool replace)
{
    lua_pushvalue(L, index);
    request_set_header(r, name, safe_value(r, vm_slice(L, -1)), replace);
    lua_pop(L, 1);
}

static int f_set(lua_State *L)
{
    char text[256];
    struct request *r = api_request(L);
    struct slice name = real_name(vm_check_slice(L, 2), text);
    if (r->headers_sent) {
        struct buf line = { 0 };
        buf_addf(&line,
                 "attempt to set ngx.header.%.*s after sending out response "
                 "headers",
                 SLICE_FMT(vm_slice(L, 2)));
        request_log(r, LOG_ERR, buf_slice(&line));
        buf_free(&line);
        return 0;
    }
    if (lua_isnil(L, 3)) {
        request_set_header(r, name, SLICE_NONE, true);
    } else if (lua_istable(L, 3)) {
        int n = (int)lua_objlen(L, 3);
        request_set_header(r, name, SLICE_NONE, true);
        for (int i = 1; i <= n; i++) {
            lua_rawgeti(L, 3, i);
            set_one(L, r, name, lua_gettop(L), false);
            lua_pop(L, 1);
        }
    } else {
        set_one(L, r, name, 3, true);
    }
    return 0;
}

void ngx_header_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg meta[] = { { "__index", f_get },
                                     { "__newindex", f_set },
                                     { NULL, NULL } };
    lua_newtable(L);
    lua_createtable(L, 0, 2);
    vm_register(vm, L, meta);
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "header");
}
