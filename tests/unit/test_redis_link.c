/* test_redis_link.c -- a Redis that goes away, hangs, forgets or has no
 * replicas. */
#include "base/clock.h"
#include "redis_fixture.h"
#include "store_fixture.h"

struct rig {
    struct fixture store; /* first: what the store's fixture takes */
    struct redis_server server;
};

static int open_rig_with(void **state, const char *query)
{
    struct rig *r = *state = calloc(1, sizeof *r);
    char url[64];
    redis_server_start(&r->server, NULL);
    snprintf(url, sizeof url, "redis://127.0.0.1:%u/0%s", r->server.port,
             query);
    fixture_init(&r->store, url);
    return 0;
}

static int open_rig(void **state)
{
    return open_rig_with(state, "");
}

static int open_waiting(void **state)
{
    return open_rig_with(state, "?wait=1");
}

static int close_rig(void **state)
{
    struct rig *r = *state;
    kill(r->server.pid, SIGCONT);
    fixture_fini(&r->store);
    redis_server_kill(&r->server);
    free(r);
    return 0;
}

/* Tries until a put has that result. */
static void put_until(struct rig *r, enum err want)
{
    for (int i = 0; i < 1000; i++) {
        if (fixture_put(&r->store, "probe", "v", 0) == want)
            return;
        fixture_spin(&r->store, 10);
    }
    fail_msg("the put never became \"%s\"", err_name(want));
}

static void a_frozen_redis_fails_a_command_after_a_second(void **state)
{
    struct rig *r = *state;
    assert_int_equal(fixture_put(&r->store, "k", "v", 0), OK);
    kill(r->server.pid, SIGSTOP);
    uint64_t start = clock_ticks();
    assert_int_equal(fixture_put(&r->store, "k", "w", 0), ERR_STORE);
    assert_non_null(strstr(err_text(), "no answer within 1000 ms"));
    assert_in_range(clock_ticks() - start, 900, 5000);
}

/* The loop's clock stands meanwhile, and nothing is sent. */
static void be_busy(void)
{
    usleep(1500000);
}

static void who_was_busy_before_a_command_has_it_answered(void **state)
{
    struct rig *r = *state;
    assert_int_equal(fixture_put(&r->store, "k", "v", 0), OK);
    be_busy();
    assert_int_equal(fixture_put(&r->store, "k", "w", 0), OK);
}

static void who_was_busy_after_a_command_has_it_answered(void **state)
{
    struct rig *r = *state;
    bool done = false;
    struct store_write w = { .key = SLICE("k"), .value = SLICE("v") };
    struct store_commit c = {
        .writes = &w, .count = 1, .on_done = fixture_answered, .user = &done
    };
    assert_int_equal(fixture_put(&r->store, "k", "v", 0), OK);
    assert_int_equal(store_put(r->store.conn, &c), PENDING);
    be_busy();
    uv_run(&r->store.loop, UV_RUN_DEFAULT);
    assert_true(done);
    assert_int_equal(c.result, OK);
}

static void while_it_is_away_commands_are_refused_at_once(void **state)
{
    struct rig *r = *state;
    assert_int_equal(fixture_put(&r->store, "k", "v", 0), OK);
    kill(r->server.pid, SIGSTOP);
    assert_int_equal(fixture_put(&r->store, "k", "w", 0), ERR_STORE);
    uint64_t start = clock_ticks();
    for (int i = 0; i < 1000; i++) {
        struct store_read read = { .key = SLICE("k") };
        assert_int_equal(store_get(r->store.conn, &read), ERR_STORE);
        assert_int_equal(fixture_put(&r->store, "k", "w", 0), ERR_STORE);
    }
    assert_true(clock_ticks() - start < 900);
    kill(r->server.pid, SIGCONT);
    put_until(r, OK);
}

static void a_restarted_redis_is_found_again(void **state)
{
    struct rig *r = *state;
    struct store_stat stat;
    assert_int_equal(fixture_put(&r->store, "k", "v", 0), OK);
    redis_server_end(&r->server);
    put_until(r, ERR_STORE);
    redis_server_run(&r->server, NULL);
    put_until(r, OK);
    store_stat(r->store.store, &stat);
    assert_true(stat.failures > 0);
    assert_non_null(strstr(stat.error, "redis 127.0.0.1:"));
}

static void what_was_read_lately_stands_while_it_is_away(void **state)
{
    struct rig *r = *state;
    uint64_t soon = (uint64_t)clock_now() + 4;
    assert_int_equal(fixture_put(&r->store, "k", "v", 0), OK);
    assert_int_equal(fixture_put(&r->store, "soon", "v", soon), OK);
    struct store_read read = { .key = SLICE("k") };
    struct store_read other = { .key = SLICE("other") };
    struct store_read brief = { .key = SLICE("soon") };
    assert_int_equal(fixture_get(&r->store, &read), OK);
    assert_int_equal(fixture_get(&r->store, &brief), OK);
    redis_server_end(&r->server);
    put_until(r, ERR_STORE);
    assert_int_equal(fixture_get(&r->store, &read), OK);
    assert_true(read.same);
    assert_int_equal(fixture_get(&r->store, &other), ERR_STORE);
    read.mark.count -= STORE_GRACE + 1; /* as if read earlier */
    assert_int_equal(fixture_get(&r->store, &read), ERR_STORE);
    while ((uint64_t)clock_now() < soon)
        usleep(10000);
    assert_int_equal(fixture_get(&r->store, &brief), ERR_STORE);
    buf_wipe(&read.value);
    buf_wipe(&brief.value);
    redis_server_run(&r->server, NULL);
}

static void a_forgotten_script_is_sent_again(void **state)
{
    struct rig *r = *state;
    char answer[64];
    assert_int_equal(fixture_put(&r->store, "k", "v", 0), OK);
    assert_true(redis_server_say(r->server.port, "SCRIPT FLUSH", answer,
                                 sizeof answer));
    assert_int_equal(fixture_put(&r->store, "k", "w", 0), OK);
    assert_true(fixture_holds(&r->store, "k", "w"));
}

static void an_error_of_redis_is_the_answer(void **state)
{
    struct rig *r = *state;
    char answer[64];
    redis_server_say(r->server.port, "CONFIG SET maxmemory 1", answer,
                     sizeof answer);
    assert_int_equal(fixture_put(&r->store, "k", "v", 0), ERR_STORE);
    assert_non_null(strstr(err_text(), "OOM"));
    redis_server_say(r->server.port, "CONFIG SET maxmemory 0", answer,
                     sizeof answer);
    assert_int_equal(fixture_put(&r->store, "k", "v", 0), OK);
}

static void a_record_of_another_format_is_no_value(void **state)
{
    struct rig *r = *state;
    char answer[64];
    struct store_read read = { .key = SLICE("k") };
    redis_server_say(r->server.port, "SET latchkey:k garbage", answer,
                     sizeof answer);
    assert_int_equal(fixture_get(&r->store, &read), ERR_STORE);
    assert_non_null(strstr(err_text(), "unknown format"));
    buf_wipe(&read.value);
}

static void expiry_is_redis_own(void **state)
{
    struct rig *r = *state;
    char answer[64];
    uint64_t at = (uint64_t)clock_now() + 100;
    assert_int_equal(fixture_put(&r->store, "k", "v", at), OK);
    redis_server_say(r->server.port, "EXPIRETIME latchkey:k", answer,
                     sizeof answer);
    assert_int_equal(strtoull(answer + 1, NULL, 10), at);
    assert_int_equal(fixture_put(&r->store, "k", "v", 0), OK);
    redis_server_say(r->server.port, "TTL latchkey:k", answer, sizeof answer);
    assert_string_equal(answer, ":-1");
}

static void on_scanned(struct store_scan *scan)
{
    *(bool *)scan->user = true;
}

/* How many keys of the prefix a whole walk finds, or how many of them expire
 * after beyond; steps counts its steps. */
static unsigned count_keys(struct rig *r, const char *prefix, unsigned *steps,
                           uint64_t beyond)
{
    char after[STORE_POSITION] = "";
    unsigned n = 0;
    bool more = true;
    for (*steps = 0; more; ++*steps) {
        bool done = false;
        struct store_scan s = { .prefix = slice_str(prefix),
                                .after = slice_str(after),
                                .max = 1,
                                .counts = beyond != 0,
                                .beyond = beyond,
                                .on_done = on_scanned,
                                .user = &done };
        assert_int_equal(store_scan(r->store.conn, &s), PENDING);
        uv_run(&r->store.loop, UV_RUN_DEFAULT);
        assert_true(done);
        assert_int_equal(s.result, OK);
        struct slice left = buf_slice(&s.keys), key;
        uint64_t expires;
        n += (unsigned)s.count;
        while (!beyond && store_scan_next(&left, &key, &expires)) {
            assert_true(slice_starts(key, slice_str(prefix)));
            assert_int_equal(expires, 4000000000u);
            n++;
        }
        buf_free(&s.keys);
        strcpy(after, s.next);
        more = s.more;
    }
    return n;
}

static void a_scan_walks_all_keys_of_a_prefix(void **state)
{
    struct rig *r = *state;
    unsigned steps;
    char key[64];
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, i % 3 ? "a*/b/%u" : "ax/b/%u", i);
        assert_int_equal(fixture_put(&r->store, key, "v", 4000000000u), OK);
    }
    assert_in_range(count_keys(r, "a*/b/", &steps, 0), 2000, 2200); /* twice? */
    assert_in_range(steps, 2, 10);
    assert_in_range(count_keys(r, "a*/b/10", &steps, 0), 75, 90);
    assert_in_range(count_keys(r, "ax", &steps, 0), 1000, 1100);
    assert_int_equal(count_keys(r, "none/", &steps, 0), 0);
    assert_in_range(count_keys(r, "ax/", &steps, 3999999999u), 1000, 1100);
    assert_int_equal(count_keys(r, "ax/", &steps, 4000000000u), 0);
}

static void a_commit_that_no_replica_has_is_not_acknowledged(void **state)
{
    struct rig *r = *state;
    assert_int_equal(fixture_put(&r->store, "k", "v", 0), ERR_STORE);
    assert_non_null(strstr(err_text(), "0 of 1 replicas"));
    struct store_write w = { .key = SLICE("k"),
                             .value = SLICE("w"),
                             .check = true };
    assert_int_equal(fixture_commit(&r->store, &w, 1), ERR_CONFLICT);
}

static void a_commit_that_a_replica_has_is_acknowledged(void **state)
{
    struct rig *r = *state;
    struct redis_server replica;
    char answer[64], option[64];
    snprintf(option, sizeof option, "--replicaof 127.0.0.1 %u", r->server.port);
    redis_server_start(&replica, option);
    put_until(r, OK);
    assert_int_equal(fixture_put(&r->store, "k", "v", 0), OK);
    assert_true(redis_server_say(replica.port, "EXISTS latchkey:k", answer,
                                 sizeof answer));
    assert_string_equal(answer, ":1");
    kill(replica.pid, SIGSTOP); /* reads go on meanwhile */
    struct store_write w = { .key = SLICE("k"), .value = SLICE("w") };
    bool done = false;
    struct store_commit c = {
        .writes = &w, .count = 1, .on_done = fixture_answered, .user = &done
    };
    assert_int_equal(store_put(r->store.conn, &c), PENDING);
    struct store_read read = { .key = SLICE("k") };
    uint64_t start = clock_ticks();
    bool got = false;
    read.on_done = fixture_read;
    read.user = &got;
    assert_int_equal(store_get(r->store.conn, &read), PENDING);
    while (!got)
        uv_run(&r->store.loop, UV_RUN_ONCE);
    assert_true(clock_ticks() - start < 400);
    assert_false(done);
    uv_run(&r->store.loop, UV_RUN_DEFAULT);
    assert_int_equal(c.result, ERR_STORE);
    buf_wipe(&read.value);
    kill(replica.pid, SIGCONT);
    redis_server_kill(&replica);
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, open_rig, close_rig)
#define WAITING(test)                                                          \
    cmocka_unit_test_setup_teardown(test, open_waiting, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG(a_frozen_redis_fails_a_command_after_a_second),
        RIG(who_was_busy_before_a_command_has_it_answered),
        RIG(who_was_busy_after_a_command_has_it_answered),
        RIG(while_it_is_away_commands_are_refused_at_once),
        RIG(a_restarted_redis_is_found_again),
        RIG(what_was_read_lately_stands_while_it_is_away),
        RIG(a_forgotten_script_is_sent_again),
        RIG(an_error_of_redis_is_the_answer),
        RIG(a_record_of_another_format_is_no_value),
        RIG(expiry_is_redis_own),
        RIG(a_scan_walks_all_keys_of_a_prefix),
        WAITING(a_commit_that_no_replica_has_is_not_acknowledged),
        WAITING(a_commit_that_a_replica_has_is_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
