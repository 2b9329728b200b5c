/* arena.c -- memory that is dropped in one step. */
#include "base/arena.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 4096 - 32, ALIGN = 16 };

struct arena_block {
    struct arena_block *older;
    size_t size;
    _Alignas(ALIGN) char data[];
};

static bool add_block(struct arena *a, size_t size)
{
    struct arena_block *block = calloc(1, sizeof *block + size);
    if (!block)
        return false;
    block->older = a->blocks;
    block->size = size;
    a->blocks = block;
    a->next = block->data;
    a->end = block->data + size;
    return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if ((!a->next || (size_t)(a->end - a->next) < size) &&
        !add_block(a, size > BLOCK / 4 ? size + BLOCK : BLOCK))
        return NULL;
    void *at = a->next;
    a->next += size;
    return at;
}

struct slice arena_dup(struct arena *a, struct slice s)
{
    char *to = arena_alloc(a, s.len + 1);
    if (!to)
        return SLICE_NONE;
    if (s.len)
        memcpy(to, s.data, s.len);
    return (struct slice){ to, s.len };
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (to)
        vsnprintf(to, (size_t)n + 1, format, again);
    va_end(again);
    return to;
}

void arena_reset(struct arena *a)
{
    struct arena_block *block = a->blocks;
    if (!block || block->older || block->size > BLOCK) {
        arena_free(a); /* it grew: not worth keeping */
        return;
    }
    memset(block->data, 0, (size_t)(a->next - block->data));
    a->next = block->data;
}

void arena_free(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *block = a->blocks;
        a->blocks = block->older;
        free(block);
    }
    *a = (struct arena){ 0 };
}
