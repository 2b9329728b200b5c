/* journal.c -- what happened last, for operators. */
#include "base/journal.h"
#include "base/clock.h"
#include "base/table.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct entry {
    uint64_t number; /* 0: free, or taken out */
    char *text;
    size_t len;
};

struct journal {
    struct slice name;
    _Atomic uint64_t watched_until; /* clock_ticks */
    pthread_mutex_t lock;           /* of what follows */
    uint64_t last;
    struct entry entries[JOURNAL_ENTRIES]; /* number n at n % ENTRIES */
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct table registry;

static struct journal *make(struct slice name)
{
    struct journal *j = calloc(1, sizeof *j);
    char *own = malloc(name.len + 1);
    if (!j || !own)
        goto fail;
    memcpy(own, name.data, name.len);
    j->name = SLICE_OF(own, name.len);
    if (!table_put(&registry, j->name, j))
        goto fail;
    pthread_mutex_init(&j->lock, NULL);
    return j;

fail:
    free(own);
    free(j);
    return NULL;
}

struct journal *journal_named(struct slice name)
{
    pthread_mutex_lock(&registry_lock);
    struct journal *j = table_get(&registry, name);
    if (!j && name.len && registry.count < JOURNALS_MAX)
        j = make(name);
    pthread_mutex_unlock(&registry_lock);
    return j;
}

static struct entry *entry_at(struct journal *j, uint64_t number)
{
    return &j->entries[number % JOURNAL_ENTRIES];
}

static void clear(struct entry *e)
{
    free(e->text);
    *e = (struct entry){ 0 };
}

uint64_t journal_add(struct journal *j, struct slice text)
{
    char *own = text.len <= JOURNAL_TEXT ? malloc(text.len + 1) : NULL;
    if (!own)
        return 0;
    if (text.len)
        memcpy(own, text.data, text.len);
    pthread_mutex_lock(&j->lock);
    uint64_t number = ++j->last;
    struct entry *e = entry_at(j, number);
    clear(e);
    *e = (struct entry){ number, own, text.len };
    pthread_mutex_unlock(&j->lock);
    return number;
}

static uint64_t oldest(const struct journal *j)
{
    return j->last > JOURNAL_ENTRIES ? j->last - JOURNAL_ENTRIES + 1 : 1;
}

bool journal_next(struct journal *j, uint64_t *at, struct buf *text)
{
    bool found = false;
    buf_clear(text);
    pthread_mutex_lock(&j->lock);
    uint64_t number = *at + 1;
    if (number < oldest(j))
        number = oldest(j);
    while (number <= j->last && !entry_at(j, number)->number)
        number++;
    if (number <= j->last) {
        struct entry *e = entry_at(j, number);
        buf_add(text, SLICE_OF(e->text, e->len));
        *at = number;
        found = buf_ok(text);
    }
    pthread_mutex_unlock(&j->lock);
    return found;
}

void journal_drop(struct journal *j, uint64_t number)
{
    pthread_mutex_lock(&j->lock);
    struct entry *e = entry_at(j, number);
    if (number && e->number == number)
        clear(e);
    pthread_mutex_unlock(&j->lock);
}

uint64_t journal_last(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    uint64_t last = j->last;
    pthread_mutex_unlock(&j->lock);
    return last;
}

void journal_watch(struct journal *j, uint64_t msec)
{
    uint64_t until = clock_ticks() + msec;
    if (until > atomic_load(&j->watched_until))
        atomic_store(&j->watched_until, until);
}

bool journal_watched(struct journal *j)
{
    uint64_t until =
        atomic_load_explicit(&j->watched_until, memory_order_relaxed);
    return until && clock_ticks() < until;
}
