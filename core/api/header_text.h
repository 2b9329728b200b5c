/* header_text.h -- names and values of headers as scripts give them. */
#pragma once
#include "api/request.h"
#include "vm/vm.h"

/* What may not stand in a header is written as %XX: a line break would start
 * a header of somebody else's making.  s itself, or a text in the arena. */
struct slice header_text_escape(struct arena *arena, struct slice s,
                                bool is_name);

/* tostring of the value at index, in its slot. */
struct slice header_text_at(lua_State *L, int index);
