/* latchkey_driver.h -- platforms by name: the built-in ones, and those that
 * scripts have described. */
#pragma once
#include "platform/platform.h"
#include <lua.h>

/* NULL where there is none.  It lives as long as the vm. */
const struct platform *latchkey_driver_find(lua_State *L, struct slice name);
