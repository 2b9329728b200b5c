/* vm.h -- one LuaJIT state: made, loaded, drained and freed by one thread.
 *
 * Every C function that scripts see is registered with vm_register, so that
 * its first upvalue is the vm: vm_of() costs nothing and works in every
 * coroutine. */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <uv.h>

struct task;
struct script_cache;

struct vm {
    lua_State *L;
    uv_loop_t *loop;
    struct task *running; /* the task whose coroutine runs now, or NULL */
    struct task *tasks;   /* all that live, newest first */
    struct task *idle;    /* finished ones, kept for reuse */
    unsigned live, idle_count;
    void *host;           /* what api hangs on it: a struct api_host */
    uint64_t generation;
    bool retired;                      /* a newer vm serves; end when empty */
    void (*on_drained)(struct vm *vm); /* retired, and the last task ended */
};

/* A state with LuaJIT's libraries and the waits wrapped through coroutines.
 * package.path and cpath are set by the caller (vm_set_path). */
enum err vm_new(struct vm **out, uv_loop_t *loop);

/* Cancels what still runs and frees the state.  The memory goes when the
 * loop has closed its timers. */
void vm_free(struct vm *vm);

/* field is "path" or "cpath". */
void vm_set_path(struct vm *vm, const char *field, struct slice value);

/* The vm of a function registered with vm_register. */
static inline struct vm *vm_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* Sets funcs into the table at the top, each with the vm as upvalue. */
void vm_register(struct vm *vm, lua_State *L, const luaL_Reg *funcs);

/* Makes a metatable named name (luaL_newmetatable) with funcs and
 * __index = itself; leaves nothing. */
void vm_class(struct vm *vm, const char *name, const luaL_Reg *funcs);

/* Makes `require(name)` give what open leaves on the stack. */
void vm_preload(struct vm *vm, const char *name,
                int (*open)(struct vm *vm, lua_State *L));

/* Calls the function and nargs arguments on top of L, outside any task (it
 * must not wait).  ERR_SCRIPT: err_text() has message and traceback. */
enum err vm_call(struct vm *vm, int nargs, int nresults);

/* A message handler: turns the error at the top into text with traceback. */
int vm_traceback(lua_State *L);

/* The slice of a string at index (the stack keeps it alive). */
static inline struct slice vm_slice(lua_State *L, int index)
{
    struct slice s;
    s.data = lua_tolstring(L, index, &s.len);
    return s;
}

static inline struct slice vm_check_slice(lua_State *L, int index)
{
    struct slice s;
    s.data = luaL_checklstring(L, index, &s.len);
    return s;
}

static inline void vm_push(lua_State *L, struct slice s)
{
    lua_pushlstring(L, s.data ? s.data : "", s.len);
}

/* The usual answer of a function that failed: nil, reason. */
static inline int vm_fail(lua_State *L, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}
