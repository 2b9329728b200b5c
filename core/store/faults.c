/* faults.c -- records that are there and cannot be read. */
#include "store/faults.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "crypto/digest.h"
#include <pthread.h>

enum { LINES = 10, EVERY_MSEC = 10000, SHOWN = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t began; /* clock_ticks: of the lines that are counted */
static unsigned lines, unsaid;

/* True: there may be a line; *before: how many there were without one. */
static bool may_log(unsigned *before)
{
    pthread_mutex_lock(&lock);
    uint64_t now = clock_ticks();
    if (!began || now - began >= EVERY_MSEC) {
        began = now;
        lines = 0;
    }
    bool may = lines < LINES;
    *before = may ? unsaid : 0;
    lines += may;
    unsaid = may ? 0 : unsaid + 1;
    pthread_mutex_unlock(&lock);
    return may;
}

/* "session" of session/X; a key without a kind is one itself. */
static struct slice kind_of(struct slice key)
{
    key.len = slice_find(key, '/');
    for (size_t i = 0; i < key.len; i++)
        if (key.data[i] < 'a' || key.data[i] > 'z')
            return SLICE("other");
    return key;
}

static void count(struct slice kind, const char *fault)
{
    static const char *const labels[] = { "kind", "fault", NULL };
    struct metric *m = metrics_counter("latchkey_store_faults_total",
                                       "Records that cannot be read.", labels);
    struct slice values[] = { kind, slice_str(fault) };
    metric_add(m, values, 1);
}

void faults_note(struct slice key, enum err why)
{
    bool strange = why == ERR_CONFIG;
    struct slice kind = kind_of(key);
    uint8_t hash[DIGEST_SHA256];
    struct buf hex = { 0 };
    unsigned before;
    count(kind, strange ? "master_key" : "damaged");
    if (!may_log(&before))
        return;
    digest_sha256(key, hash);
    text_hex(&hex, SLICE_OF(hash, SHOWN));
    log_write(LOG_ERR,
              "store: a %.*s record (SHA-256 of its key %.*s...) %s; who "
              "needs it is answered 503 (%u more untold)",
              SLICE_FMT(kind), SLICE_FMT(buf_slice(&hex)),
              strange ? "is sealed with a master key that is not among ours"
                      : "is damaged",
              before);
    buf_free(&hex);
}
