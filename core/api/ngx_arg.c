/* ngx_arg.c -- ngx.arg: what set_by_lua is called with, and the chunk that
 * body_filter_by_lua has at hand, with whether it is the last. */
#include "api/request.h"

enum { CHUNK = 1, LAST = 2 };

static int get_argument(lua_State *L, struct request *r, int index)
{
    const struct conf_op *op = r->set;
    struct buf value = { 0 };
    if (index < 1 || (unsigned)index > op->nargs)
        return 0;
    variable_render(r, &op->args[index - 1], &value);
    vm_push(L, buf_slice(&value));
    buf_free(&value);
    return 1;
}

static int get_chunk(lua_State *L, const struct request_chunk *chunk, int index)
{
    if (index == CHUNK)
        vm_push(L, slice_from(buf_slice(chunk->data), chunk->from));
    else if (index == LAST)
        lua_pushboolean(L, chunk->last);
    else
        return 0;
    return 1;
}

static struct request *filtering(lua_State *L)
{
    return api_request_in(L, 1u << CONF_SET_LUA_PHASE | 1u << CONF_BODY_FILTER);
}

static int f_get(lua_State *L)
{
    struct request *r = filtering(L);
    int index = (int)luaL_checkinteger(L, 2);
    return r->phase == CONF_BODY_FILTER ? get_chunk(L, r->chunk, index)
                                        : get_argument(L, r, index);
}

/* A string, nil, or an array of strings as ngx.print takes it. */
static void set_chunk(lua_State *L, struct request_chunk *chunk)
{
    struct buf with = { 0 };
    if (!lua_isnil(L, 3))
        ngx_output_add(L, 3, &with);
    chunk->data->len = chunk->from;
    buf_add(chunk->data, buf_slice(&with));
    buf_free(&with);
}

static int f_set(lua_State *L)
{
    struct request *r = filtering(L);
    int index = (int)luaL_checkinteger(L, 2);
    if (r->phase != CONF_BODY_FILTER)
        return luaL_error(L, "API disabled in the context of set_by_lua*");
    if (index == CHUNK)
        set_chunk(L, r->chunk);
    else if (index == LAST)
        r->chunk->last = lua_toboolean(L, 3);
    else
        return luaL_error(L, "bad index: %d", index);
    return 0;
}

void ngx_arg_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg meta[] = { { "__index", f_get },
                                     { "__newindex", f_set },
                                     { NULL, NULL } };
    lua_newtable(L);
    lua_createtable(L, 0, 2);
    vm_register(vm, L, meta);
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "arg");
}
