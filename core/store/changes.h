/* changes.h -- which parts of the store have been written since one looked.
 *
 * Keys fall into buckets with a counter each.  The writer counts a key's
 * bucket up after its commit is on disk and before it is answered; a reader
 * that notes the counter before it reads may take what it read for current as
 * long as the counter stands.  Only one process writes (dirlock.h).  Any
 * thread. */
#pragma once
#include "base/slice.h"
#include <stdatomic.h>
#include <stdint.h>

enum { CHANGES_BUCKETS = 16384 };

struct changes {
    _Atomic uint32_t counts[CHANGES_BUCKETS];
};

/* Where a key is counted. */
uint32_t changes_bucket(struct slice key);

static inline uint32_t changes_count(const struct changes *c, uint32_t bucket)
{
    return atomic_load_explicit(&c->counts[bucket], memory_order_acquire);
}

static inline void changes_note(struct changes *c, struct slice key)
{
    atomic_fetch_add_explicit(&c->counts[changes_bucket(key)], 1,
                              memory_order_release);
}
