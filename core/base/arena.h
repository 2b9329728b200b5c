/* arena.h -- memory that is dropped in one step: a request's, a
 * configuration's.  Nothing in it is freed alone.  One thread at a time. */
#pragma once
#include "base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    char *next, *end;
};

/* Zeroed memory, aligned for anything; NULL where there is none. */
void *arena_alloc(struct arena *a, size_t size);

/* A copy, with a NUL after it that is not counted; data is NULL where there
 * is no memory. */
struct slice arena_dup(struct arena *a, struct slice s);

/* A formatted NUL-terminated text; NULL where there is no memory. */
char *arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops all; one block is kept, zeroed, where there was no more than one. */
void arena_reset(struct arena *a);

/* Drops all; a is empty and ready again. */
void arena_free(struct arena *a);
