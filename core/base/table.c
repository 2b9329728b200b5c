/* table.c -- a hash table with linear probing and backward-shift removal. */
#include "base/table.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t seed;
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uint64_t)(uintptr_t)&seed;
}

/* FNV-1a over a random start, finished with a strong mix: keys come from
 * callers, who should not be able to aim at one slot. */
uint32_t table_hash(struct slice key)
{
    pthread_once(&seeded, make_seed);
    uint64_t h = seed ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (unsigned char)key.data[i]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return (uint32_t)(h ^ (h >> 32));
}

static struct table_entry *find(const struct table *t, struct slice key,
                                uint32_t hash)
{
    for (size_t i = hash & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
        struct table_entry *e = &t->entries[i];
        if (!e->value || (e->hash == hash && slice_eq(e->key, key)))
            return e;
    }
}

static bool grow(struct table *t)
{
    struct table next = { .cap = t->cap ? t->cap * 2 : 16 };
    next.entries = calloc(next.cap, sizeof *next.entries);
    if (!next.entries)
        return false;
    for (size_t i = 0; i < t->cap; i++)
        if (t->entries[i].value)
            *find(&next, t->entries[i].key, t->entries[i].hash) = t->entries[i];
    next.count = t->count;
    free(t->entries);
    *t = next;
    return true;
}

void *table_get(const struct table *t, struct slice key)
{
    return t->cap ? find(t, key, table_hash(key))->value : NULL;
}

bool table_put(struct table *t, struct slice key, void *value)
{
    if (t->count * 4 >= t->cap * 3 && !grow(t))
        return false;
    uint32_t hash = table_hash(key);
    struct table_entry *e = find(t, key, hash);
    t->count += !e->value;
    *e = (struct table_entry){ key, value, hash };
    return true;
}

void *table_remove(struct table *t, struct slice key)
{
    struct table_entry *e = t->cap ? find(t, key, table_hash(key)) : NULL;
    if (!e || !e->value)
        return NULL;
    void *value = e->value;
    size_t mask = t->cap - 1, hole = (size_t)(e - t->entries);
    for (size_t i = (hole + 1) & mask; t->entries[i].value;
         i = (i + 1) & mask) {
        size_t home = t->entries[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue; /* it would move in front of its home */
        t->entries[hole] = t->entries[i];
        hole = i;
    }
    t->entries[hole].value = NULL;
    t->count--;
    return value;
}

bool table_next(const struct table *t, size_t *at, void **value)
{
    while (*at < t->cap) {
        *value = t->entries[(*at)++].value;
        if (*value)
            return true;
    }
    return false;
}

void table_free(struct table *t)
{
    free(t->entries);
    *t = (struct table){ 0 };
}
