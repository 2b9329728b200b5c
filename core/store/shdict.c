/* shdict.c -- ngx.shared: dictionaries by name, one lock each. */
#include "base/clock.h"
#include "base/table.h"
#include "store/items.h"
#include <pthread.h>
#include <stdlib.h>

enum { FLUSHED = 1 }; /* an expiry in the past */

struct shdict {
    struct shdict *next;  /* in living */
    unsigned refs;        /* under living_lock */
    size_t capacity;      /* as configured */
    pthread_mutex_t lock; /* of items */
    struct items items;
    size_t name_len;
    char name[];
};

static pthread_mutex_t living_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shdict *living;

static enum err check_key(struct slice key)
{
    if (!key.len)
        return err_set(ERR_INVALID, "empty key");
    if (key.len > SHDICT_KEY_MAX)
        return err_set(ERR_INVALID, "key too long");
    return OK;
}

static enum err absent(void)
{
    return err_set(ERR_NOT_FOUND, "not found");
}

/* shdict_store under the lock. */
static enum err put(struct shdict *d, unsigned how, struct slice key,
                    const struct shdict_value *v, uint64_t ttl, bool *forcible)
{
    uint32_t hash = table_hash(key);
    struct item *it = *items_find(&d->items, key, hash);
    bool there = it && !item_expired(it, clock_ticks());
    if ((how & SHDICT_ADD) && there)
        return err_set(ERR_CONFLICT, "exists");
    if ((how & SHDICT_REPLACE) && !there)
        return absent();
    if (it && v->type && !it->list && it->value_len == items_bytes(v).len) {
        items_fill(it, v, ttl);
        items_touch(&d->items, it);
        return OK;
    }
    if (it)
        items_drop(&d->items, it);
    if (!v->type)
        return OK;
    return items_insert(&d->items, key, hash, v, ttl, how & SHDICT_SAFE,
                        forcible);
}

enum err shdict_store(struct shdict *d, unsigned how, struct slice key,
                      const struct shdict_value *v, uint64_t ttl,
                      bool *forcible)
{
    *forcible = false;
    enum err e = check_key(key);
    if (e)
        return e;
    if (!v->type && (how & (SHDICT_ADD | SHDICT_REPLACE)))
        return err_set(ERR_INVALID, "attempt to add or replace nil values");
    pthread_mutex_lock(&d->lock);
    e = put(d, how, key, v, ttl, forcible);
    pthread_mutex_unlock(&d->lock);
    return e;
}

enum err shdict_delete(struct shdict *d, struct slice key)
{
    bool forcible;
    return shdict_store(d, SHDICT_SET, key, &(struct shdict_value){ 0 }, 0,
                        &forcible);
}

static double number_of(const struct item *it)
{
    double number; /* the bytes lie unaligned behind the key */
    memcpy(&number, item_value(it).data, sizeof number);
    return number;
}

static enum err read_value(const struct item *it, struct shdict_value *out,
                           struct buf *text)
{
    struct slice bytes = item_value(it);
    if (it->type == SHDICT_LIST)
        return err_set(ERR_INVALID, "value is a list");
    out->type = it->type;
    out->flags = it->flags;
    buf_clear(text);
    if (it->type == SHDICT_NUMBER)
        out->number = number_of(it);
    else if (it->type == SHDICT_BOOLEAN)
        out->boolean = bytes.data[0];
    else
        buf_add(text, bytes);
    if (it->type == SHDICT_STRING)
        out->string = buf_slice(text);
    return buf_ok(text) ? OK : err_set(ERR_NOMEM, "no memory");
}

enum err shdict_get_stale(struct shdict *d, struct slice key,
                          struct shdict_value *out, bool *stale,
                          struct buf *text)
{
    enum err e = check_key(key);
    if (e)
        return e;
    uint32_t hash = table_hash(key);
    pthread_mutex_lock(&d->lock);
    struct item *it = *items_find(&d->items, key, hash);
    if (it) {
        *stale = item_expired(it, clock_ticks());
        items_touch(&d->items, it);
        e = read_value(it, out, text);
    } else {
        e = ERR_NOT_FOUND;
    }
    pthread_mutex_unlock(&d->lock);
    return e;
}

enum err shdict_get(struct shdict *d, struct slice key,
                    struct shdict_value *out, struct buf *text)
{
    bool stale = false;
    enum err e = shdict_get_stale(d, key, out, &stale, text);
    return !e && stale ? ERR_NOT_FOUND : e;
}

/* shdict_incr under the lock. */
static enum err add_number(struct shdict *d, struct slice key, double delta,
                           const double *init, uint64_t ttl, double *sum,
                           bool *forcible)
{
    struct item *it = *items_find(&d->items, key, table_hash(key));
    if (!it || item_expired(it, clock_ticks())) {
        if (!init)
            return absent();
        *sum = *init + delta;
        struct shdict_value v = { .type = SHDICT_NUMBER, .number = *sum };
        return put(d, SHDICT_SET, key, &v, ttl, forcible);
    }
    if (it->type != SHDICT_NUMBER)
        return err_set(ERR_INVALID, "not a number");
    *sum = number_of(it) + delta;
    memcpy(it->bytes + it->key_len, sum, sizeof *sum);
    items_touch(&d->items, it);
    return OK;
}

enum err shdict_incr(struct shdict *d, struct slice key, double delta,
                     const double *init, uint64_t ttl, double *sum,
                     bool *forcible)
{
    *forcible = false;
    enum err e = check_key(key);
    if (e)
        return e;
    pthread_mutex_lock(&d->lock);
    e = add_number(d, key, delta, init, ttl, sum, forcible);
    pthread_mutex_unlock(&d->lock);
    return e;
}

/* ---- lists -------------------------------------------------------------- */

/* The valid list of key; NULL with OK: there is none. */
static enum err find_list(struct shdict *d, struct slice key, struct item **out)
{
    struct item *it = *items_find(&d->items, key, table_hash(key));
    *out = it && !item_expired(it, clock_ticks()) ? it : NULL;
    if (*out && it->type != SHDICT_LIST)
        return err_set(ERR_INVALID, "value not a list");
    return OK;
}

/* shdict_push under the lock. */
static enum err push(struct shdict *d, struct slice key,
                     const struct shdict_value *v, bool front, size_t *length)
{
    struct item *it;
    bool forcible;
    const struct shdict_value none = { .type = SHDICT_LIST };
    enum err e = find_list(d, key, &it);
    bool fresh = !e && !it;
    if (fresh)
        e = put(d, SHDICT_SET | SHDICT_SAFE, key, &none, 0, &forcible);
    if (e)
        return e;
    it = *items_find(&d->items, key, table_hash(key));
    items_touch(&d->items, it);
    if (items_push(&d->items, it, v, front)) {
        *length = items_length(it);
        return OK;
    }
    if (fresh)
        items_drop(&d->items, it);
    return err_set(ERR_NOMEM, "no memory");
}

enum err shdict_push(struct shdict *d, struct slice key,
                     const struct shdict_value *v, bool front, size_t *length)
{
    enum err e = check_key(key);
    if (e)
        return e;
    pthread_mutex_lock(&d->lock);
    e = push(d, key, v, front, length);
    pthread_mutex_unlock(&d->lock);
    return e;
}

enum err shdict_pop(struct shdict *d, struct slice key, bool front,
                    struct shdict_value *out, struct buf *text)
{
    struct item *it = NULL;
    enum err e = check_key(key);
    if (e)
        return e;
    pthread_mutex_lock(&d->lock);
    e = find_list(d, key, &it);
    if (it && !e) {
        items_touch(&d->items, it);
        if (!items_pop(&d->items, it, front, out, text))
            e = err_set(ERR_NOMEM, "no memory");
        if (!items_length(it))
            items_drop(&d->items, it);
    }
    pthread_mutex_unlock(&d->lock);
    return e || it ? e : ERR_NOT_FOUND;
}

enum err shdict_length(struct shdict *d, struct slice key, size_t *length)
{
    struct item *it = NULL;
    enum err e = check_key(key);
    if (e)
        return e;
    pthread_mutex_lock(&d->lock);
    e = find_list(d, key, &it);
    *length = it && !e ? items_length(it) : 0;
    if (*length)
        items_touch(&d->items, it);
    pthread_mutex_unlock(&d->lock);
    return e;
}

/* ---- times, and all items ----------------------------------------------- */

enum err shdict_ttl(struct shdict *d, struct slice key, int64_t *ttl)
{
    enum err e = check_key(key);
    if (e)
        return e;
    uint32_t hash = table_hash(key);
    pthread_mutex_lock(&d->lock);
    struct item *it = *items_find(&d->items, key, hash);
    if (!it)
        e = absent();
    else
        *ttl = it->expires ? (int64_t)(it->expires - clock_ticks()) : 0;
    pthread_mutex_unlock(&d->lock);
    return e;
}

enum err shdict_expire(struct shdict *d, struct slice key, uint64_t ttl)
{
    enum err e = check_key(key);
    if (e)
        return e;
    uint32_t hash = table_hash(key);
    pthread_mutex_lock(&d->lock);
    struct item *it = *items_find(&d->items, key, hash);
    if (!it)
        e = absent();
    else
        it->expires = ttl ? clock_ticks() + ttl : 0;
    pthread_mutex_unlock(&d->lock);
    return e;
}

enum err shdict_keys(struct shdict *d, size_t max, struct buf *out)
{
    size_t n = 0;
    pthread_mutex_lock(&d->lock);
    uint64_t now = clock_ticks();
    for (struct item *it = items_oldest(&d->items); it;
         it = items_newer(&d->items, it)) {
        if (item_expired(it, now))
            continue;
        if (max && n++ == max)
            break;
        buf_add(out, SLICE_OF(&it->key_len, sizeof it->key_len));
        buf_add(out, item_key(it));
    }
    pthread_mutex_unlock(&d->lock);
    return buf_ok(out) ? OK : err_set(ERR_NOMEM, "no memory");
}

bool shdict_key_next(struct slice *keys, struct slice *key)
{
    uint16_t len;
    if (keys->len < sizeof len)
        return false;
    memcpy(&len, keys->data, sizeof len);
    *key = SLICE_OF(keys->data + sizeof len, len);
    *keys = slice_from(*keys, sizeof len + len);
    return true;
}

void shdict_flush_all(struct shdict *d)
{
    pthread_mutex_lock(&d->lock);
    for (struct item *it = items_oldest(&d->items); it;
         it = items_newer(&d->items, it))
        it->expires = FLUSHED;
    pthread_mutex_unlock(&d->lock);
}

size_t shdict_flush_expired(struct shdict *d, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&d->lock);
    uint64_t now = clock_ticks();
    for (struct item *it = items_oldest(&d->items), *newer; it; it = newer) {
        newer = items_newer(&d->items, it);
        if (!item_expired(it, now))
            continue;
        if (max && n == max)
            break;
        items_drop(&d->items, it);
        n++;
    }
    pthread_mutex_unlock(&d->lock);
    return n;
}

struct slice shdict_name(const struct shdict *d)
{
    return (struct slice){ d->name, d->name_len };
}

size_t shdict_capacity(const struct shdict *d)
{
    return d->capacity;
}

size_t shdict_free_space(struct shdict *d)
{
    pthread_mutex_lock(&d->lock);
    size_t n = d->items.budget - d->items.used;
    pthread_mutex_unlock(&d->lock);
    return n;
}

static void dict_free(struct shdict *d)
{
    items_fini(&d->items);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static struct shdict *dict_make(struct slice name, size_t capacity)
{
    struct shdict *d = calloc(1, sizeof *d + name.len);
    if (!d || !items_init(&d->items, capacity)) {
        free(d);
        return NULL;
    }
    d->capacity = capacity;
    memcpy(d->name, name.data, name.len);
    d->name_len = name.len;
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

struct shdict *shdict_new(struct slice name, size_t capacity)
{
    pthread_mutex_lock(&living_lock);
    struct shdict *d = living;
    while (d && (d->capacity != capacity || !slice_eq(shdict_name(d), name)))
        d = d->next;
    if (!d && (d = dict_make(name, capacity))) {
        d->next = living;
        living = d;
    }
    if (d)
        d->refs++;
    pthread_mutex_unlock(&living_lock);
    return d;
}

void shdict_unref(struct shdict *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&living_lock);
    bool last = !--d->refs;
    for (struct shdict **at = &living; last && *at; at = &(*at)->next)
        if (*at == d) {
            *at = d->next;
            break;
        }
    pthread_mutex_unlock(&living_lock);
    if (last)
        dict_free(d);
}
