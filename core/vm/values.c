/* values.c -- Lua values as bytes, to be made again in another vm. */
#include "vm/values.h"
#include <lauxlib.h>

/* What follows a table's pairs of key and value. */
enum { END = 0x7f, SLOTS = 4 };

#define DEPTH_TEXT(n) #n
#define DEPTH_FAULT(n)                                                         \
    "suspicious circular references, table depth exceed max "                  \
    "depth: " DEPTH_TEXT(n)

static void add_bytes(struct buf *out, const void *bytes, size_t n)
{
    buf_add(out, SLICE_OF(bytes, n));
}

static void add_string(lua_State *L, int index, struct buf *out)
{
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    add_bytes(out, &len, sizeof len);
    add_bytes(out, text, len);
}

static const char *unsupported(int type)
{
    return type == LUA_TFUNCTION   ? "unsupported Lua type: LUA_TFUNCTION"
           : type == LUA_TUSERDATA ? "unsupported Lua type: LUA_TUSERDATA"
           : type == LUA_TTHREAD   ? "unsupported Lua type: LUA_TTHREAD"
                                   : "unsupported Lua type";
}

static const char *add(lua_State *L, int index, struct buf *out, int depth);

static const char *add_table(lua_State *L, int index, struct buf *out,
                             int depth)
{
    if (depth >= VALUES_DEPTH)
        return DEPTH_FAULT(100);
    if (!lua_checkstack(L, SLOTS))
        return "no memory";
    lua_pushnil(L);
    while (lua_next(L, index)) {
        int top = lua_gettop(L);
        const char *fault = add(L, top - 1, out, depth + 1);
        if (!fault)
            fault = add(L, top, out, depth + 1);
        lua_pop(L, 1);
        if (fault) {
            lua_pop(L, 1);
            return fault;
        }
    }
    buf_add_char(out, END);
    return NULL;
}

static const char *add(lua_State *L, int index, struct buf *out, int depth)
{
    int type = lua_type(L, index);
    const void *pointer = lua_touserdata(L, index);
    lua_Number number = type == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
    buf_add_char(out, (char)type);
    if (type == LUA_TBOOLEAN)
        buf_add_char(out, (char)lua_toboolean(L, index));
    else if (type == LUA_TNUMBER)
        add_bytes(out, &number, sizeof number);
    else if (type == LUA_TLIGHTUSERDATA)
        add_bytes(out, &pointer, sizeof pointer);
    else if (type == LUA_TSTRING)
        add_string(L, index, out);
    else if (type != LUA_TTABLE && type != LUA_TNIL)
        return unsupported(type);
    if (out->len > VALUES_MAX)
        return "too much to copy";
    if (!buf_ok(out))
        return "no memory";
    return type == LUA_TTABLE ? add_table(L, index, out, depth) : NULL;
}

const char *values_add(lua_State *L, int index, struct buf *out)
{
    return add(L, index, out, 1);
}

static void take(struct slice *from, void *to, size_t n)
{
    memcpy(to, from->data, n);
    *from = slice_from(*from, n);
}

static void push_string(lua_State *L, struct slice *from)
{
    size_t len;
    take(from, &len, sizeof len);
    lua_pushlstring(L, from->data, len);
    *from = slice_from(*from, len);
}

static void push_table(lua_State *L, struct slice *from)
{
    lua_newtable(L);
    while (*from->data != END) {
        values_push(L, from);
        values_push(L, from);
        lua_rawset(L, -3);
    }
    *from = slice_from(*from, 1);
}

void values_push(lua_State *L, struct slice *from)
{
    lua_Number number;
    void *pointer;
    char type = *from->data, truth;
    *from = slice_from(*from, 1);
    switch (type) {
    case LUA_TBOOLEAN:
        take(from, &truth, 1);
        lua_pushboolean(L, truth);
        break;
    case LUA_TNUMBER:
        take(from, &number, sizeof number);
        lua_pushnumber(L, number);
        break;
    case LUA_TLIGHTUSERDATA:
        take(from, &pointer, sizeof pointer);
        lua_pushlightuserdata(L, pointer);
        break;
    case LUA_TSTRING:
        push_string(L, from);
        break;
    case LUA_TTABLE:
        luaL_checkstack(L, SLOTS, "too deep");
        push_table(L, from);
        break;
    default:
        lua_pushnil(L);
    }
}
