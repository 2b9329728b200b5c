/* vm.c -- one LuaJIT state and the small helpers that bindings use. */
#include "vm/vm.h"
#include "base/log.h"
#include "vm/task.h"
#include <lualib.h>
#include <stdlib.h>

/* A wait yields this marker through every user coroutine up to the task, and
 * the values it is resumed with come back down the same way.  A coroutine
 * that never waits behaves as before, also where C is in between.
 *
 * marks[co] is set for what a script must not resume: true for a task's own
 * coroutine and for a user's that waits inside a task, or a status word: that
 * of a light thread that has ended (task_mark), "normal" while one that it
 * resumed waits.
 *
 * trail holds what an error passed through on its way out of wrapped
 * coroutines, innermost first: for traceback_add. */
static const char coroutines[] =
    "local WAIT, marks, trail, in_task = ...\n"
    "local raw, yield, status = coroutine.resume, coroutine.yield, "
    "coroutine.status\n"
    "local create, wrap, error = coroutine.create, coroutine.wrap, error\n"
    "local running = coroutine.running\n"
    "local pass\n"
    "local function normal(me, f, ...)\n"
    "  marks[me] = 'normal'\n"
    "  return f(...)\n"
    "end\n"
    "local function go_on(co, me, mark, ...)\n"
    "  marks[me], marks[co] = mark, nil\n"
    "  return pass(co, raw(co, ...))\n"
    "end\n"
    "function pass(co, ...)\n"
    "  local ok, first = ...\n"
    "  if ok and first == WAIT then\n"
    "    marks[co] = marks[co] or true\n"
    "    local me = running()\n"
    "    return go_on(co, me, marks[me], normal(me, yield, WAIT))\n"
    "  end\n"
    "  return ...\n"
    "end\n"
    "function coroutine.status(co)\n"
    "  local mark = marks[co]\n"
    "  if mark ~= nil and mark ~= true then return mark end\n"
    "  local is = status(co)\n"
    "  return mark and is == 'suspended' and 'running' or is\n"
    "end\n"
    "local function resume(co, ...)\n"
    "  if marks[co] or status(co) ~= 'suspended' then\n"
    "    return false, 'cannot resume ' .. coroutine.status(co)\n"
    "      .. ' coroutine'\n"
    "  end\n"
    "  return pass(co, raw(co, ...))\n"
    "end\n"
    "local function raise(co, ok, ...)\n"
    "  if ok then return ... end\n"
    "  local err = ...\n"
    "  if trail[0] ~= err then\n"
    "    for i = #trail, 1, -1 do trail[i] = nil end\n"
    "    trail[0] = err\n"
    "  end\n"
    "  trail[#trail + 1] = co\n"
    "  return error(err, 0)\n"
    "end\n"
    "coroutine.resume = resume\n"
    "function coroutine.wrap(f)\n"
    "  if not in_task() then return wrap(f) end\n"
    "  local co = create(f)\n"
    "  return function(...) return raise(co, resume(co, ...)) end\n"
    "end\n";

static int f_in_task(lua_State *L)
{
    struct vm *vm = vm_of(L);
    lua_pushboolean(L, vm->running && !vm->phase);
    return 1;
}

/* Pushes a new table and keeps it in the registry. */
static int push_kept(lua_State *L)
{
    lua_newtable(L);
    lua_pushvalue(L, -1);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static enum err wrap_coroutines(struct vm *vm)
{
    lua_State *L = vm->L;
    enum err e =
        vm_load(vm, SLICE_OF(coroutines, sizeof coroutines - 1), VM_COROUTINES);
    if (e != OK)
        return e;
    lua_pushlightuserdata(L, task_wait_marker());
    vm->marks = push_kept(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    vm->trail = push_kept(L);
    vm_push_function(vm, L, f_in_task);
    return vm_call(vm, 4, 0);
}

/* An error that nothing catches: the state is of no use any more. */
static int on_panic(lua_State *L)
{
    const char *why = lua_tostring(L, -1);
    log_write(LOG_ALERT, "LuaJIT gives up: %s", why ? why : "no reason given");
    abort(); /* which base/crash.h tells of */
}

enum err vm_new(struct vm **out, uv_loop_t *loop)
{
    struct vm *vm = calloc(1, sizeof *vm);
    if (!vm)
        return ERR_NOMEM;
    vm->loop = loop;
    vm->L = luaL_newstate();
    if (!vm->L) {
        free(vm);
        return ERR_NOMEM;
    }
    lua_atpanic(vm->L, on_panic);
    luaL_openlibs(vm->L);
    enum err e = wrap_coroutines(vm);
    if (e != OK)
        vm_free(vm);
    else
        *out = vm;
    return e;
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    vm->on_drained = NULL;
    while (vm->tasks)
        task_cancel(task_root(vm->tasks));
    task_drop_idle(vm);
    lua_close(vm->L);
    free(vm);
}

void vm_hold(struct vm *vm)
{
    vm->holds++;
}

void vm_release(struct vm *vm)
{
    if (!--vm->holds && vm->retired && vm->on_drained)
        vm->on_drained(vm);
}

void vm_retire(struct vm *vm, void (*on_drained)(struct vm *vm))
{
    vm_hold(vm);
    vm->retired = true;
    vm->on_drained = on_drained;
    vm_release(vm);
}

/* ";;" at the start, the end or in the middle. */
static const char *expand_path(lua_State *L, const char *value, const char *old)
{
    const char *plain = luaL_gsub(L, value, ";;", ";\1;");
    plain = luaL_gsub(L, plain, "\1", old);
    while (*plain == ';')
        plain++;
    return plain;
}

void vm_set_path(struct vm *vm, const char *field, struct slice value)
{
    lua_State *L = vm->L;
    int top = lua_gettop(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, field);
    vm_push(L, value);
    const char *path = expand_path(L, lua_tostring(L, -1), lua_tostring(L, -2));
    lua_pushstring(L, path);
    lua_setfield(L, top + 1, field);
    lua_settop(L, top);
}

void vm_register(struct vm *vm, lua_State *L, const luaL_Reg *funcs)
{
    for (; funcs->name; funcs++) {
        vm_push_function(vm, L, funcs->func);
        lua_setfield(L, -2, funcs->name);
    }
}

void vm_push_function(struct vm *vm, lua_State *L, lua_CFunction f)
{
    lua_pushlightuserdata(L, vm);
    lua_pushcclosure(L, f, 1);
}

void vm_class(struct vm *vm, const char *name, const luaL_Reg *funcs)
{
    lua_State *L = vm->L;
    luaL_newmetatable(L, name);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    vm_register(vm, L, funcs);
    lua_pushlightuserdata(L, (void *)(uintptr_t)name);
    lua_insert(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

void *vm_test(lua_State *L, int index, const char *name)
{
    void *data = lua_touserdata(L, index);
    if (!data || !lua_getmetatable(L, index))
        return NULL;
    lua_pushlightuserdata(L, (void *)(uintptr_t)name);
    lua_rawget(L, LUA_REGISTRYINDEX);
    bool is = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is ? data : NULL;
}

static int add_traceback(lua_State *L)
{
    const char *text = lua_tostring(L, 1);
    luaL_traceback(L, L, text ? text : "unknown reason", 1);
    return 1;
}

static enum err take_error(lua_State *L)
{
    const char *text = lua_tostring(L, -1);
    enum err e = err_set(ERR_SCRIPT, "%s", text ? text : "unknown reason");
    lua_pop(L, 1);
    return e;
}

/* handler: an index on the stack, or 0. */
static enum err call(struct vm *vm, int nargs, int nresults, int handler)
{
    bool inside = limits_enter(vm);
    int rc = lua_pcall(vm->L, nargs, nresults, handler);
    limits_leave(vm);
    vm->limits.inside = inside;
    return rc ? ERR_SCRIPT : OK;
}

enum err vm_try(struct vm *vm, int nargs, int nresults)
{
    return call(vm, nargs, nresults, 0);
}

enum err vm_call(struct vm *vm, int nargs, int nresults)
{
    lua_State *L = vm->L;
    int handler = lua_gettop(L) - nargs;
    lua_pushcfunction(L, add_traceback);
    lua_insert(L, handler);
    enum err e = call(vm, nargs, nresults, handler);
    lua_remove(L, handler);
    return e == OK ? OK : take_error(L);
}

enum err vm_load(struct vm *vm, struct slice source, const char *name)
{
    lua_State *L = vm->L;
    return luaL_loadbuffer(L, source.data, source.len, name) ? take_error(L)
                                                             : OK;
}
