/* test_memory.c -- the memory engine by itself: sums, sweeps, reuse. */
#include "store/engine.h"
#include "store/record.h"
#include "unit.h"

enum { MANY = 1000 };

static int setup(void **state)
{
    return memory_engine.open(state, "") != OK;
}

static int teardown(void **state)
{
    memory_engine.close(*state);
    return 0;
}

static enum err apply(void *db, struct store_write *writes, unsigned count)
{
    struct store_commit set = { .writes = writes, .count = count };
    memory_engine.begin(db);
    enum err e = memory_engine.apply(db, &set, 50);
    memory_engine.commit(db);
    return e;
}

static void put(void *db, struct slice key, uint64_t version, uint64_t expires)
{
    uint8_t head[RECORD_HEAD];
    record_write_head((struct record_head){ version, expires }, head);
    struct store_write w = { .key = key,
                             .record = SLICE_OF(head, sizeof head) };
    assert_int_equal(apply(db, &w, 1), OK);
}

static struct store_stat sums(void *db)
{
    struct store_stat s = { 0 };
    memory_engine.stat(db, &s);
    return s;
}

static uint64_t version(void *db, struct slice key)
{
    struct slice record;
    struct record_head head;
    if (memory_engine.get(db, key, &record))
        return 0;
    assert_true(record_read_head(record, &head));
    memory_engine.release(db);
    return head.version;
}

static void the_sums_follow_every_change(void **state)
{
    put(*state, SLICE("key"), 1, 0);
    assert_int_equal(sums(*state).records, 1);
    assert_int_equal(sums(*state).bytes, 3 + RECORD_HEAD);
    put(*state, SLICE("key"), 2, 0);
    assert_int_equal(sums(*state).records, 1);
    assert_int_equal(sums(*state).bytes, 3 + RECORD_HEAD);
    struct store_write w = { .key = SLICE("key"), .remove = true };
    assert_int_equal(apply(*state, &w, 1), OK);
    assert_int_equal(sums(*state).records, 0);
    assert_int_equal(sums(*state).bytes, 0);
}

static void a_later_set_sees_an_earlier_one_of_its_batch(void **state)
{
    uint8_t head[RECORD_HEAD];
    record_write_head((struct record_head){ 9, 0 }, head);
    struct store_write w = { .key = SLICE("k"),
                             .check = true,
                             .record = SLICE_OF(head, sizeof head) };
    struct store_commit set = { .writes = &w, .count = 1 };
    memory_engine.begin(*state);
    assert_int_equal(memory_engine.apply(*state, &set, 50), OK);
    assert_int_equal(memory_engine.apply(*state, &set, 50), ERR_CONFLICT);
    w.expect = 9;
    assert_int_equal(memory_engine.apply(*state, &set, 50), OK);
    memory_engine.commit(*state);
    assert_int_equal(version(*state, SLICE("k")), 9);
}

static void a_record_of_an_unknown_format_passes_no_check(void **state)
{
    struct store_write w = { .key = SLICE("k"), .record = SLICE("?") };
    assert_int_equal(apply(*state, &w, 1), OK);
    w.check = true;
    assert_int_equal(apply(*state, &w, 1), ERR_CONFLICT);
}

static void sweeps_find_every_expired_record(void **state)
{
    unsigned removed, all = 0;
    for (uint32_t i = 0; i < MANY; i++)
        put(*state, SLICE_OF(&i, 4), 1 + i, i % 2 ? 0 : 40);
    memory_engine.begin(*state);
    do {
        assert_int_equal(memory_engine.sweep(*state, 40, 64, &removed), OK);
        assert_true(removed <= 64);
        all += removed;
    } while (removed);
    memory_engine.commit(*state);
    assert_int_equal(all, MANY / 2);
    assert_int_equal(sums(*state).records, MANY / 2);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(version(*state, SLICE_OF(&i, 4)), i % 2 ? 1 + i : 0);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(the_sums_follow_every_change),
        FRESH(a_later_set_sees_an_earlier_one_of_its_batch),
        FRESH(a_record_of_an_unknown_format_passes_no_check),
        FRESH(sweeps_find_every_expired_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
