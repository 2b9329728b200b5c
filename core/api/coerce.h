/* coerce.h -- what OpenResty's functions do to an argument that should be a
 * text. */
#pragma once
#include "vm/vm.h"

/* The text at index: "" for nil, false or nothing; a table's __tostring; any
 * other value as tostring() writes it.  The stack slot then holds that text
 * and keeps it alive. */
static inline struct slice coerce_text(lua_State *L, int index)
{
    if (lua_gettop(L) < index)
        lua_settop(L, index);
    if (lua_type(L, index) == LUA_TSTRING)
        return vm_slice(L, index);
    if (!lua_toboolean(L, index)) {
        lua_pushliteral(L, "");
    } else {
        lua_getglobal(L, "tostring");
        lua_pushvalue(L, index);
        lua_call(L, 1, 1);
    }
    lua_replace(L, index);
    return vm_slice(L, index);
}
