/* items.h -- the items of one shared dictionary: hash, LRU list, budget.
 *
 * An item is charged what nginx's slab would take for it (a power of two up
 * to half a page, whole pages above; three pages for the zone itself), so
 * that a size in lua_shared_dict holds what it holds there.  That is no less
 * than the memory that it really takes: node, key, value, malloc's share and
 * its part of the bucket array.  No locks here. */
#pragma once
#include "store/shdict.h"

enum {
    ITEM_CHARGE = 80, /* besides key and value */
    ITEM_PAGE = 4096,
};

struct link {
    struct link *newer, *older;
};

struct items_list;

struct item {
    struct link link;        /* in items->lru */
    struct item *chain;      /* in its bucket */
    struct items_list *list; /* SHDICT_LIST: what is in it, else NULL */
    uint64_t expires;        /* clock_ticks, 0: never */
    uint32_t hash, flags, value_len;
    uint16_t key_len;
    uint8_t type; /* enum shdict_type */
    char bytes[]; /* key, value (not aligned) */
};

struct items {
    struct link lru; /* circular: older is the newest item */
    struct item **buckets;
    size_t mask, budget, used; /* bytes */
};

/* For a directive of that many bytes.  False: no memory. */
bool items_init(struct items *s, size_t capacity);
void items_fini(struct items *s);

/* Where the item of key is linked into its bucket; *at is NULL where there
 * is none. */
struct item **items_find(struct items *s, struct slice key, uint32_t hash);

/* Makes the item the newest. */
void items_touch(struct items *s, struct item *it);

/* Takes the item out and frees it. */
void items_drop(struct items *s, struct item *it);

/* Writes value and a new deadline into an item of the right length. */
void items_fill(struct item *it, const struct shdict_value *v, uint64_t ttl);

/* A new item for a key that has none.  Evicts a few old ones where it must:
 * expired ones, and unless safe also valid ones (then *forcible is set).
 * ERR_NOMEM. */
enum err items_insert(struct items *s, struct slice key, uint32_t hash,
                      const struct shdict_value *v, uint64_t ttl, bool safe,
                      bool *forcible);

/* What nginx's slab takes for size bytes. */
size_t items_charge(size_t size, size_t least);

/* Evicts a few expired items until size bytes fit, and charges them.  False:
 * they do not. */
bool items_take(struct items *s, size_t size);

/* Of an item of type SHDICT_LIST (items_list.c).  False: no memory. */
bool items_push(struct items *s, struct item *it, const struct shdict_value *v,
                bool front);

/* The list's first or last value, whose string lies in text; the list must
 * not be empty.  False: no memory for that. */
bool items_pop(struct items *s, struct item *it, bool front,
               struct shdict_value *out, struct buf *text);
size_t items_length(const struct item *it);
void items_drop_list(struct items *s, struct item *it);

/* Walks from the oldest to the newest: `for (it = items_oldest(s); it; it =
 * items_newer(s, it))`. */
struct item *items_oldest(const struct items *s);
struct item *items_newer(const struct items *s, const struct item *it);

/* The value's bytes as an item keeps them. */
struct slice items_bytes(const struct shdict_value *v);

static inline bool item_expired(const struct item *it, uint64_t now)
{
    return it->expires && it->expires <= now;
}

static inline struct slice item_key(const struct item *it)
{
    return SLICE_OF(it->bytes, it->key_len);
}

static inline struct slice item_value(const struct item *it)
{
    return SLICE_OF(it->bytes + it->key_len, it->value_len);
}
