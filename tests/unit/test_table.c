/* test_table.c -- the hash table, against a naive model. */
#include "base/table.h"
#include "unit.h"
#include <stdlib.h>

enum { KEYS = 300, STEPS = 60000 };

/* A fixed sequence: a failure can be repeated. */
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static struct slice key_of(size_t i)
{
    static char names[KEYS][16];
    snprintf(names[i], sizeof names[i], "key %zu", i);
    return slice_str(names[i]);
}

static void assert_same(const struct table *t, char *const model[KEYS])
{
    size_t count = 0, walked = 0;
    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(table_get(t, key_of(i)), model[i]);
        count += model[i] != NULL;
    }
    void *value;
    for (size_t at = 0; table_next(t, &at, &value); walked++)
        assert_non_null(value);
    assert_int_equal(t->count, count);
    assert_int_equal(walked, count);
}

/* Grows and shrinks in waves, so that runs of full slots come and go. */
static void it_agrees_with_a_naive_model(void **state)
{
    (void)state;
    static char values[STEPS];
    char *model[KEYS] = { NULL };
    struct table t = { 0 };
    uint32_t seed = 1;
    for (size_t step = 0; step < STEPS; step++) {
        size_t i = next_random(&seed) % KEYS;
        bool put = next_random(&seed) % 10 < (step / 2000 % 2 ? 3u : 7u);
        if (put) {
            model[i] = &values[step];
            assert_true(table_put(&t, key_of(i), model[i]));
        } else {
            assert_ptr_equal(table_remove(&t, key_of(i)), model[i]);
            model[i] = NULL;
        }
        assert_ptr_equal(table_get(&t, key_of(i)), model[i]);
        if (step % 997 == 0)
            assert_same(&t, model);
    }
    assert_same(&t, model);
    table_free(&t);
}

static void an_empty_table_answers(void **state)
{
    (void)state;
    struct table t = { 0 };
    size_t at = 0;
    void *value;
    assert_null(table_get(&t, SLICE("x")));
    assert_null(table_remove(&t, SLICE("x")));
    assert_false(table_next(&t, &at, &value));
    table_free(&t);
}

static void any_bytes_are_a_key(void **state)
{
    (void)state;
    struct table t = { 0 };
    char a, b, c;
    assert_true(table_put(&t, SLICE_NONE, &a));
    assert_true(table_put(&t, SLICE("\0"), &b));
    assert_true(table_put(&t, SLICE("\0\0"), &c));
    assert_ptr_equal(table_get(&t, SLICE("")), &a);
    assert_ptr_equal(table_get(&t, SLICE("\0")), &b);
    assert_ptr_equal(table_get(&t, SLICE("\0\0")), &c);
    table_free(&t);
}

static void a_put_replaces_key_and_value(void **state)
{
    (void)state;
    struct table t = { 0 };
    char old_key[] = "k", new_key[] = "k", a, b;
    table_put(&t, slice_str(old_key), &a);
    table_put(&t, slice_str(new_key), &b);
    old_key[0] = 'x'; /* its owner has gone */
    assert_int_equal(t.count, 1);
    assert_ptr_equal(table_get(&t, SLICE("k")), &b);
    table_free(&t);
}

/* Keys of one home slot, at the end of the slots, wrap to the front. */
static void runs_wrap_around_the_end(void **state)
{
    (void)state;
    struct table t = { 0 };
    static char names[8][16], value;
    unsigned found = 0;
    for (unsigned i = 0; found < 8; i++) {
        snprintf(names[found], sizeof names[0], "%u", i);
        if ((table_hash(slice_str(names[found])) & 15) == 15)
            table_put(&t, slice_str(names[found++]), &value);
    }
    assert_int_equal(t.cap, 16);
    for (unsigned i = 0; i < 8; i++) {
        assert_ptr_equal(table_remove(&t, slice_str(names[i])), &value);
        for (unsigned j = 0; j < 8; j++)
            assert_ptr_equal(table_get(&t, slice_str(names[j])),
                             j > i ? &value : NULL);
    }
    table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_a_naive_model),
        cmocka_unit_test(an_empty_table_answers),
        cmocka_unit_test(any_bytes_are_a_key),
        cmocka_unit_test(a_put_replaces_key_and_value),
        cmocka_unit_test(runs_wrap_around_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
