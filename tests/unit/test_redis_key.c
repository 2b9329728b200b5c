/* test_redis_key.c -- names and slots. */
#include "store/redis_key.h"
#include "unit.h"

static void a_key_and_its_name_lead_to_each_other(void **state)
{
    static const char *const pairs[][2] = {
        { "ready", "latchkey:ready" },
        { "user/shop/0a1b", "latchkey:user/{shop/0a1b}" },
        { "a/", "latchkey:a/{}" },
        { "a/}{", "latchkey:a/{}{}" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buf name = { 0 }, key = { 0 };
        redis_key_name(slice_str(pairs[i][0]), &name);
        assert_slice(buf_slice(&name), pairs[i][1]);
        assert_true(redis_key_read(buf_slice(&name), &key));
        assert_slice(buf_slice(&key), pairs[i][0]);
        buf_free(&name);
        buf_free(&key);
    }
}

static void what_is_not_ours_has_no_key(void **state)
{
    struct buf key = { 0 };
    (void)state;
    assert_false(redis_key_read(SLICE("other:user/{a}"), &key));
    assert_false(redis_key_read(SLICE("latchkey:user/a"), &key));
    assert_false(redis_key_read(SLICE("latchkey:user/{a"), &key));
    buf_free(&key);
}

static uint16_t slot(const char *name)
{
    return redis_key_slot(slice_str(name));
}

/* Facts: redis-cli CLUSTER KEYSLOT. */
static void slots_are_those_of_redis(void **state)
{
    (void)state;
    assert_int_equal(slot("123456789"), 12739);
    assert_int_equal(slot("foo"), 12182);
    assert_int_equal(slot("{foo}.x"), 12182);
    assert_int_equal(slot("a{foo}{bar}"), 12182);
    assert_int_equal(slot("latchkey:user/{x}"), slot("latchkey:ring/{x}"));
    assert_int_equal(slot("{}a"), slot("{}a"));
    assert_int_not_equal(slot("a{}b"), slot("a{}c")); /* the whole name */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_and_its_name_lead_to_each_other),
        cmocka_unit_test(what_is_not_ours_has_no_key),
        cmocka_unit_test(slots_are_those_of_redis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
