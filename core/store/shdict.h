/* shdict.h -- ngx.shared: named dictionaries shared by all threads.
 *
 * Each has a byte budget, least-recently-used eviction and expiry in
 * milliseconds.  Every function is atomic and may be called from any thread.
 * Behaviour and error words are those of lua-nginx-module's README: where a
 * function fails, err_text() is the word that a script sees ("no memory",
 * "exists", "not found", "not a number", "empty key", "key too long"). */
#pragma once
#include "base/buf.h"
#include <stdint.h>

enum { SHDICT_KEY_MAX = 65535 };

enum shdict_type {
    SHDICT_NIL,
    SHDICT_BOOLEAN,
    SHDICT_NUMBER,
    SHDICT_STRING,
    SHDICT_LIST, /* its values are strings and numbers */
};

struct shdict_value {
    enum shdict_type type;
    uint32_t flags; /* the user's */
    union {
        bool boolean;
        double number;
        struct slice string;
    };
};

/* What to do about an item that is there: one of the first three, or'ed with
 * SHDICT_SAFE: never evict an item that is still valid. */
enum shdict_how {
    SHDICT_SET = 0,
    SHDICT_ADD = 1,
    SHDICT_REPLACE = 2,
    SHDICT_SAFE = 4,
};

struct shdict;

/* The living dictionary of that name and size with a reference more, so that
 * a reload keeps its items; else a new one.  NULL: no memory. */
struct shdict *shdict_new(struct slice name, size_t capacity);

/* Drops a reference; the items go with the last one.  NULL is fine. */
void shdict_unref(struct shdict *dict);

struct slice shdict_name(const struct shdict *dict);

/* out->string lies in text, which is the caller's (it is emptied first, and
 * may serve many calls).  ERR_NOT_FOUND: absent or expired, and err_text() is
 * not set; ERR_INVALID: the key, or a list; ERR_NOMEM. */
enum err shdict_get(struct shdict *dict, struct slice key,
                    struct shdict_value *out, struct buf *text);

/* As shdict_get, but gives an expired item too, while it is still there. */
enum err shdict_get_stale(struct shdict *dict, struct slice key,
                          struct shdict_value *out, bool *stale,
                          struct buf *text);

/* how: enum shdict_how.  ttl in milliseconds, 0: for ever.  A nil value
 * deletes (SHDICT_SET only; else ERR_INVALID, "attempt to add or replace nil
 * values").  ERR_NOMEM, ERR_CONFLICT ("exists"), ERR_NOT_FOUND.  *forcible:
 * a valid item was evicted for it.  Where memory did not suffice the key's
 * former item is gone too. */
enum err shdict_store(struct shdict *dict, unsigned how, struct slice key,
                      const struct shdict_value *value, uint64_t ttl,
                      bool *forcible);

/* OK whether there was such an item or not. */
enum err shdict_delete(struct shdict *dict, struct slice key);

/* Adds delta and gives the sum.  init (NULL: ERR_NOT_FOUND) and ttl are for
 * a key that is absent or expired: *sum is then *init + delta. */
enum err shdict_incr(struct shdict *dict, struct slice key, double delta,
                     const double *init, uint64_t ttl, double *sum,
                     bool *forcible);

/* Puts a string or number at the list's front or end, and gives the new
 * length.  A list that is absent or expired begins anew.  ERR_INVALID ("value
 * not a list"), ERR_NOMEM: nothing that is valid is evicted for it. */
enum err shdict_push(struct shdict *dict, struct slice key,
                     const struct shdict_value *value, bool front,
                     size_t *length);

/* Takes the first or last value; the list goes with its last one.  As
 * shdict_get for out and text.  ERR_NOT_FOUND, ERR_INVALID. */
enum err shdict_pop(struct shdict *dict, struct slice key, bool front,
                    struct shdict_value *out, struct buf *text);

/* How long the list is, 0 where there is none.  ERR_INVALID. */
enum err shdict_length(struct shdict *dict, struct slice key, size_t *length);

/* Milliseconds that are left, 0: for ever; less than 0 where it has expired but
 * is still there, as lua-nginx-module has it.  ERR_NOT_FOUND. */
enum err shdict_ttl(struct shdict *dict, struct slice key, int64_t *ttl);

/* A new time to live, 0: for ever; also of what has expired but is still
 * there.  ERR_NOT_FOUND. */
enum err shdict_expire(struct shdict *dict, struct slice key, uint64_t ttl);

/* Appends up to max (0: all) valid keys to out, oldest first, to be read
 * with shdict_key_next.  ERR_NOMEM. */
enum err shdict_keys(struct shdict *dict, size_t max, struct buf *out);

/* Takes the next key off *keys (at first: the slice of shdict_keys' buffer);
 * false at the end. */
bool shdict_key_next(struct slice *keys, struct slice *key);

/* Marks all items expired; the memory stays taken. */
void shdict_flush_all(struct shdict *dict);

/* Removes up to max (0: all) expired items and says how many. */
size_t shdict_flush_expired(struct shdict *dict, size_t max);

/* The directive's size, and what of it is not taken; bytes. */
size_t shdict_capacity(const struct shdict *dict);
size_t shdict_free_space(struct shdict *dict);
