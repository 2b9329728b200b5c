/* array.h -- arrays that grow in an arena. */
#pragma once
#include "base/arena.h"

/* The array with room for one more than count: itself, or a copy of twice
 * the size where count has reached a power of two.  NULL: no memory. */
static inline void *array_grow(struct arena *arena, void *array, unsigned count,
                               size_t size)
{
    if (count & (count - 1))
        return array;
    void *to = arena_alloc(arena, (count ? 2 * (size_t)count : 1) * size);
    if (to && count)
        memcpy(to, array, count * size);
    return to;
}
