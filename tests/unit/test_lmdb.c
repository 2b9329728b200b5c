/* test_lmdb.c -- what only an engine on disk can get wrong. */
#define _GNU_SOURCE /* memmem */
#include "crypto/seal.h"
#include "store/engine.h"
#include "store/record.h"
#include "store_fixture.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static int setup(void **state)
{
    fixture_init(*state = calloc(1, sizeof(struct fixture)), "lmdb");
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

static void records_survive_reopening(void **state)
{
    struct fixture *f = *state;
    struct store_stat stat;
    assert_int_equal(fixture_put(f, "a", "1", 0), OK);
    assert_int_equal(fixture_put(f, "b", "2", 0), OK);
    fixture_close(f);
    fixture_open(f);
    assert_true(fixture_holds(f, "a", "1"));
    assert_true(fixture_holds(f, "b", "2"));
    store_stat(f->store, &stat);
    assert_string_equal(stat.engine, "lmdb");
    assert_int_equal(stat.records, 2);
    assert_true(stat.bytes >= 4096);
}

static void values_lie_sealed_in_the_file(void **state)
{
    struct fixture *f = *state;
    char path[128], page[4096];
    bool key_seen = false;
    assert_int_equal(fixture_put(f, "the-key", "the-secret-value", 0), OK);
    snprintf(path, sizeof path, "%s/store/data.mdb", f->dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (size_t n; (n = fread(page, 1, sizeof page, file));) {
        assert_null(memmem(page, n, "secret-value", 12));
        key_seen |= memmem(page, n, "the-key", 7) != NULL;
    }
    fclose(file);
    assert_true(key_seen); /* we did look at the right file */
}

static void nobody_else_may_read_the_files(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/store", f->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(path, sizeof path, "%s/store/data.mdb", f->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void another_process_is_refused_in_one_line(void **state)
{
    struct fixture *f = *state;
    struct store *s;
    int up[2], down[2];
    char byte;
    fixture_close(f);
    assert_int_equal(pipe(up) | pipe(down), 0);
    pid_t child = fork();
    if (!child) {
        fixture_open(f);
        assert_int_equal(write(up[1], "x", 1), 1);
        _exit(read(down[0], &byte, 1) != 1);
    }
    assert_int_equal(read(up[0], &byte, 1), 1);
    assert_int_equal(seal_keys_load(&f->keys, f->master, false), OK);
    assert_int_equal(store_open(&s, f->url, f->keys), ERR_STORE);
    assert_non_null(strstr(err_text(), "in use by another process"));
    assert_non_null(strstr(err_text(), f->dir));
    assert_null(strchr(err_text(), '\n'));
    assert_int_equal(write(down[1], "x", 1), 1);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(up[0]), close(up[1]), close(down[0]), close(down[1]);
    seal_keys_free(f->keys);
    fixture_open(f); /* the lock went with the process */
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
    struct fixture *f = *state;
    struct store *s;
    char url[160];
    snprintf(url, sizeof url, "lmdb:%s/master.key/sub", f->dir);
    assert_int_equal(store_open(&s, url, f->keys), ERR_STORE);
    assert_non_null(strstr(err_text(), "master.key/sub"));
    assert_null(strchr(err_text(), '\n'));
}

/* -- master keys --------------------------------------------------------- */

static void write_keys(struct fixture *f, const char *first, const char *second)
{
    char path[128];
    snprintf(path, sizeof path, "%s/master.key", f->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s\n%s\n", first, second);
    fclose(file);
}

static const char old_key[] = "b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2w=";
static const char new_key[] = "bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU=";

/* A store of the old key only. */
static void start_with_old(struct fixture *f)
{
    fixture_fini(f);
    snprintf(f->dir, sizeof f->dir, "/tmp/test-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->master, sizeof f->master, "file:%s/master.key", f->dir);
    snprintf(f->url, sizeof f->url, "lmdb:%s/store", f->dir);
    write_keys(f, old_key, "");
    fixture_open(f);
}

static void opens_with(struct fixture *f, const char *first, const char *second)
{
    fixture_close(f);
    write_keys(f, first, second);
    fixture_open(f);
}

static void is_refused_with(struct fixture *f, const char *key)
{
    struct seal_keys *keys;
    struct store *s;
    fixture_close(f);
    write_keys(f, key, "");
    assert_int_equal(seal_keys_load(&keys, f->master, false), OK);
    assert_int_equal(store_open(&s, f->url, keys), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "master key"));
    assert_null(strchr(err_text(), '\n'));
    seal_keys_free(keys);
    write_keys(f, new_key, old_key);
    fixture_open(f);
}

static void without_its_master_key_a_store_does_not_open(void **state)
{
    start_with_old(*state);
    is_refused_with(*state, new_key);
    assert_int_equal(fixture_put(*state, "k", "v", 0), OK);
}

static void a_key_that_records_still_want_is_missed(void **state)
{
    start_with_old(*state);
    assert_int_equal(fixture_put(*state, "k", "v", 0), OK);
    opens_with(*state, new_key, old_key);
    is_refused_with(*state, new_key);
    is_refused_with(*state, old_key); /* the note is sealed with the new */
    assert_true(fixture_holds(*state, "k", "v"));
}

static void what_is_read_is_sealed_anew_and_stays_what_it_is(void **state)
{
    struct fixture *f = *state;
    uint64_t later = (uint64_t)time(NULL) + 1000;
    start_with_old(f);
    assert_int_equal(fixture_put(f, "k", "v", later), OK);
    assert_int_equal(fixture_put(f, "gone", "v", 1), OK); /* expired */
    uint64_t version = fixture_version(f, "k");
    opens_with(f, new_key, old_key);
    assert_true(fixture_holds(f, "k", "v"));
    uv_run(&f->loop, UV_RUN_DEFAULT);
    opens_with(f, new_key, ""); /* nobody misses the old one */
    struct store_read r = { .key = SLICE("k") };
    assert_int_equal(store_get(f->conn, &r), OK);
    assert_true(r.mark.version == version && r.mark.expires == later);
    buf_wipe(&r.value);
}

static void keyed_hashes_outlive_a_rotation(void **state)
{
    struct fixture *f = *state;
    uint8_t before[DIGEST_SHA256], after[DIGEST_SHA256];
    start_with_old(f);
    seal_mac(f->keys, SLICE("phone"), SLICE("13800000000"), before);
    opens_with(f, new_key, old_key);
    opens_with(f, new_key, "");
    seal_mac(f->keys, SLICE("phone"), SLICE("13800000000"), after);
    assert_memory_equal(before, after, sizeof before);
}

/* -- with the engine alone ---------------------------------------------- */

static void *raw_open(struct fixture *f)
{
    void *db;
    fixture_close(f);
    assert_int_equal(lmdb_engine.open(&db, f->url + 5), OK);
    return db;
}

static void raw_close(struct fixture *f, void *db)
{
    lmdb_engine.close(db);
    fixture_open(f);
}

static enum err raw_apply(void *db, struct store_write *w)
{
    struct store_commit set = { .writes = w, .count = 1 };
    assert_int_equal(lmdb_engine.begin(db), OK);
    enum err e = lmdb_engine.apply(db, &set, 1);
    assert_int_equal(lmdb_engine.commit(db), OK);
    return e;
}

static void raw_put(void *db, const char *key, uint64_t expires)
{
    uint8_t head[RECORD_HEAD];
    record_write_head((struct record_head){ 7, expires }, head);
    struct store_write w = { .key = slice_str(key),
                             .expires = expires,
                             .record = SLICE_OF(head, sizeof head) };
    assert_int_equal(raw_apply(db, &w), OK);
}

static unsigned raw_sweep(void *db, uint64_t now, unsigned max)
{
    unsigned removed;
    assert_int_equal(lmdb_engine.begin(db), OK);
    assert_int_equal(lmdb_engine.sweep(db, now, max, &removed), OK);
    assert_int_equal(lmdb_engine.commit(db), OK);
    return removed;
}

static uint64_t raw_records(void *db)
{
    struct store_stat stat = { 0 };
    lmdb_engine.stat(db, &stat);
    return stat.records - 1; /* but for the note of keys */
}

static void a_record_does_not_open_under_another_key(void **state)
{
    struct fixture *f = *state;
    void *reader;
    char copy[256];
    struct slice record;
    assert_int_equal(fixture_put(f, "mine", "v", 0), OK);
    void *db = raw_open(f);
    assert_int_equal(lmdb_engine.reader_open(db, &reader), OK);
    assert_int_equal(lmdb_engine.get(reader, SLICE("mine"), &record), OK);
    memcpy(copy, record.data, record.len);
    struct store_write w = { .key = SLICE("yours"),
                             .record = SLICE_OF(copy, record.len) };
    lmdb_engine.release(reader);
    assert_int_equal(raw_apply(db, &w), OK);
    w.key = SLICE("short");
    w.record.len = RECORD_HEAD - 1;
    assert_int_equal(raw_apply(db, &w), OK);
    copy[1] ^= 1; /* the version, which no cipher covers */
    w.key = SLICE("mine");
    w.record.len = record.len;
    assert_int_equal(raw_apply(db, &w), OK);
    lmdb_engine.reader_close(reader);
    raw_close(f, db);
    static const char *const keys[] = { "yours", "short", "mine" };
    for (size_t i = 0; i < 3; i++) {
        struct store_read r = { .key = slice_str(keys[i]) };
        assert_int_equal(store_get(f->conn, &r), ERR_STORE);
        assert_int_equal(r.value.len, 0);
        buf_wipe(&r.value);
    }
}

/* A seal tells whose and which, not whether it is the latest: who can write
 * the file can put back what it held before. */
static void an_older_record_of_the_same_key_opens(void **state)
{
    struct fixture *f = *state;
    void *reader;
    char copy[256];
    struct slice record;
    assert_int_equal(fixture_put(f, "k", "old", 0), OK);
    void *db = raw_open(f);
    assert_int_equal(lmdb_engine.reader_open(db, &reader), OK);
    assert_int_equal(lmdb_engine.get(reader, SLICE("k"), &record), OK);
    memcpy(copy, record.data, record.len);
    struct store_write w = { .key = SLICE("k"),
                             .record = SLICE_OF(copy, record.len) };
    lmdb_engine.release(reader);
    lmdb_engine.reader_close(reader);
    raw_close(f, db);
    assert_int_equal(fixture_put(f, "k", "new", 0), OK);
    db = raw_open(f);
    assert_int_equal(raw_apply(db, &w), OK);
    raw_close(f, db);
    assert_true(fixture_holds(f, "k", "old"));
}

static void a_sweep_takes_what_is_due_oldest_first(void **state)
{
    struct fixture *f = *state;
    void *db = raw_open(f);
    raw_put(db, "b", 300);
    raw_put(db, "c", 100);
    raw_put(db, "a", 0);
    raw_put(db, "d", 200);
    assert_int_equal(raw_sweep(db, 99, 10), 0);
    assert_int_equal(raw_sweep(db, 250, 1), 1);
    assert_int_equal(raw_records(db), 3);
    assert_int_equal(raw_sweep(db, 250, 10), 1);
    assert_int_equal(raw_sweep(db, 250, 10), 0);
    assert_int_equal(raw_sweep(db, 300, 10), 1);
    assert_int_equal(raw_sweep(db, UINT64_MAX, 10), 0);
    assert_int_equal(raw_records(db), 1);
    raw_close(f, db);
}

static void a_record_written_again_is_due_by_its_new_expiry(void **state)
{
    struct fixture *f = *state;
    void *db = raw_open(f);
    raw_put(db, "later", 100);
    raw_put(db, "later", 200);
    raw_put(db, "never", 100);
    raw_put(db, "never", 0);
    raw_put(db, "gone", 100);
    struct store_write gone = { .key = SLICE("gone"), .remove = true };
    assert_int_equal(raw_apply(db, &gone), OK);
    assert_int_equal(raw_sweep(db, 150, 10), 0); /* not a due entry is left */
    assert_int_equal(raw_sweep(db, 250, 10), 1);
    assert_int_equal(raw_records(db), 1);
    raw_close(f, db);
}

/* -- a full disk -------------------------------------------------------- */

static void a_full_disk_fails_the_write_and_not_the_next(void **state)
{
    struct fixture *f = *state;
    struct rlimit old, tight;
    struct store_stat stat;
    char *big = calloc(1, STORE_VALUE_MAX);
    assert_int_equal(fixture_put(f, "before", "v", 0), OK);
    store_stat(f->store, &stat);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = (struct rlimit){ stat.bytes + 100000, old.rlim_max };
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN); /* EFBIG instead */
    setrlimit(RLIMIT_FSIZE, &tight);
    struct store_write w[2] = {
        { .key = SLICE("big"), .value = SLICE_OF(big, STORE_VALUE_MAX) },
        { .key = SLICE("small"), .value = SLICE("v") },
    };
    enum err e = fixture_commit(f, w, 2);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    assert_int_equal(e, ERR_STORE);
    assert_non_null(strstr(err_text(), "lmdb"));
    store_stat(f->store, &stat);
    assert_int_equal(stat.failures, 1);
    assert_string_equal(stat.error, err_text());
    assert_true(fixture_holds(f, "small", NULL));
    assert_true(fixture_holds(f, "before", "v"));
    assert_int_equal(fixture_commit(f, w, 2), OK);
    fixture_close(f);
    fixture_open(f);
    assert_true(fixture_holds(f, "small", "v"));
    free(big);
}

/* -- kill -9 ------------------------------------------------------------ */

enum { OUTSTANDING = 8 };

struct pusher {
    struct store_commit commit; /* first: on_pushed gets it back */
    struct store_write write;
    struct store_conn *conn;
    uint32_t number;
    int pipe;
};

static void push(struct pusher *p)
{
    static uint32_t count; /* of this process, which lives for one round */
    p->number = count++;
    p->write = (struct store_write){ .key = SLICE_OF(&p->number, 4),
                                     .value = SLICE_OF(&p->number, 4) };
    if (store_put(p->conn, &p->commit) != PENDING)
        _exit(1);
}

static void on_pushed(struct store_commit *commit)
{
    struct pusher *p = (struct pusher *)commit;
    if (commit->result || write(p->pipe, &p->number, 4) != 4)
        _exit(1);
    push(p);
}

/* Writes until it is killed, and tells each key that was acknowledged. */
static void child_writes(struct fixture *f, int pipe)
{
    struct pusher pushers[OUTSTANDING] = { 0 };
    fixture_open(f);
    for (unsigned i = 0; i < OUTSTANDING; i++) {
        pushers[i].commit = (struct store_commit){ .writes = &pushers[i].write,
                                                   .count = 1,
                                                   .on_done = on_pushed };
        pushers[i].conn = f->conn;
        pushers[i].pipe = pipe;
        push(&pushers[i]);
    }
    uv_run(&f->loop, UV_RUN_DEFAULT);
    _exit(1);
}

static void kill_round(struct fixture *f, useconds_t delay)
{
    int fd[2];
    uint32_t number, told = 0;
    fixture_close(f);
    assert_int_equal(pipe(fd), 0);
    pid_t child = fork();
    if (!child)
        child_writes(f, fd[1]);
    close(fd[1]);
    assert_int_equal(read(fd[0], &number, 4), 4); /* it is at work */
    usleep(delay);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    fixture_open(f);
    do {
        struct store_read r = { .key = SLICE_OF(&number, 4) };
        assert_int_equal(store_get(f->conn, &r), OK);
        assert_true(slice_eq(r.key, buf_slice(&r.value)));
        buf_wipe(&r.value);
        told++;
    } while (read(fd[0], &number, 4) == 4);
    close(fd[0]);
    assert_true(told > 0);
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    srand((unsigned)getpid());
    for (unsigned i = 0; i < 8; i++)
        kill_round(*state, (useconds_t)(rand() % 30000));
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(records_survive_reopening),
        ON_DISK(values_lie_sealed_in_the_file),
        ON_DISK(nobody_else_may_read_the_files),
        ON_DISK(another_process_is_refused_in_one_line),
        ON_DISK(a_directory_that_cannot_be_made_is_named),
        ON_DISK(without_its_master_key_a_store_does_not_open),
        ON_DISK(a_key_that_records_still_want_is_missed),
        ON_DISK(what_is_read_is_sealed_anew_and_stays_what_it_is),
        ON_DISK(keyed_hashes_outlive_a_rotation),
        ON_DISK(a_record_does_not_open_under_another_key),
        ON_DISK(an_older_record_of_the_same_key_opens),
        ON_DISK(a_sweep_takes_what_is_due_oldest_first),
        ON_DISK(a_record_written_again_is_due_by_its_new_expiry),
        ON_DISK(a_full_disk_fails_the_write_and_not_the_next),
        ON_DISK(what_was_acknowledged_survives_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
