/* vm.h -- one LuaJIT state: made, loaded, drained and freed by one thread.
 *
 * Every C function that scripts see is registered with vm_register, so that
 * its first upvalue is the vm: vm_of() costs nothing and works in every
 * coroutine. */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "vm/limits.h"
#include "vm/words.h"
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <uv.h>

/* The chunk of our coroutine functions. */
#define VM_COROUTINES "=coroutine"

struct task;

struct vm {
    lua_State *L;
    uv_loop_t *loop;
    struct task *running; /* the task whose coroutine runs now, or NULL */
    struct task *tasks;   /* all that live, newest first */
    struct task *idle;    /* finished ones, kept for reuse */
    unsigned idle_count;
    unsigned holds; /* tasks and others that still need the state */
    struct limits limits;
    struct words words;
    const char *phase; /* the phase that runs outside tasks, or NULL */
    int marks, trail;  /* tables in the registry, see vm.c */
    void (*on_wait)(struct task *t); /* a task has begun to; NULL: nobody */
    void *host; /* what api hangs on it: a struct api_host */
    uint64_t generation;
    bool retired;                      /* a newer vm serves; end when empty */
    void (*on_drained)(struct vm *vm); /* retired, and nothing holds it */
};

/* A state with LuaJIT's libraries, and coroutines that let waits through. */
enum err vm_new(struct vm **out, uv_loop_t *loop);

/* Cancels what still runs and frees the state.  The tasks' memory goes when
 * the loop has closed their timers.  NULL is fine. */
void vm_free(struct vm *vm);

/* The state stays until as many vm_release have come; every task counts as
 * one hold. */
void vm_hold(struct vm *vm);
void vm_release(struct vm *vm);

/* No new work comes: on_drained is called once the last hold is gone,
 * perhaps at once.  It must not free the vm right there. */
void vm_retire(struct vm *vm, void (*on_drained)(struct vm *vm));

/* Sets package.path or package.cpath (field); ";;" in value stands for what
 * was there, as in LUA_PATH. */
void vm_set_path(struct vm *vm, const char *field, struct slice value);

/* The vm of a function registered with vm_register. */
static inline struct vm *vm_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* Sets funcs into the table at the top of L, each with the vm as upvalue. */
void vm_register(struct vm *vm, lua_State *L, const luaL_Reg *funcs);

/* Pushes one function with the vm as upvalue. */
void vm_push_function(struct vm *vm, lua_State *L, lua_CFunction f);

/* Makes a metatable called name with funcs and __index = itself; leaves
 * nothing on the stack.  luaL_checkudata(L, i, name) checks for it, and
 * vm_test(L, i, name) where name is at the same address. */
void vm_class(struct vm *vm, const char *name, const luaL_Reg *funcs);

/* luaL_testudata by the address of a class's name: no string is looked up. */
void *vm_test(lua_State *L, int index, const char *name);

/* Calls the function with nargs arguments on top of vm->L, outside any task
 * (it must not wait).  ERR_SCRIPT: err_text() has message and traceback, and
 * nothing is left on the stack. */
enum err vm_call(struct vm *vm, int nargs, int nresults);

/* As vm_call, but without a traceback: the error is left on the stack. */
enum err vm_try(struct vm *vm, int nargs, int nresults);

/* Pushes the compiled chunk; name as luaL_loadbuffer wants it ("@file",
 * "=text").  ERR_SCRIPT: err_text() says why, and nothing is pushed. */
enum err vm_load(struct vm *vm, struct slice source, const char *name);

/* The string at index (the stack keeps it alive); len 0 and NULL where it is
 * neither string nor number. */
static inline struct slice vm_slice(lua_State *L, int index)
{
    struct slice s;
    s.data = lua_tolstring(L, index, &s.len);
    if (!s.data)
        s.len = 0;
    return s;
}

/* As vm_slice; raises for anything but a string or number. */
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

/* As vm_push, for names and the like (vm/words.h), by a function that was
 * registered with vm_register. */
static inline void vm_push_word(lua_State *L, struct slice s)
{
    words_push(&vm_of(L)->words, L, s);
}

/* The usual answer of a function that failed: nil, reason. */
static inline int vm_fail(lua_State *L, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}
