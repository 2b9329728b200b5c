/* collect.c -- tables of names that may come more than once. */
#include "api/collect.h"
#include <stdarg.h>
#include <stdio.h>

enum { MAX_DEFAULT = 100 };

static const char class[] = "latchkey.headers";

void collect_put(lua_State *L, int t)
{
    lua_pushvalue(L, -2);
    lua_rawget(L, t);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_rawset(L, t);
    } else if (lua_istable(L, -1)) {
        lua_insert(L, -2);
        lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
        lua_pop(L, 2);
    } else {
        lua_createtable(L, 4, 0); /* name new old list */
        lua_insert(L, -3);        /* name list new old */
        lua_rawseti(L, -3, 1);
        lua_rawseti(L, -2, 2);
        lua_rawset(L, t);
    }
}

/* Pushes name in lower case, with dashes for underscores where those count
 * as such. */
static void push_lower(lua_State *L, struct slice name, bool dashes)
{
    char small[64] = { 0 }, *text = small;
    if (name.len > sizeof small)
        text = lua_newuserdata(L, name.len);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        text[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20)
                  : c == '_' && dashes ? '-'
                                       : c;
    }
    vm_push_word(L, SLICE_OF(text, name.len));
    if (text != small)
        lua_remove(L, -2);
}

/* __index of such tables: X_Request_ID is x-request-id. */
static int f_find(lua_State *L)
{
    push_lower(L, vm_check_slice(L, 2), true);
    lua_rawget(L, 1);
    return 1;
}

int collect_headers(lua_State *L, const struct http_header *headers,
                    unsigned count, unsigned max, bool raw)
{
    unsigned n = max && count > max ? max : count;
    lua_createtable(L, 0, (int)n);
    int t = lua_gettop(L);
    for (unsigned i = 0; i < n; i++) {
        if (raw)
            vm_push_word(L, headers[i].name);
        else
            push_lower(L, headers[i].name, false);
        vm_push(L, headers[i].value);
        collect_put(L, t);
    }
    if (!raw) {
        luaL_getmetatable(L, class);
        lua_setmetatable(L, t);
    }
    if (n == count)
        return 1;
    lua_pushliteral(L, "truncated");
    return 2;
}

unsigned collect_max(lua_State *L, int index)
{
    lua_Integer max = luaL_optinteger(L, index, MAX_DEFAULT);
    return max < 0 || max > 1000000 ? 0 : (unsigned)max;
}

void collect_warn(const struct request *r, const char *format, ...)
{
    char text[96];
    va_list args;
    if (!log_enabled(LOG_DEBUG))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    request_log(r, LOG_DEBUG, slice_str(text));
}

void collect_open(struct vm *vm, lua_State *L)
{
    luaL_newmetatable(L, class);
    vm_push_function(vm, L, f_find);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
