/* records.c -- `latchkey store`: the records by hand. */
#include "records.h"
#include "archive.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "crypto/seal.h"
#include "records_batch.h"
#include "store/record.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { KINDS = 32, KIND = 24 };

struct job {
    struct store_walk walk; /* first: each gets it */
    struct conf *conf;
    struct seal_keys *keys;
    struct sealer *sealer;
    const char *file; /* NULL: none given */
    FILE *stream;
    struct store *store;
    struct archive archive;
    struct records_batch batch;
    struct buf value;
    enum err fault;
    uint64_t records, expired, bytes, older, bad;
    char first_bad[256];
    struct {
        char name[KIND];
        uint64_t count;
    } kinds[KINDS];
};

static struct job *job_of(struct store_walk *walk)
{
    return (struct job *)walk;
}

/* ---- looking at records ---------------------------------------------------
 */

/* "user/..." counts under "user". */
static void count_kind(struct job *j, struct slice key)
{
    struct slice kind = { key.data, slice_find(key, '/') };
    for (int i = 0; i < KINDS; i++) {
        if (!j->kinds[i].count)
            snprintf(j->kinds[i].name, KIND, "%.*s", SLICE_FMT(kind));
        else if (!slice_eq(slice_str(j->kinds[i].name), kind) && i < KINDS - 1)
            continue;
        j->kinds[i].count++;
        return;
    }
}

static void count_record(struct job *j, struct slice key, struct slice record)
{
    struct record_head head;
    j->records++;
    j->bytes += key.len + record.len;
    count_kind(j, key);
    if (!record_read_head(record, &head))
        return;
    j->expired += record_expired(head, (uint64_t)clock_now());
    j->older += !seal_is_newest(j->keys, slice_from(record, RECORD_HEAD));
}

static void print_counts(const struct job *j)
{
    printf("records %" PRIu64 "\nexpired %" PRIu64 "\nbytes %" PRIu64
           "\nolder_key %" PRIu64 "\n",
           j->records, j->expired, j->bytes, j->older);
    for (int i = 0; i < KINDS && j->kinds[i].count; i++)
        printf("%s %" PRIu64 "\n", j->kinds[i].name, j->kinds[i].count);
}

static void verify_record(struct job *j, struct slice key, struct slice record)
{
    count_record(j, key, record);
    buf_wipe(&j->value);
    if (record_open(j->sealer, key, record, &j->value) == OK)
        return;
    if (!j->bad++)
        snprintf(j->first_bad, sizeof j->first_bad, "%s", err_text());
}

/* ---- files ----------------------------------------------------------------
 */

static bool is_standard(const struct job *j)
{
    return !j->file || !strcmp(j->file, "-");
}

/* A backup is not written over, and is nobody else's to read. */
static enum err open_output(struct job *j)
{
    int fd = is_standard(j) ? STDOUT_FILENO
                            : open(j->file, O_WRONLY | O_CREAT | O_EXCL, 0600);
    j->stream = fd < 0 ? NULL : fdopen(fd, "wb");
    return j->stream ? OK : err_set(ERR_IO, "%s: %s", j->file, strerror(errno));
}

static enum err open_input(struct job *j)
{
    j->stream = is_standard(j) ? stdin : fopen(j->file, "rb");
    if (!j->stream)
        return err_set(ERR_IO, "%s: %s", j->file, strerror(errno));
    return archive_open(&j->archive, j->stream);
}

static enum err each_of_file(struct job *j,
                             enum err (*each)(struct job *, struct slice,
                                              struct slice))
{
    struct slice key, record;
    enum err e = open_input(j);
    while (!e && !(e = archive_next(&j->archive, &key, &record)))
        e = each(j, key, record);
    return e == ERR_NOT_FOUND ? OK : e;
}

/* ---- the commands ---------------------------------------------------------
 */

static bool dump_one(struct store_walk *walk, struct slice key,
                     struct slice record)
{
    struct job *j = job_of(walk);
    return (j->fault = archive_add(&j->archive, key, record)) == OK;
}

static bool look_at(struct store_walk *walk, struct slice key,
                    struct slice record)
{
    count_record(job_of(walk), key, record);
    return true;
}

static bool verify_one(struct store_walk *walk, struct slice key,
                       struct slice record)
{
    verify_record(job_of(walk), key, record);
    return true;
}

static enum err walk(struct job *j, bool (*each)(struct store_walk *,
                                                 struct slice, struct slice))
{
    enum err e = store_open_to_read(&j->store, j->conf->store.data, j->keys);
    j->walk.each = each;
    if (!e)
        e = store_walk(j->store, &j->walk);
    return e ? e : j->fault;
}

static enum err run_dump(struct job *j)
{
    enum err e = open_output(j);
    if (!e)
        e = archive_create(&j->archive, j->stream);
    if (!e)
        e = walk(j, dump_one);
    if (!e)
        e = archive_end(&j->archive);
    if (e && j->stream && !is_standard(j))
        unlink(j->file); /* half a backup is none */
    return e;
}

/* The keys must be those that the dump was sealed with: the first record
 * tells. */
static enum err load_one(struct job *j, struct slice key, struct slice record)
{
    buf_wipe(&j->value);
    if (!j->records++) {
        enum err e = record_open(j->sealer, key, record, &j->value);
        if (e)
            return e;
    }
    return records_batch_add(&j->batch, key, record, 0, 0);
}

static enum err run_load(struct job *j)
{
    enum err e = records_batch_open(&j->batch, j->conf->store.data, j->keys);
    if (!e)
        e = each_of_file(j, load_one);
    enum err last = records_batch_flush(&j->batch);
    fprintf(stderr, "latchkey: %" PRIu64 " records loaded\n", j->batch.done);
    return e ? e : last;
}

static enum err verify_next(struct job *j, struct slice key,
                            struct slice record)
{
    verify_record(j, key, record);
    return OK;
}

static enum err run_verify(struct job *j)
{
    enum err e = j->file ? each_of_file(j, verify_next) : walk(j, verify_one);
    print_counts(j);
    printf("bad %" PRIu64 "\n", j->bad);
    if (!e && j->bad)
        return err_set(ERR_STORE,
                       "%" PRIu64 " records do not open; the first: "
                       "%s",
                       j->bad, j->first_bad);
    return e;
}

static enum err run_stat(struct job *j)
{
    enum err e = walk(j, look_at);
    if (!e)
        print_counts(j);
    return e;
}

/* What is newer than our look at it was sealed by the newest key anyway. */
static bool reseal_one(struct store_walk *walking, struct slice key,
                       struct slice record)
{
    struct job *j = job_of(walking);
    struct record_head head;
    if (!record_read_head(record, &head) ||
        seal_is_newest(j->keys, slice_from(record, RECORD_HEAD)))
        return true;
    buf_wipe(&j->value);
    j->fault = record_open(j->sealer, key, record, &j->value);
    if (!j->fault)
        j->fault = records_batch_add(&j->batch, key, buf_slice(&j->value),
                                     head.version, head.expires);
    return !j->fault;
}

static enum err run_reseal(struct job *j)
{
    enum err e = records_batch_open(&j->batch, j->conf->store.data, j->keys);
    j->walk.each = reseal_one;
    if (!e)
        e = store_walk(j->batch.store, &j->walk);
    enum err last = records_batch_flush(&j->batch);
    fprintf(stderr, "latchkey: %" PRIu64 " records resealed\n", j->batch.done);
    return e ? e : j->fault ? j->fault : last;
}

/* ---- all of them ----------------------------------------------------------
 */

static enum err prepare(struct job *j, const struct options *o)
{
    struct conf_options from = { .prefix = o->prefix,
                                 .file = o->conf,
                                 .globals = o->globals };
    char spec[4200];
    enum err e = conf_load(&j->conf, &from);
    if (e)
        return e;
    const struct conf_secret *key = &j->conf->master_key;
    snprintf(spec, sizeof spec, "%s:%s",
             key->kind == CONF_SECRET_FILE ? "file" : "env", key->name);
    e = seal_keys_load(&j->keys, spec, false);
    if (!e && !(j->sealer = sealer_new(j->keys)))
        e = err_set(ERR_NOMEM, "no memory");
    return e;
}

static void release(struct job *j)
{
    records_batch_close(&j->batch);
    store_close(j->store);
    archive_fini(&j->archive);
    buf_wipe(&j->value);
    sealer_free(j->sealer);
    seal_keys_free(j->keys);
    conf_free(j->conf);
    if (j->stream && j->stream != stdin)
        fclose(j->stream);
}

int records_main(const struct options *o, int argc, char **argv)
{
    static const struct {
        const char *name;
        enum err (*run)(struct job *);
        int files; /* how many it may take */
    } commands[] = { { "dump", run_dump, 1 },
                     { "load", run_load, 1 },
                     { "verify", run_verify, 1 },
                     { "stat", run_stat, 0 },
                     { "reseal", run_reseal, 0 } };
    const char *name = o->rest < argc ? argv[o->rest] : "";
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        int files = argc - o->rest - 1;
        if (strcmp(name, commands[i].name) || files > commands[i].files)
            continue;
        struct job j = { .file = files ? argv[argc - 1] : NULL };
        enum err e = prepare(&j, o);
        if (!e)
            e = commands[i].run(&j);
        if (e)
            log_emerg("%s", err_text());
        release(&j);
        return e != OK;
    }
    log_emerg("usage: latchkey [-p prefix] [-c filename] store "
              "dump|load|verify [FILE|-], or stat|reseal");
    return 1;
}
