/* ngx_escape.c -- ngx.escape_uri, ngx.encode_args, ngx.encode_base64,
 * ngx.quote_sql_str and what undoes them. */
#include "api/api.h"
#include "api/coerce.h"
#include "base/buf.h"
#include "base/text.h"
#include <ctype.h>

enum { ESCAPE_URI, ESCAPE_COMPONENT = 2, ESCAPE_LAST = 6, ARGS_MAX = 100 };

/* What is escaped besides control characters, by type: URI, args, component,
 * HTML, refresh, memcached, mail.  A component keeps !'()* as they are, which
 * RFC 3986 would not: so does ngx.escape_uri. */
static const char *const specials[] = {
    " #%?", " #%+?", " \"#$%&+,/:;<=>?@[\\]^`{|}", " \"#%'", " \"'", " %", " %"
};

static bool is_escaped(unsigned char c, int type)
{
    if (isalnum(c))
        return false;
    if (c < 0x20)
        return true;
    if (c >= 0x7f) /* memcached and mail take any byte but controls */
        return type <= 4;
    return strchr(specials[type], c) != NULL;
}

static void add_escaped(luaL_Buffer *out, struct slice s, int type)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (is_escaped(c, type)) {
            luaL_addchar(out, '%');
            luaL_addchar(out, digits[c >> 4]);
            luaL_addchar(out, digits[c & 15]);
        } else {
            luaL_addchar(out, (char)c);
        }
    }
}

/* These errors carry no position, as OpenResty's do not. */
static int check_type(lua_State *L)
{
    if (lua_isnoneornil(L, 2))
        return ESCAPE_COMPONENT;
    if (lua_type(L, 2) != LUA_TNUMBER) {
        lua_pushliteral(L, "\"type\" is not a number");
        return lua_error(L);
    }
    lua_Number type = lua_tonumber(L, 2);
    if (!(type >= ESCAPE_URI && type <= ESCAPE_LAST)) {
        lua_pushfstring(L, "\"type\" %f out of range", type);
        return lua_error(L);
    }
    return (int)type;
}

static int f_escape_uri(lua_State *L)
{
    luaL_Buffer out;
    struct slice s = coerce_text(L, 1);
    int type = check_type(L);
    size_t plain = 0;
    while (plain < s.len && !is_escaped((unsigned char)s.data[plain], type))
        plain++;
    if (plain == s.len) {
        lua_pushvalue(L, 1);
        return 1;
    }
    luaL_buffinit(L, &out);
    add_escaped(&out, s, type);
    luaL_pushresult(&out);
    return 1;
}

/* Pushes s with %XX decoded and '+' as a blank. */
static void push_unescaped(lua_State *L, struct slice s)
{
    if (slice_find(s, '%') == s.len && slice_find(s, '+') == s.len) {
        vm_push(L, s);
        return;
    }
    struct buf room = { lua_newuserdata(L, s.len), 0, s.len, false };
    text_unescape_uri(&room, s, true); /* never longer, so it does not grow */
    vm_push(L, buf_slice(&room));
    lua_remove(L, -2);
}

static int f_unescape_uri(lua_State *L)
{
    push_unescaped(L, coerce_text(L, 1));
    return 1;
}

/* ---- query strings ------------------------------------------------------ */

/* "key=value" into the buffer, which has no part yet where first is set. */
static void add_arg(luaL_Buffer *out, bool *first, struct slice key,
                    const struct slice *value)
{
    if (!*first)
        luaL_addchar(out, '&');
    *first = false;
    add_escaped(out, key, ESCAPE_COMPONENT);
    if (value) {
        luaL_addchar(out, '=');
        add_escaped(out, *value, ESCAPE_COMPONENT);
    }
}

/* A value of the table at index: text or number, true (no '='), false
 * (nothing). */
static void check_arg(lua_State *L, int index)
{
    int type = lua_type(L, index);
    if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
        luaL_error(L, "attempt to use %s as query arg value",
                   luaL_typename(L, index));
}

/* Turns {a = {1, true}, b = "x"} into the flat list {"a", "1", "a", true,
 * "b", "x"} at the top of the stack: a luaL_Buffer and lua_next cannot share
 * the stack. */
static int flatten_value(lua_State *L, int list, int n, int key, int value)
{
    check_arg(L, value);
    if (lua_isboolean(L, value) && !lua_toboolean(L, value))
        return n;
    lua_pushvalue(L, key);
    lua_rawseti(L, list, ++n);
    lua_pushvalue(L, value);
    lua_rawseti(L, list, ++n);
    return n;
}

static int flatten(lua_State *L)
{
    int n = 0;
    lua_newtable(L); /* 2 */
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        if (lua_type(L, 3) != LUA_TSTRING)
            luaL_error(L, "attempt to use a non-string key in the "
                          "\"args\" option table");
        if (!lua_istable(L, 4)) {
            n = flatten_value(L, 2, n, 3, 4);
            continue;
        }
        for (lua_pushnil(L); lua_next(L, 4); lua_pop(L, 1))
            n = flatten_value(L, 2, n, 3, 6);
    }
    return n;
}

static int f_encode_args(lua_State *L)
{
    luaL_Buffer out;
    bool first = true;
    if (lua_gettop(L) != 1)
        return luaL_error(L, "expecting 1 argument but seen %d", lua_gettop(L));
    luaL_checktype(L, 1, LUA_TTABLE);
    int n = flatten(L);
    lua_settop(L, 4);
    luaL_buffinit(L, &out);
    for (int i = 1; i < n; i += 2) {
        /* 3 and 4 hold key and value while the buffer has the stack above. */
        lua_rawgeti(L, 2, i);
        lua_replace(L, 3);
        lua_rawgeti(L, 2, i + 1);
        lua_replace(L, 4);
        struct slice value = vm_slice(L, 4);
        add_arg(&out, &first, vm_slice(L, 3),
                lua_isboolean(L, 4) ? NULL : &value);
    }
    luaL_pushresult(&out);
    return 1;
}

/* table[key] = value with both on top: a key that comes again gets a list. */
static void put_arg(lua_State *L, int table)
{
    lua_pushvalue(L, -2);
    lua_rawget(L, table); /* key value old */
    if (lua_istable(L, -1)) {
        lua_insert(L, -2); /* key old value */
        lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
        lua_pop(L, 2);
        return;
    }
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
    } else {
        lua_createtable(L, 4, 0);
        lua_insert(L, -3); /* key list value old */
        lua_rawseti(L, -3, 1);
        lua_rawseti(L, -2, 2);
    }
    lua_rawset(L, table);
}

static void decode_part(lua_State *L, struct slice part, int table)
{
    size_t eq = slice_find(part, '=');
    if (!eq)
        return; /* without a name there is nothing to call it */
    push_unescaped(L, (struct slice){ part.data, eq });
    if (eq < part.len)
        push_unescaped(L, slice_from(part, eq + 1));
    else
        lua_pushboolean(L, true);
    put_arg(L, table);
}

static int f_decode_args(lua_State *L)
{
    int n = lua_gettop(L);
    if (n != 1 && n != 2)
        return luaL_error(L, "expecting 1 or 2 arguments but seen %d", n);
    struct slice rest = vm_check_slice(L, 1);
    int max = n == 2 ? (int)luaL_checkinteger(L, 2) : ARGS_MAX;
    lua_createtable(L, 0, 4);
    int table = n + 1;
    for (int count = 0; rest.len;) {
        size_t end = slice_find(rest, '&');
        bool more = end < rest.len;
        decode_part(L, (struct slice){ rest.data, end }, table);
        rest = slice_from(rest, end + 1);
        if (more && max > 0 && ++count == max) {
            lua_pushliteral(L, "truncated");
            return 2;
        }
    }
    return 1;
}

/* ---- SQL ---------------------------------------------------------------- */

static int f_quote_sql_str(lua_State *L)
{
    static const char plain[] = "\0\b\n\r\t\x1a\\'\"";
    static const char quoted[] = "0bnrtZ\\'\"";
    luaL_Buffer out;
    if (lua_gettop(L) != 1)
        return luaL_error(L, "expecting one argument");
    struct slice s = vm_check_slice(L, 1);
    luaL_buffinit(L, &out);
    luaL_addchar(&out, '\'');
    for (size_t i = 0; i < s.len; i++) {
        const char *at = memchr(plain, s.data[i], sizeof plain - 1);
        if (at)
            luaL_addchar(&out, '\\');
        luaL_addchar(&out, at ? quoted[at - plain] : s.data[i]);
    }
    luaL_addchar(&out, '\'');
    luaL_pushresult(&out);
    return 1;
}

void ngx_escape_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "escape_uri", f_escape_uri },
                                      { "unescape_uri", f_unescape_uri },
                                      { "encode_args", f_encode_args },
                                      { "decode_args", f_decode_args },
                                      { "quote_sql_str", f_quote_sql_str },
                                      { NULL, NULL } };
    vm_register(vm, L, funcs);
}
