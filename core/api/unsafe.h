/* unsafe.h -- control characters, which would start a header of the caller's
 * making. */
#pragma once
#include "api/api.h"

/* Raises where uri has one; what: as in "redirect uri", hint: what to say
 * besides, or "". */
void unsafe_refuse(lua_State *L, struct slice uri, const char *what,
                   const char *hint);
