/* items.c -- the items of one shared dictionary: hash, LRU list, budget. */
#include "store/items.h"
#include "base/clock.h"
#include <stdlib.h>

enum {
    ZONE_PAGES = 3,
    CHARGE_MIN = 128,
    EVICT_MAX = 30,  /* items for one call: the dictionary is locked */
    EXPIRE_SOME = 2, /* old items looked at before each insert */
};

_Static_assert(sizeof(struct item) + 3 * sizeof(void *) <= ITEM_CHARGE,
               "the node, malloc's word, two bucket slots");

size_t items_charge(size_t size, size_t least)
{
    size_t class = least;
    if (size > ITEM_PAGE / 2)
        return (size + ITEM_PAGE - 1) / ITEM_PAGE * ITEM_PAGE;
    while (class < size)
        class *= 2;
    return class;
}

static size_t charge(size_t key_len, size_t value_len)
{
    return items_charge(ITEM_CHARGE + key_len + value_len, CHARGE_MIN);
}

static void unlink_item(struct item *it)
{
    it->link.newer->older = it->link.older;
    it->link.older->newer = it->link.newer;
}

static void push_item(struct items *s, struct item *it)
{
    it->link = (struct link){ .newer = &s->lru, .older = s->lru.older };
    it->link.older->newer = s->lru.older = &it->link;
}

static struct item *item_of(const struct items *s, struct link *link)
{
    return link == &s->lru ? NULL : (struct item *)link;
}

struct item *items_oldest(const struct items *s)
{
    return item_of(s, s->lru.newer);
}

struct item *items_newer(const struct items *s, const struct item *it)
{
    return item_of(s, it->link.newer);
}

struct item **items_find(struct items *s, struct slice key, uint32_t hash)
{
    struct item **at = &s->buckets[hash & s->mask];
    while (*at && ((*at)->hash != hash || !slice_eq(item_key(*at), key)))
        at = &(*at)->chain;
    return at;
}

void items_touch(struct items *s, struct item *it)
{
    unlink_item(it);
    push_item(s, it);
}

void items_drop(struct items *s, struct item *it)
{
    struct item **at = &s->buckets[it->hash & s->mask];
    while (*at != it)
        at = &(*at)->chain;
    *at = it->chain;
    unlink_item(it);
    items_drop_list(s, it);
    s->used -= charge(it->key_len, it->value_len);
    free(it);
}

/* False: there is still not enough. */
static bool make_room(struct items *s, size_t size, bool safe, bool *forcible)
{
    uint64_t now = clock_ticks();
    for (unsigned n = 0;; n++) {
        struct item *it = items_oldest(s);
        bool fits = s->used + size <= s->budget;
        if (!it || n >= (fits ? EXPIRE_SOME : EVICT_MAX))
            return fits;
        if (!item_expired(it, now)) {
            if (fits || safe)
                return fits;
            *forcible = true;
        }
        items_drop(s, it);
    }
}

bool items_take(struct items *s, size_t size)
{
    bool forcible = false;
    if (!make_room(s, size, true, &forcible))
        return false;
    s->used += size;
    return true;
}

struct slice items_bytes(const struct shdict_value *v)
{
    switch (v->type) {
    case SHDICT_STRING:
        return v->string;
    case SHDICT_NUMBER:
        return SLICE_OF(&v->number, sizeof v->number);
    case SHDICT_BOOLEAN:
        return SLICE_OF(&v->boolean, sizeof v->boolean);
    case SHDICT_NIL:
    case SHDICT_LIST:
        break;
    }
    return SLICE_NONE;
}

void items_fill(struct item *it, const struct shdict_value *v, uint64_t ttl)
{
    struct slice bytes = items_bytes(v);
    it->type = (uint8_t)v->type;
    it->flags = v->flags;
    it->expires = ttl ? clock_ticks() + ttl : 0;
    if (bytes.len)
        memcpy(it->bytes + it->key_len, bytes.data, bytes.len);
}

enum err items_insert(struct items *s, struct slice key, uint32_t hash,
                      const struct shdict_value *v, uint64_t ttl, bool safe,
                      bool *forcible)
{
    struct slice bytes = items_bytes(v);
    size_t size = charge(key.len, bytes.len);
    struct item *it = NULL;
    if (bytes.len <= UINT32_MAX && make_room(s, size, safe, forcible))
        it = malloc(sizeof *it + key.len + bytes.len);
    if (!it)
        return err_set(ERR_NOMEM, "no memory");
    it->list = NULL;
    it->chain = s->buckets[hash & s->mask];
    s->buckets[hash & s->mask] = it;
    it->hash = hash;
    it->key_len = (uint16_t)key.len;
    it->value_len = (uint32_t)bytes.len;
    memcpy(it->bytes, key.data, key.len);
    items_fill(it, v, ttl);
    push_item(s, it);
    s->used += size;
    return OK;
}

bool items_init(struct items *s, size_t capacity)
{
    size_t pages = capacity / ITEM_PAGE, buckets = 16;
    *s = (struct items){ .lru = { &s->lru, &s->lru } };
    s->budget = (pages > ZONE_PAGES ? pages - ZONE_PAGES : 1) * ITEM_PAGE;
    while (buckets * CHARGE_MIN < s->budget)
        buckets *= 2; /* enough for all that fits, so it never grows */
    s->mask = buckets - 1;
    s->buckets = calloc(buckets, sizeof *s->buckets);
    return s->buckets;
}

void items_fini(struct items *s)
{
    for (struct item *it; (it = items_oldest(s));)
        items_drop(s, it);
    free(s->buckets);
}
