/* traceback.c -- where a task failed, as OpenResty's log shows it. */
#include "vm/traceback.h"

/* The stack of co, as one coroutine of a traceback. */
static void add_stack(struct vm *vm, lua_State *co, int *number,
                      struct buf *out)
{
    lua_State *L = vm->L;
    luaL_traceback(L, co, NULL, 0);
    struct slice frames = vm_slice(L, -1);
    buf_addf(out, "\ncoroutine %d:", (*number)++);
    buf_add(out, slice_from(frames, strlen("stack traceback:")));
    lua_pop(L, 1);
}

/* The wrapped coroutines that the error at the top of t->co came through. */
static void add_trail(struct task *t, int *number, struct buf *out)
{
    lua_State *L = t->vm->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->vm->trail);
    lua_rawgeti(L, -1, 0);
    lua_pushvalue(t->co, -1);
    lua_xmove(t->co, L, 1);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    for (int i = 1, n = (int)lua_objlen(L, -1); i <= n; i++) {
        lua_rawgeti(L, -1, i);
        if (same)
            add_stack(t->vm, lua_tothread(L, -1), number, out);
        lua_pop(L, 1);
        lua_pushnil(L);
        lua_rawseti(L, -2, i);
    }
    lua_pushnil(L);
    lua_rawseti(L, -2, 0);
    lua_pop(L, 1);
}

/* LuaJIT's own text for want of memory has no place in it, and a compiled loop
 * has lost its line; then the function's must do. */
static void add_place(lua_State *co, struct buf *out)
{
    lua_Debug at;
    int level = 0;
    while (lua_getstack(co, level++, &at))
        if (lua_getinfo(co, "Sl", &at) && *at.what != 'C') {
            bool known = at.currentline > 0;
            buf_addf(out, " at %s:%d", at.short_src,
                     known ? at.currentline : at.linedefined);
            return;
        }
}

static void add_reason(struct task *t, struct buf *out)
{
    const char *why = lua_tostring(t->co, -1);
    bool memory = lua_status(t->co) == LUA_ERRMEM;
    buf_addf(out, "%s error: %s", memory ? "memory allocation" : "runtime",
             why ? why : "unknown reason");
    if (memory)
        add_place(t->co, out);
}

void traceback_add(struct task *t, struct buf *out)
{
    int number = 0;
    add_reason(t, out);
    buf_add_str(out, "\nstack traceback:");
    add_trail(t, &number, out);
    add_stack(t->vm, t->co, &number, out);
    while ((t = t->parent) && t->state != TASK_DONE)
        add_stack(t->vm, t->co, &number, out);
}
