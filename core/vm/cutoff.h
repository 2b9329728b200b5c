/* cutoff.h -- stops scripts that run too long, also where LuaJIT has compiled
 * them.  For limits.c. */
#pragma once
#include <stdint.h>

struct vm;

/* Before any script runs in vm. */
void cutoff_prepare(struct vm *vm);

/* A script of vm begins to run on this thread, and is done or waits. */
void cutoff_begin(struct vm *vm);
void cutoff_end(void);

/* Where compiled code leaves to may change; once a second is enough. */
void cutoff_refresh(struct vm *vm);

/* Before a thread ends that had a vm. */
void cutoff_stop(void);

/* The interpreter saw the interrupt, in a script of this vm. */
struct vm *cutoff_arrived(void);

/* limits.c's: how long the script that runs now may. */
uint64_t limits_msec(const struct vm *vm);

/* limits.c's: makes the interpreter call us before its next instruction. */
void limits_interrupt(struct vm *vm);
