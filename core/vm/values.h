/* values.h -- Lua values as bytes, to be made again in another vm: nil,
 * booleans, numbers, strings, light userdata, and tables of these without
 * their metatables. */
#pragma once
#include "base/buf.h"
#include <lua.h>

enum { VALUES_DEPTH = 100, VALUES_MAX = 256 * 1024 * 1024 };

/* Appends the value at index.  NULL, or why there is no copy of it; what has
 * been appended is then of no use. */
const char *values_add(lua_State *L, int index, struct buf *out);

/* Takes the first value off `from`, which values_add wrote, and pushes it.
 * There is room on the stack for one; raises where there is no memory. */
void values_push(lua_State *L, struct slice *from);
