/* limits.c -- what a script may take: running time and memory.
 *
 * Memory: LuaJIT's allocator is asked through ours.  Beyond three quarters of
 * the limit the collector works harder, and a hook has it collect all; where
 * that leaves more than the limit the hook raises.  Before it comes to that
 * (in compiled code, or for one large string) an eighth more is all that there
 * is, for a script but not for the core.  Time: see cutoff.c. */
#include "vm/limits.h"
#include "vm/cutoff.h"
#include "vm/task.h"
#include "vm/vm.h"
#include <string.h>

enum { PAUSE = 200, STEP = 200, PAUSE_PRESSED = 110, STEP_PRESSED = 1000000 };

static void unhook(struct vm *vm)
{
    vm->limits.cut = vm->limits.full = false;
    lua_sethook(vm->L, NULL, 0, 0);
}

static void collect(struct vm *vm)
{
    struct limits *l = &vm->limits;
    lua_gc(vm->L, LUA_GCCOLLECT, 0);
    l->asks_at = l->used + l->bytes / 16;
    if (l->asks_at < l->bytes / 4 * 3)
        l->asks_at = l->bytes / 4 * 3;
}

/* The script's line, not one of our wrapper of coroutines. */
static void push_where(lua_State *L)
{
    lua_Debug at;
    int level = 0;
    while (lua_getstack(L, level, &at) && lua_getinfo(L, "Sl", &at) &&
           (at.currentline < 0 || !strcmp(at.source, VM_COROUTINES)))
        level++;
    luaL_where(L, level);
}

static void fail(lua_State *L, const char *format, size_t limit)
{
    push_where(L);
    lua_pushfstring(L, format, lua_tostring(L, -1), (int)limit);
    lua_error(L);
}

/* Also called from a signal. */
uint64_t limits_msec(const struct vm *vm)
{
    const struct task *t = vm->running;
    return t && t->run_msec ? t->run_msec : vm->limits.msec;
}

static void on_instruction(lua_State *L, lua_Debug *at)
{
    (void)at;
    struct vm *vm = cutoff_arrived();
    struct limits *l = &vm->limits;
    if (l->cut && limits_msec(vm) != l->cut_msec) {
        unhook(vm); /* it was another's, and this one goes on in its turn */
        cutoff_begin(vm);
        return;
    }
    if (l->cut) {
        fail(
            L,
            l->cut_msec == l->msec
                ? "%sran for over %d ms without waiting (lua_run_timeout)"
                : "%sran for over %d ms without waiting (the policy's timeout)",
            l->cut_msec);
        return; /* never: and it stays, so that no pcall goes on for long */
    }
    unhook(vm);
    collect(vm);
    vm->limits.refused = vm->limits.used > vm->limits.bytes;
    if (vm->limits.refused)
        fail(L, "%stook over %d KB of memory (lua_memory_limit)",
             vm->limits.bytes / 1024);
}

/* From the allocator and from a signal: lua_sethook is made for that. */
void limits_interrupt(struct vm *vm)
{
    lua_sethook(vm->L, on_instruction, LUA_MASKCOUNT, 1);
}

static void press(struct vm *vm, bool on)
{
    vm->limits.pressed = on;
    lua_gc(vm->L, LUA_GCSETPAUSE, on ? PAUSE_PRESSED : PAUSE);
    lua_gc(vm->L, LUA_GCSETSTEPMUL, on ? STEP_PRESSED : STEP);
    if (on)
        lua_gc(vm->L, LUA_GCRESTART, 0);
}

static void *allocate(void *user, void *p, size_t old, size_t new)
{
    struct vm *vm = user;
    struct limits *l = &vm->limits;
    size_t used = l->used - old + new;
    if (new > old && used > l->bytes / 8 * 9 && l->inside) {
        l->refused = true;
        return NULL;
    }
    void *got = l->alloc(l->alloc_user, p, old, new);
    if (!got && new)
        return NULL;
    l->used = used;
    if (l->pressed ? used < l->bytes / 2 : used > l->bytes / 4 * 3)
        press(vm, !l->pressed);
    if (used > l->asks_at && l->inside && !l->full) {
        l->full = true;
        limits_interrupt(vm);
    }
    return got;
}

void limits_set(struct vm *vm, uint64_t msec, size_t bytes)
{
    struct limits *l = &vm->limits;
    lua_State *L = vm->L;
    l->msec = msec;
    l->bytes = bytes;
    cutoff_prepare(vm);
    if (!bytes)
        return;
    l->used = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 +
              (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
    l->asks_at = bytes / 4 * 3;
    l->alloc = lua_getallocf(L, &l->alloc_user);
    lua_setallocf(L, allocate, vm);
}

bool limits_enter(struct vm *vm)
{
    bool inside = vm->limits.inside;
    if (!vm->limits.depth++) {
        if (vm->limits.refused) /* who took too much is gone by now */
            collect(vm);
        vm->limits.refused = false;
        cutoff_begin(vm);
    }
    vm->limits.inside = true;
    return inside;
}

void limits_leave(struct vm *vm)
{
    struct limits *l = &vm->limits;
    l->inside = false;
    if (--l->depth)
        return;
    cutoff_end();
    if (l->cut || l->full)
        unhook(vm);
}
