/* limits.h -- what a script may take: running time between two waits, and
 * memory.  Who takes more fails alone; the vm goes on. */
#pragma once
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;

/* A vm's; all of it is the vm's thread's. */
struct limits {
    uint64_t msec; /* of the processor's time; 0: no limit */
    size_t bytes;  /* 0: no limit */
    unsigned depth;
    bool inside;          /* Lua runs, and catches what is raised */
    bool cut;             /* the running script is to end */
    uint64_t cut_msec;    /* the limit that was passed */
    bool full;            /* ... or to collect all garbage first */
    bool refused;         /* it was refused memory */
    bool pressed;         /* the collector works harder */
    size_t used, asks_at; /* beyond that: a full collection */
    uintptr_t exit_stub;  /* cutoff.c's */
    int32_t *trace;       /* likewise: which trace runs */
    int stub_of;          /* registry: what tells it; 0: nothing */
    lua_Alloc alloc;      /* LuaJIT's own, and its argument */
    void *alloc_user;
};

/* Before any script runs in it. */
void limits_set(struct vm *vm, uint64_t msec, size_t bytes);

/* Around each call from C into Lua; the vm's `inside` of before is to be set
 * again by who returns to Lua. */
bool limits_enter(struct vm *vm);
void limits_leave(struct vm *vm);
