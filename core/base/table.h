/* table.h -- a hash table from byte strings to pointers.
 *
 * Keys are not copied: they must live as long as their entry (usually inside
 * the value).  Hashing is seeded per process.  One thread at a time.
 * `struct table t = { 0 };` is empty and ready. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

struct table_entry {
    struct slice key;
    void *value; /* NULL: a free slot */
    uint32_t hash;
};

struct table {
    struct table_entry *entries;
    size_t count, cap; /* cap is a power of two, or 0 */
};

/* The value of key, or NULL. */
void *table_get(const struct table *t, struct slice key);

/* Puts or replaces; value is not NULL.  False where memory ran out. */
bool table_put(struct table *t, struct slice key, void *value);

/* Takes the entry out and returns its value, or NULL. */
void *table_remove(struct table *t, struct slice key);

/* Walks: `for (size_t i = 0; table_next(&t, &i, &v);)`.  The table must not
 * change meanwhile. */
bool table_next(const struct table *t, size_t *at, void **value);

/* Drops the slots, not the values. */
void table_free(struct table *t);

/* The seeded hash that the table uses. */
uint32_t table_hash(struct slice key);
