/* json.h -- jansson's values as Lua's, with cjson's conventions. */
#pragma once
#include <jansson.h>
#include <lua.h>

/* Pushes value: objects and arrays as tables, null as ngx.null.  The caller
 * keeps value.  Depth is bounded by whoever parsed it. */
void json_push(lua_State *L, const json_t *value);
