/* test_store.c -- what all engines must do alike. */
#include "base/clock.h"
#include "redis_fixture.h"
#include "store_fixture.h"

static int open_memory(void **state)
{
    fixture_init(*state = calloc(1, sizeof(struct fixture)), "memory");
    return 0;
}

static int open_lmdb(void **state)
{
    fixture_init(*state = calloc(1, sizeof(struct fixture)), "lmdb");
    return 0;
}

static struct redis_server server;
static struct redis_masters masters;

static int start_redis(void **state)
{
    (void)state;
    redis_server_start(&server, NULL);
    redis_masters_start(&masters);
    return 0;
}

static int stop_redis(void **state)
{
    (void)state;
    redis_server_kill(&server);
    redis_masters_kill(&masters);
    return 0;
}

/* Each test has a database of its own. */
static int open_redis(void **state)
{
    static unsigned db;
    char url[64];
    snprintf(url, sizeof url, "redis://127.0.0.1:%u/%u", server.port, db++);
    fixture_init(*state = calloc(1, sizeof(struct fixture)), url);
    return 0;
}

/* There is one database in a cluster. */
static int open_cluster(void **state)
{
    char url[64];
    for (unsigned i = 0; i < REDIS_MASTERS; i++)
        redis_masters_say(&masters, i, "FLUSHALL", "+OK");
    snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%u,127.0.0.1:%u",
             masters.nodes[0].port, masters.nodes[1].port);
    fixture_init(*state = calloc(1, sizeof(struct fixture)), url);
    return 0;
}

/* Redis removes what has expired by itself. */
static bool sweeps(const struct fixture *f)
{
    return !store_waits(f->conn);
}

static int close_any(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

static void what_was_put_is_got_back(void **state)
{
    struct fixture *f = *state;
    struct store_write w = { .key = SLICE("k\0ey"),
                             .value = SLICE("va\0lue"),
                             .expires = (uint64_t)clock_now() + 100 };
    assert_int_equal(fixture_commit(f, &w, 1), OK);
    assert_true(w.version != 0);
    struct store_read r = { .key = SLICE("k\0ey") };
    assert_int_equal(fixture_get(f, &r), OK);
    assert_int_equal(r.result, OK);
    assert_true(slice_eq(buf_slice(&r.value), SLICE("va\0lue")));
    assert_true(r.mark.version == w.version);
    assert_true(r.mark.expires == w.expires);
    buf_wipe(&r.value);
    r = (struct store_read){ .key = SLICE("k") };
    assert_int_equal(fixture_get(f, &r), ERR_NOT_FOUND);
    assert_int_equal(r.value.len, 0);
    buf_wipe(&r.value);
}

static void a_mark_stands_until_its_key_is_written(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_put(f, "k", "one", 0), OK);
    struct store_read r = { .key = SLICE("k") };
    assert_int_equal(fixture_get(f, &r), OK);
    assert_false(r.same);
    assert_int_equal(fixture_get(f, &r), OK);
    assert_true(r.same);
    assert_int_equal(r.value.len, 0);
    assert_int_equal(fixture_put(f, "k", "two", 0), OK);
    assert_int_equal(fixture_get(f, &r), OK);
    assert_false(r.same);
    assert_true(slice_eq(buf_slice(&r.value), SLICE("two")));
    struct store_write w = { .key = SLICE("k"), .remove = true };
    assert_int_equal(fixture_commit(f, &w, 1), OK);
    assert_int_equal(fixture_get(f, &r), ERR_NOT_FOUND);
    buf_wipe(&r.value);
}

static void a_mark_does_not_outlive_its_record(void **state)
{
    struct fixture *f = *state;
    uint64_t soon = (uint64_t)clock_now() + 1;
    assert_int_equal(fixture_put(f, "k", "v", soon), OK);
    struct store_read r = { .key = SLICE("k") };
    fixture_get(f, &r);
    while ((uint64_t)clock_now() < soon)
        usleep(10000);
    assert_int_equal(fixture_get(f, &r), ERR_NOT_FOUND);
    buf_wipe(&r.value);
}

static void an_empty_value_is_a_value(void **state)
{
    assert_int_equal(fixture_put(*state, "k", "", 0), OK);
    assert_true(fixture_holds(*state, "k", ""));
}

static void a_removed_record_is_gone(void **state)
{
    assert_int_equal(fixture_put(*state, "k", "v", 0), OK);
    struct store_write w = { .key = SLICE("k"), .remove = true };
    assert_int_equal(fixture_commit(*state, &w, 1), OK);
    assert_true(fixture_holds(*state, "k", NULL));
    assert_int_equal(fixture_commit(*state, &w, 1), OK); /* twice is fine */
}

static void every_write_has_a_version_of_its_own(void **state)
{
    assert_int_equal(fixture_put(*state, "k", "v", 0), OK);
    uint64_t first = fixture_version(*state, "k");
    assert_int_equal(fixture_put(*state, "k", "v", 0), OK);
    assert_true(fixture_version(*state, "k") != first);
}

static void a_check_for_absence_refuses_what_is_there(void **state)
{
    struct store_write w = { .key = SLICE("k"),
                             .value = SLICE("1"),
                             .check = true };
    assert_int_equal(fixture_commit(*state, &w, 1), OK);
    w.value = SLICE("2");
    assert_int_equal(fixture_commit(*state, &w, 1), ERR_CONFLICT);
    assert_string_equal(err_text(), "the record was changed meanwhile");
    assert_true(fixture_holds(*state, "k", "1"));
}

static void a_stale_version_writes_nothing_of_its_set(void **state)
{
    assert_int_equal(fixture_put(*state, "b", "old", 0), OK);
    uint64_t version = fixture_version(*state, "b");
    struct store_write w[3] = {
        { .key = SLICE("a"), .value = SLICE("new") },
        { .key = SLICE("b"),
          .value = SLICE("new"),
          .check = true,
          .expect = version + 1 },
        { .key = SLICE("c"), .value = SLICE("new") },
    };
    assert_int_equal(fixture_commit(*state, w, 3), ERR_CONFLICT);
    assert_true(fixture_holds(*state, "a", NULL));
    assert_true(fixture_holds(*state, "b", "old"));
    assert_true(fixture_holds(*state, "c", NULL));
    w[1].expect = version;
    assert_int_equal(fixture_commit(*state, w, 3), OK);
    assert_true(fixture_holds(*state, "b", "new"));
    assert_true(fixture_holds(*state, "c", "new"));
}

static void a_removal_can_be_checked_too(void **state)
{
    assert_int_equal(fixture_put(*state, "k", "v", 0), OK);
    struct store_write w = { .key = SLICE("k"), .remove = true, .check = true };
    assert_int_equal(fixture_commit(*state, &w, 1), ERR_CONFLICT);
    w.expect = fixture_version(*state, "k");
    assert_int_equal(fixture_commit(*state, &w, 1), OK);
    assert_true(fixture_holds(*state, "k", NULL));
}

static void an_expired_record_counts_as_absent(void **state)
{
    assert_int_equal(fixture_put(*state, "k", "v", 1), OK);
    assert_true(fixture_holds(*state, "k", NULL));
    struct store_write w = { .key = SLICE("k"),
                             .value = SLICE("new"),
                             .check = true };
    assert_int_equal(fixture_commit(*state, &w, 1), OK);
    assert_true(fixture_holds(*state, "k", "new"));
}

/* How many records there are; waits until there are so many. */
static uint64_t records(struct fixture *f, uint64_t want)
{
    struct store_stat stat;
    for (int i = 0; i < 200; i++) { /* at most some ten seconds */
        fixture_spin(f, 50);
        store_stat(f->store, &stat);
        if (stat.records == want)
            break;
    }
    return stat.records;
}

static void expired_records_are_swept_and_no_others(void **state)
{
    struct fixture *f = *state;
    struct store_stat stat;
    char key[16];
    struct store_write writes[400]; /* more than one sweep takes */
    char keys[400][8];
    for (unsigned i = 0; i < 400; i++) {
        snprintf(keys[i], sizeof keys[i], "x%u", i);
        writes[i] =
            (struct store_write){ .key = slice_str(keys[i]), .expires = 1 + i };
    }
    assert_int_equal(fixture_commit(f, writes, 400), OK);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "keep%u", i);
        uint64_t later = (uint64_t)clock_now() + 1000;
        assert_int_equal(fixture_put(f, key, "v", i ? later : 0), OK);
    }
    assert_int_equal(records(f, 10), 10);
    store_stat(f->store, &stat);
    assert_int_equal(stat.swept, sweeps(f) ? 400 : 0);
    assert_true(fixture_holds(f, "keep0", "v"));
    assert_true(fixture_holds(f, "keep9", "v"));
}

static void lengths_are_checked(void **state)
{
    struct fixture *f = *state;
    char *big = calloc(1, STORE_VALUE_MAX + 1);
    struct store_write w = { .key = SLICE_OF(big, STORE_KEY_MAX),
                             .value = SLICE_OF(big, STORE_VALUE_MAX),
                             .expires = UINT64_MAX };
    assert_int_equal(fixture_commit(f, &w, 1), OK);
    struct store_read r = { .key = w.key };
    assert_int_equal(fixture_get(f, &r), OK);
    assert_int_equal(r.value.len, STORE_VALUE_MAX);
    r.key.len++;
    assert_int_equal(fixture_get(f, &r), ERR_INVALID);
    w.key.len++;
    assert_int_equal(fixture_commit(f, &w, 1), ERR_INVALID);
    w.key.len = 0;
    assert_int_equal(fixture_commit(f, &w, 1), ERR_INVALID);
    w.key.len = 1;
    w.value.len++;
    assert_int_equal(fixture_commit(f, &w, 1), ERR_INVALID);
    assert_int_equal(fixture_commit(f, &w, 0), ERR_INVALID);
    buf_wipe(&r.value);
    free(big);
}

/* -- chains, detaching, closing ----------------------------------------- */

struct chain {
    struct store_commit commit; /* first: on_chain gets it back */
    struct store_write write;
    struct store_conn *conn;
    char key[2];
    unsigned left, answers;
    enum err last;
};

static void on_chain(struct store_commit *commit)
{
    struct chain *c = (struct chain *)commit;
    c->answers++;
    c->last = commit->result;
    if (c->left && c->left--)
        c->last = store_put(c->conn, commit);
}

static struct chain *chain_start(struct fixture *f, char key, unsigned left)
{
    struct chain *c = calloc(1, sizeof *c);
    c->key[0] = key;
    c->write =
        (struct store_write){ .key = slice_str(c->key), .value = SLICE("v") };
    c->conn = f->conn;
    c->left = left;
    c->commit = (struct store_commit){ .writes = &c->write,
                                       .count = 1,
                                       .on_done = on_chain };
    assert_int_equal(store_put(f->conn, &c->commit), PENDING);
    return c;
}

static void an_answer_may_put_again(void **state)
{
    struct fixture *f = *state;
    struct chain *c = chain_start(f, 'k', 5);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(c->answers, 6);
    assert_int_equal(c->last, OK);
    free(c);
}

static void detaching_answers_what_is_pending(void **state)
{
    struct fixture *f = *state;
    struct chain *a = chain_start(f, 'a', 0), *b = chain_start(f, 'b', 5);
    fixture_detach(f);
    assert_int_equal(a->answers, 1);
    assert_int_equal(a->last, OK);
    assert_int_equal(b->answers, 1);
    assert_int_equal(b->last, ERR_CLOSED); /* its second put */
    free(a);
    free(b);
    uv_loop_init(&f->loop);
    assert_int_equal(store_attach(f->store, &f->loop, &f->conn), OK);
    assert_true(fixture_holds(f, "a", "v"));
}

static void closing_commits_what_was_handed_over(void **state)
{
    struct fixture *f = *state;
    struct chain *c[20];
    for (unsigned i = 0; i < 20; i++)
        c[i] = chain_start(f, (char)('a' + i), 0);
    store_close(f->store);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(c[i]->commit.result, OK);
    assert_int_equal(fixture_put(f, "late", "v", 0), ERR_CLOSED);
    assert_true(fixture_holds(f, "t", "v"));
    fixture_detach(f);
    seal_keys_free(f->keys);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(c[i]->answers, 1);
        free(c[i]);
    }
    fixture_open(f);
}

/* -- threads ------------------------------------------------------------ */

enum { THREADS = 4, ROUNDS = 40 };

/* Raises the counter by one; tried anew on a conflict. */
static void raise_counter(struct fixture *f)
{
    for (enum err e = ERR_CONFLICT; e;) {
        struct store_read r = { .key = SLICE("counter") };
        e = fixture_get(f, &r);
        assert_true(e == OK || e == ERR_NOT_FOUND);
        char next[16];
        snprintf(next, sizeof next, "%d", e ? 1 : atoi(buf_str(&r.value)) + 1);
        struct store_write w = { .key = r.key,
                                 .value = slice_str(next),
                                 .check = true,
                                 .expect = e ? 0 : r.mark.version };
        e = fixture_commit(f, &w, 1);
        assert_true(e == OK || e == ERR_CONFLICT);
        buf_wipe(&r.value);
    }
}

static void *write_some(void *arg)
{
    struct fixture f = { .store = arg };
    uv_loop_init(&f.loop);
    assert_int_equal(store_attach(f.store, &f.loop, &f.conn), OK);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char key[40];
        snprintf(key, sizeof key, "%p-%u", (void *)&f, i);
        assert_int_equal(fixture_put(&f, key, key, 0), OK);
        assert_true(fixture_holds(&f, key, key));
        raise_counter(&f);
    }
    fixture_detach(&f);
    return NULL;
}

static void threads_write_together_and_lose_nothing(void **state)
{
    struct fixture *f = *state;
    struct store_stat stat;
    pthread_t threads[THREADS];
    char sum[16];
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, write_some, f->store);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    snprintf(sum, sizeof sum, "%d", THREADS * ROUNDS);
    assert_true(fixture_holds(f, "counter", sum));
    assert_int_equal(records(f, THREADS * ROUNDS + 1), THREADS * ROUNDS + 1);
    store_stat(f->store, &stat);
    assert_int_equal(stat.commits, 2 * THREADS * ROUNDS);
    assert_true(stat.batches <= stat.commits + stat.conflicts);
    assert_int_equal(stat.failures, 0);
    assert_string_equal(stat.error, "");
}

static void other_schemes_are_refused_without_showing_the_url(void **state)
{
    struct fixture *f = *state;
    struct store *s;
    assert_int_equal(store_open(&s, "radish://:secret@host/", f->keys),
                     ERR_CONFIG);
    assert_non_null(strstr(err_text(), "unknown store \"radish\""));
    assert_null(strstr(err_text(), "secret"));
    assert_int_equal(store_open(&s, "lmdb", f->keys), ERR_CONFIG);
    assert_int_equal(store_open(&s, "lmdb:", f->keys), ERR_CONFIG);
    assert_int_equal(store_open(&s, "memory:x", f->keys), ERR_CONFIG);
}

/* The keys of a scan, one after the other, with '>' where more follow. */
static const char *scanned(struct fixture *f, const char *prefix,
                           const char *after, unsigned max)
{
    static char text[256];
    struct store_scan s = { .prefix = slice_str(prefix),
                            .after = slice_str(after),
                            .max = max };
    assert_int_equal(store_scan(f->conn, &s), OK);
    struct slice left = buf_slice(&s.keys), key;
    uint64_t expires;
    int n = 0;
    text[0] = '\0';
    while (store_scan_next(&left, &key, &expires))
        n += snprintf(text + n, sizeof text - (size_t)n, "%.*s:%llu ",
                      SLICE_FMT(key), (unsigned long long)expires);
    snprintf(text + n, sizeof text - (size_t)n, "%s", s.more ? ">" : "");
    buf_free(&s.keys);
    return text;
}

static void a_scan_walks_the_keys_of_a_prefix_in_steps(void **state)
{
    struct fixture *f = *state;
    const char *const keys[] = { "b/3", "a/9", "b/1", "b/20", "c", "b", "b/2" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_int_equal(fixture_put(f, keys[i], "v", 0), OK);
    assert_int_equal(fixture_put(f, "b/2", "v", 4000000000u), OK);
    assert_string_equal(scanned(f, "b/", "", 9),
                        "b/1:0 b/2:4000000000 b/20:0 b/3:0 ");
    assert_string_equal(scanned(f, "b/", "", 3),
                        "b/1:0 b/2:4000000000 b/20:0 >");
    assert_string_equal(scanned(f, "b/", "b/20", 3), "b/3:0 ");
    assert_string_equal(scanned(f, "b/", "b/19", 1), "b/2:4000000000 >");
    assert_string_equal(scanned(f, "b/", "b/3", 1), "");
    assert_string_equal(scanned(f, "d", "", 1), "");
    assert_string_equal(scanned(f, "", "", 2), "a/9:0 b:0 >");
}

static void a_scan_goes_on_where_its_last_key_was_removed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_put(f, "a/1", "v", 0), OK);
    assert_int_equal(fixture_put(f, "a/2", "v", 0), OK);
    struct store_write w = { .key = SLICE("a/1"), .remove = true };
    assert_int_equal(fixture_commit(f, &w, 1), OK);
    assert_string_equal(scanned(f, "a/", "a/1", 1), "a/2:0 ");
}

/* What counting in steps of so many comes to. */
static uint64_t counted(struct fixture *f, const char *prefix, uint64_t beyond,
                        unsigned max)
{
    char after[STORE_AFTER_MAX];
    struct store_scan s = { .prefix = slice_str(prefix),
                            .counts = true,
                            .beyond = beyond,
                            .max = max };
    uint64_t expires, total = 0;
    do {
        assert_int_equal(store_scan(f->conn, &s), OK);
        total += s.count;
        struct slice left = buf_slice(&s.keys), last;
        if (!store_scan_next(&left, &last, &expires))
            break;
        memcpy(after, last.data, last.len);
        s.after = SLICE_OF(after, last.len);
    } while (s.more);
    buf_free(&s.keys);
    return total;
}

static void a_scan_counts_what_expires_after_a_time(void **state)
{
    struct fixture *f = *state;
    enum { END = 2000000000 };
    assert_int_equal(fixture_put(f, "s/1", "v", END + 5), OK);
    assert_int_equal(fixture_put(f, "s/2", "v", END + 1), OK);
    assert_int_equal(fixture_put(f, "t/1", "v", END + 4), OK);
    assert_int_equal(fixture_put(f, "s/3", "v", END + 3), OK);
    assert_int_equal(fixture_put(f, "s/4", "v", 0), OK);
    for (unsigned max = 1; max < 9; max++) {
        assert_int_equal(counted(f, "s/", 0, max), 3);
        assert_int_equal(counted(f, "s/", END, max), 3);
        assert_int_equal(counted(f, "s/", END + 1, max), 2);
        assert_int_equal(counted(f, "s/", END + 5, max), 0);
        assert_int_equal(counted(f, "", END + 3, max), 2);
    }
    assert_int_equal(fixture_put(f, "s/1", "v", END), OK);
    assert_int_equal(counted(f, "s/", END, 2), 2);
}

#define ALL(test)                                                              \
    cmocka_unit_test_setup_teardown(test, open_memory, close_any),             \
        cmocka_unit_test_setup_teardown(test, open_lmdb, close_any),           \
        cmocka_unit_test_setup_teardown(test, open_redis, close_any),          \
        cmocka_unit_test_setup_teardown(test, open_cluster, close_any)

#define SOME(test)                                                             \
    cmocka_unit_test_setup_teardown(test, open_memory, close_any),             \
        cmocka_unit_test_setup_teardown(test, open_lmdb, close_any)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALL(what_was_put_is_got_back),
        ALL(a_mark_stands_until_its_key_is_written),
        ALL(a_mark_does_not_outlive_its_record),
        ALL(an_empty_value_is_a_value),
        ALL(a_removed_record_is_gone),
        ALL(every_write_has_a_version_of_its_own),
        ALL(a_check_for_absence_refuses_what_is_there),
        ALL(a_stale_version_writes_nothing_of_its_set),
        ALL(a_removal_can_be_checked_too),
        ALL(an_expired_record_counts_as_absent),
        ALL(expired_records_are_swept_and_no_others),
        SOME(a_scan_walks_the_keys_of_a_prefix_in_steps),
        SOME(a_scan_goes_on_where_its_last_key_was_removed),
        SOME(a_scan_counts_what_expires_after_a_time),
        ALL(lengths_are_checked),
        ALL(an_answer_may_put_again),
        ALL(detaching_answers_what_is_pending),
        ALL(closing_commits_what_was_handed_over),
        ALL(threads_write_together_and_lose_nothing),
        ALL(other_schemes_are_refused_without_showing_the_url),
    };
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
