/* cdata.c -- C objects that scripts hold as LuaJIT's `void *`. */
#include "api/cdata.h"

static const char source[] =
    "local free = ...\n"
    "local ffi = require 'ffi'\n"
    "local function drop(object) free(object) end\n"
    "return function(object)\n"
    "  return ffi.gc(ffi.cast('void *', object), drop)\n"
    "end\n";

enum { TYPE_CDATA = 10 }; /* LuaJIT's own, in no header */

void cdata_open(struct vm *vm, const void *kind, lua_CFunction free_it)
{
    lua_State *L = vm->L;
    lua_pushlightuserdata(L, (void *)(uintptr_t)kind);
    if (vm_load(vm, SLICE_OF(source, sizeof source - 1), "=cdata") != OK)
        lua_pushnil(L);
    vm_push_function(vm, L, free_it);
    lua_call(L, 1, 1);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

/* Called in the main state: L may be a coroutine that waits. */
void cdata_push(lua_State *L, struct vm *vm, const void *kind, void *object)
{
    lua_pushlightuserdata(vm->L, (void *)(uintptr_t)kind);
    lua_rawget(vm->L, LUA_REGISTRYINDEX);
    lua_pushlightuserdata(vm->L, object);
    lua_call(vm->L, 1, 1);
    if (L != vm->L)
        lua_xmove(vm->L, L, 1);
}

void *cdata_at(lua_State *L, int index)
{
    if (lua_type(L, index) != TYPE_CDATA)
        return NULL;
    return *(void *const *)lua_topointer(L, index);
}
