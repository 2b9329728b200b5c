/* json.c -- jansson's values as Lua's. */
#include "api/json.h"
#include <lauxlib.h>
#include <stdint.h>

static void push_object(lua_State *L, const json_t *object)
{
    const char *name;
    json_t *member;
    lua_createtable(L, 0, (int)json_object_size(object));
    json_object_foreach((json_t *)(uintptr_t)object, name, member)
    {
        lua_pushstring(L, name);
        json_push(L, member);
        lua_rawset(L, -3);
    }
}

static void push_array(lua_State *L, const json_t *array)
{
    size_t n = json_array_size(array);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        json_push(L, json_array_get(array, i));
        lua_rawseti(L, -2, (int)i + 1);
    }
}

void json_push(lua_State *L, const json_t *value)
{
    luaL_checkstack(L, 4, "JSON is nested too deeply");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        push_object(L, value);
        break;
    case JSON_ARRAY:
        push_array(L, value);
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        lua_pushnumber(L, (lua_Number)json_integer_value(value));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(value));
        break;
    case JSON_NULL:
        lua_pushlightuserdata(L, NULL);
        break;
    }
}
