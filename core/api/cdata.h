/* cdata.h -- C objects that scripts hold as LuaJIT's `void *`, which frees
 * itself: what lua-resty-core makes of TLS sessions, certificates and keys. */
#pragma once
#include "vm/vm.h"

/* Makes ready to push objects that free_it, a function of one such argument,
 * frees; the address of kind names them. */
void cdata_open(struct vm *vm, const void *kind, lua_CFunction free_it);

/* Pushes object, which then belongs to the script. */
void cdata_push(lua_State *L, struct vm *vm, const void *kind, void *object);

/* The object at index, of whatever kind; NULL: not one. */
void *cdata_at(lua_State *L, int index);
