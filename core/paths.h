/* paths.h -- where our own files are. */
#pragma once
#include "base/arena.h"

/* "ROOT/lua/?.lua;ROOT/lua/?/init.lua", ROOT being the folder above the
 * binary that has lua/latchkey, or the share/latchkey beside its bin; NULL:
 * none is found. */
const char *paths_lua(struct arena *arena);
