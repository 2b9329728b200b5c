/* memory.c -- records in memory: the reference that tests compare with. */
#include "base/table.h"
#include "store/engine.h"
#include "store/record.h"
#include <pthread.h>
#include <stdlib.h>

struct node {
    char *record; /* NULL: none (a set that was given up left the node) */
    size_t size;
    char *next; /* what the set under way puts here */
    size_t key_len;
    char key[];
};

/* One lock: a reader holds it from get to release, the writer from begin to
 * commit, so that readers see whole transactions. */
struct memory {
    pthread_mutex_t lock;
    struct table nodes;
    uint64_t records, bytes;
};

static struct slice record_of(const struct node *n)
{
    return n ? (struct slice){ n->record, n->size } : SLICE_NONE;
}

static enum err node_make(struct memory *m, struct slice key, struct node **out)
{
    struct node *n = table_get(&m->nodes, key);
    if (!n) {
        n = calloc(1, sizeof *n + key.len);
        if (!n)
            return ERR_NOMEM;
        n->key_len = key.len;
        memcpy(n->key, key.data, key.len);
        if (!table_put(&m->nodes, SLICE_OF(n->key, key.len), n)) {
            free(n);
            return ERR_NOMEM;
        }
    }
    *out = n;
    return OK;
}

/* Takes the node's record out of the sums and frees it. */
static void drop_record(struct memory *m, struct node *n)
{
    if (n->record) {
        m->records--;
        m->bytes -= n->key_len + n->size;
    }
    free(n->record);
    n->record = NULL;
}

static void drop_node(struct memory *m, struct slice key)
{
    struct node *n = table_remove(&m->nodes, key);
    if (!n)
        return;
    drop_record(m, n);
    free(n->next);
    free(n);
}

/* All that may fail, so that store_next need not be undone. */
static enum err prepare(struct memory *m, const struct store_write *w)
{
    struct node *n;
    if (w->remove)
        return OK;
    enum err e = node_make(m, w->key, &n);
    if (e)
        return e;
    free(n->next);
    n->next = malloc(w->record.len);
    if (!n->next)
        return ERR_NOMEM;
    memcpy(n->next, w->record.data, w->record.len);
    return OK;
}

static void store_next(struct memory *m, const struct store_write *w)
{
    struct node *n = table_get(&m->nodes, w->key);
    drop_record(m, n);
    n->record = n->next;
    n->size = w->record.len;
    n->next = NULL;
    m->records++;
    m->bytes += n->key_len + n->size;
}

static enum err memory_apply(void *db, const struct store_commit *set,
                             uint64_t now)
{
    struct memory *m = db;
    for (unsigned i = 0; i < set->count; i++) {
        const struct store_write *w = &set->writes[i];
        if (!record_allows(record_of(table_get(&m->nodes, w->key)), w, now))
            return ERR_CONFLICT;
    }
    for (unsigned i = 0; i < set->count; i++)
        if (prepare(m, &set->writes[i]))
            return ERR_NOMEM;
    for (unsigned i = 0; i < set->count; i++) {
        if (set->writes[i].remove)
            drop_node(m, set->writes[i].key);
        else
            store_next(m, &set->writes[i]);
    }
    return OK;
}

static enum err memory_sweep(void *db, uint64_t now, unsigned max,
                             unsigned *removed)
{
    struct memory *m = db;
    void *value;
    *removed = 0;
    for (size_t i = 0; *removed < max && table_next(&m->nodes, &i, &value);) {
        struct node *n = value;
        struct record_head head;
        if (!n->record || !record_read_head(record_of(n), &head) ||
            !record_expired(head, now))
            continue;
        drop_node(m, SLICE_OF(n->key, n->key_len));
        i--; /* the table moved another entry here */
        (*removed)++;
    }
    return OK;
}

static enum err memory_begin(void *db)
{
    pthread_mutex_lock(&((struct memory *)db)->lock);
    return OK;
}

static void memory_abort(void *db)
{
    pthread_mutex_unlock(&((struct memory *)db)->lock);
}

static enum err memory_commit(void *db)
{
    memory_abort(db); /* what was applied is there already */
    return OK;
}

static enum err memory_get(void *reader, struct slice key, struct slice *record)
{
    struct memory *m = reader;
    pthread_mutex_lock(&m->lock);
    *record = record_of(table_get(&m->nodes, key));
    if (record->data)
        return OK;
    pthread_mutex_unlock(&m->lock);
    return ERR_NOT_FOUND;
}

static struct slice key_of(const struct node *n)
{
    return SLICE_OF(n->key, n->key_len);
}

static int compare(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.data, b.data, n) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* The first of the scan's keys beyond after; NULL: none. */
static const struct node *find_beyond(const struct memory *m,
                                      const struct store_scan *scan,
                                      struct slice after)
{
    const struct node *best = NULL;
    void *value;
    for (size_t i = 0; table_next(&m->nodes, &i, &value);) {
        const struct node *n = value;
        if (n->record && slice_starts(key_of(n), scan->prefix) &&
            compare(key_of(n), after) > 0 &&
            (!best || compare(key_of(n), key_of(best)) < 0))
            best = n;
    }
    return best;
}

/* Slow, but this engine is for tests: every key is looked at for each. */
static enum err memory_scan(void *reader, struct store_scan *scan)
{
    struct memory *m = reader;
    const struct node *n;
    struct slice at = scan->after;
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; (n = find_beyond(m, scan, at)); i++) {
        scan->more = i == scan->max;
        if (scan->more)
            break;
        at = key_of(n);
        store_scanned(scan, at, record_of(n));
    }
    pthread_mutex_unlock(&m->lock);
    return OK;
}

static enum err memory_reader_open(void *db, void **reader)
{
    *reader = db;
    return OK;
}

static void memory_reader_close(void *reader)
{
    (void)reader;
}

static void memory_stat(void *db, struct store_stat *out)
{
    struct memory *m = db;
    pthread_mutex_lock(&m->lock);
    out->records = m->records;
    out->bytes = m->bytes;
    pthread_mutex_unlock(&m->lock);
}

static enum err memory_open(void **db, const char *where)
{
    if (*where)
        return err_set(ERR_CONFIG, "store \"memory:\" takes no argument");
    struct memory *m = calloc(1, sizeof *m);
    if (!m)
        return err_set(ERR_NOMEM, "no memory");
    pthread_mutex_init(&m->lock, NULL);
    *db = m;
    return OK;
}

/* Nobody else can see it. */
static enum err memory_open_to_read(void **db, const char *where)
{
    (void)db;
    (void)where;
    return err_set(ERR_CONFIG, "store \"memory:\" ends with its process");
}

static enum err memory_walk(void *db, struct store_walk *walk)
{
    struct memory *m = db;
    void *value;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; table_next(&m->nodes, &i, &value);) {
        const struct node *n = value;
        if (n->record &&
            !walk->each(walk, SLICE_OF(n->key, n->key_len), record_of(n)))
            break;
    }
    pthread_mutex_unlock(&m->lock);
    return OK;
}

static void memory_close(void *db)
{
    struct memory *m = db;
    void *value;
    for (size_t i = 0; table_next(&m->nodes, &i, &value);) {
        struct node *n = value;
        free(n->record);
        free(n->next);
        free(n);
    }
    table_free(&m->nodes);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

const struct store_engine memory_engine = {
    .scheme = "memory",
    .open = memory_open,
    .close = memory_close,
    .open_to_read = memory_open_to_read,
    .walk = memory_walk,
    .stat = memory_stat,
    .reader_open = memory_reader_open,
    .reader_close = memory_reader_close,
    .get = memory_get,
    .release = memory_abort,
    .scan = memory_scan,
    .begin = memory_begin,
    .apply = memory_apply,
    .sweep = memory_sweep,
    .commit = memory_commit,
    .abort = memory_abort,
};
