/* test_shdict.c -- ngx.shared: what scripts see, eviction, threads. */
#include "store/shdict.h"
#include "unit.h"
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static struct buf text;
static bool forcible;

static int setup(void **state)
{
    *state = shdict_new(SLICE("dogs"), 1024 * 1024);
    return *state == NULL;
}

static int teardown(void **state)
{
    shdict_unref(*state);
    buf_free(&text);
    return 0;
}

static struct shdict_value number(double n)
{
    return (struct shdict_value){ .type = SHDICT_NUMBER, .number = n };
}

static struct shdict_value string(struct slice s)
{
    return (struct shdict_value){ .type = SHDICT_STRING, .string = s };
}

static enum err set(struct shdict *d, const char *key, const char *value)
{
    struct shdict_value v = string(slice_str(value));
    return shdict_store(d, SHDICT_SET, slice_str(key), &v, 0, &forcible);
}

/* A value of n bytes under key_<i>. */
static enum err set_size(struct shdict *d, unsigned how, const char *key,
                         size_t n)
{
    char *bytes = calloc(1, n ? n : 1);
    struct shdict_value v = string(SLICE_OF(bytes, n));
    enum err e = shdict_store(d, how, slice_str(key), &v, 0, &forcible);
    free(bytes);
    return e;
}

/* The string under key, or NULL. */
static const char *get(struct shdict *d, const char *key)
{
    struct shdict_value v;
    if (shdict_get(d, slice_str(key), &v, &text))
        return NULL;
    assert_int_equal(v.type, SHDICT_STRING);
    return buf_str(&text);
}

static void values_keep_their_type_and_flags(void **state)
{
    struct shdict *d = *state;
    struct shdict_value v = number(3.14159), got;
    v.flags = 0xdeadbeef;
    assert_int_equal(shdict_store(d, SHDICT_SET, SLICE("n"), &v, 0, &forcible),
                     OK);
    v = (struct shdict_value){ .type = SHDICT_BOOLEAN, .boolean = true };
    assert_int_equal(shdict_store(d, SHDICT_SET, SLICE("t"), &v, 0, &forcible),
                     OK);
    v.boolean = false;
    assert_int_equal(shdict_store(d, SHDICT_SET, SLICE("f"), &v, 0, &forcible),
                     OK);
    v = string(SLICE("a\0b"));
    assert_int_equal(shdict_store(d, SHDICT_SET, SLICE("s"), &v, 0, &forcible),
                     OK);

    assert_int_equal(shdict_get(d, SLICE("n"), &got, &text), OK);
    assert_true(got.type == SHDICT_NUMBER && got.number == 3.14159);
    assert_int_equal(got.flags, 0xdeadbeef);
    assert_int_equal(shdict_get(d, SLICE("t"), &got, &text), OK);
    assert_true(got.type == SHDICT_BOOLEAN && got.boolean);
    assert_int_equal(shdict_get(d, SLICE("f"), &got, &text), OK);
    assert_true(got.type == SHDICT_BOOLEAN && !got.boolean);
    assert_int_equal(shdict_get(d, SLICE("s"), &got, &text), OK);
    assert_true(slice_eq(got.string, SLICE("a\0b")));
    assert_int_equal(got.flags, 0);
    assert_int_equal(shdict_get(d, SLICE("x"), &got, &text), ERR_NOT_FOUND);
}

static void a_value_may_change_its_size_and_type(void **state)
{
    struct shdict_value v = number(1), got;
    assert_int_equal(set(*state, "k", "hello"), OK);
    assert_int_equal(set(*state, "k", "hello, world"), OK);
    assert_string_equal(get(*state, "k"), "hello, world");
    assert_int_equal(set(*state, "k", ""), OK);
    assert_string_equal(get(*state, "k"), "");
    assert_int_equal(set(*state, "k", "8 bytes."), OK); /* as a number has */
    assert_int_equal(
        shdict_store(*state, SHDICT_SET, SLICE("k"), &v, 0, &forcible), OK);
    assert_int_equal(shdict_get(*state, SLICE("k"), &got, &text), OK);
    assert_int_equal(got.type, SHDICT_NUMBER);
}

static void nil_deletes(void **state)
{
    struct shdict_value nil = { 0 };
    assert_int_equal(set(*state, "k", "v"), OK);
    assert_int_equal(
        shdict_store(*state, SHDICT_SET, SLICE("k"), &nil, 0, &forcible), OK);
    assert_null(get(*state, "k"));
    assert_int_equal(set(*state, "k", "v"), OK);
    assert_int_equal(shdict_delete(*state, SLICE("k")), OK);
    assert_null(get(*state, "k"));
    assert_int_equal(shdict_delete(*state, SLICE("k")), OK);
    assert_int_equal(
        shdict_store(*state, SHDICT_ADD, SLICE("k"), &nil, 0, &forcible),
        ERR_INVALID);
    assert_string_equal(err_text(), "attempt to add or replace nil values");
}

static void keys_have_1_to_65535_bytes(void **state)
{
    struct shdict_value v = number(1);
    char *big = calloc(1, SHDICT_KEY_MAX + 1);
    struct slice key = SLICE_OF(big, SHDICT_KEY_MAX);
    assert_int_equal(shdict_store(*state, SHDICT_SET, key, &v, 0, &forcible),
                     OK);
    assert_int_equal(shdict_get(*state, key, &v, &text), OK);
    key.len++;
    assert_int_equal(shdict_store(*state, SHDICT_SET, key, &v, 0, &forcible),
                     ERR_INVALID);
    assert_string_equal(err_text(), "key too long");
    assert_int_equal(shdict_get(*state, key, &v, &text), ERR_INVALID);
    key.len = 0;
    assert_int_equal(shdict_delete(*state, key), ERR_INVALID);
    assert_string_equal(err_text(), "empty key");
    free(big);
}

static void add_and_replace_look_first(void **state)
{
    struct shdict *d = *state;
    struct shdict_value a = string(SLICE("a")), b = string(SLICE("bb"));
    assert_int_equal(
        shdict_store(d, SHDICT_REPLACE, SLICE("k"), &a, 0, &forcible),
        ERR_NOT_FOUND);
    assert_string_equal(err_text(), "not found");
    assert_int_equal(shdict_store(d, SHDICT_ADD, SLICE("k"), &a, 20, &forcible),
                     OK);
    assert_int_equal(shdict_store(d, SHDICT_ADD, SLICE("k"), &b, 0, &forcible),
                     ERR_CONFLICT);
    assert_string_equal(err_text(), "exists");
    assert_string_equal(get(d, "k"), "a");
    usleep(40000); /* an expired item is not there for either */
    assert_int_equal(
        shdict_store(d, SHDICT_REPLACE, SLICE("k"), &b, 0, &forcible),
        ERR_NOT_FOUND);
    assert_int_equal(shdict_store(d, SHDICT_ADD, SLICE("k"), &b, 0, &forcible),
                     OK);
    assert_int_equal(
        shdict_store(d, SHDICT_REPLACE, SLICE("k"), &a, 0, &forcible), OK);
    assert_string_equal(get(d, "k"), "a");
}

static void expiry_counts_in_milliseconds(void **state)
{
    struct shdict *d = *state;
    struct shdict_value v = string(SLICE("v")), got;
    int64_t ttl = 99;
    bool stale = false;
    shdict_store(d, SHDICT_SET, SLICE("k"), &v, 60, &forcible);
    assert_int_equal(shdict_ttl(d, SLICE("k"), &ttl), OK);
    assert_in_range(ttl, 1, 60);
    assert_string_equal(get(d, "k"), "v");
    usleep(80000);
    assert_null(get(d, "k"));
    assert_int_equal(shdict_ttl(d, SLICE("k"), &ttl), OK);
    assert_true(ttl < 0);
    assert_int_equal(shdict_get_stale(d, SLICE("k"), &got, &stale, &text), OK);
    assert_true(stale);
    assert_true(slice_eq(got.string, SLICE("v")));
    assert_int_equal(set(d, "k", "w"), OK);
    assert_int_equal(shdict_ttl(d, SLICE("k"), &ttl), OK);
    assert_int_equal(ttl, 0);
    assert_int_equal(shdict_expire(d, SLICE("k"), 1), OK);
    usleep(10000);
    assert_null(get(d, "k"));
    assert_int_equal(shdict_expire(d, SLICE("k"), 0), OK);
    assert_string_equal(get(d, "k"), "w");
    assert_int_equal(shdict_ttl(d, SLICE("none"), &ttl), ERR_NOT_FOUND);
    assert_int_equal(shdict_expire(d, SLICE("none"), 5), ERR_NOT_FOUND);
}

static void incr_adds_or_starts(void **state)
{
    struct shdict *d = *state;
    double sum = 0, init = 10;
    int64_t ttl;
    struct slice k = SLICE("k");
    assert_int_equal(shdict_incr(d, k, 1, NULL, 0, &sum, &forcible),
                     ERR_NOT_FOUND);
    assert_string_equal(err_text(), "not found");
    assert_int_equal(shdict_incr(d, k, 1.5, &init, 20, &sum, &forcible), OK);
    assert_true(sum == 11.5);
    assert_int_equal(shdict_incr(d, k, -2, &init, 5000, &sum, &forcible), OK);
    assert_true(sum == 9.5);
    assert_int_equal(shdict_ttl(d, k, &ttl), OK);
    assert_in_range(ttl, 1, 20); /* the ttl was for starting only */
    usleep(40000);
    assert_int_equal(shdict_incr(d, k, 1, &init, 0, &sum, &forcible), OK);
    assert_true(sum == 11);
    set(d, "k", "12345678");
    assert_int_equal(shdict_incr(d, k, 1, &init, 0, &sum, &forcible),
                     ERR_INVALID);
    assert_string_equal(err_text(), "not a number");
}

static size_t count_keys(struct shdict *d, size_t max, const char *first)
{
    struct buf out = { 0 };
    struct slice key;
    size_t n = 0;
    assert_int_equal(shdict_keys(d, max, &out), OK);
    for (struct slice rest = buf_slice(&out); shdict_key_next(&rest, &key);)
        if (!n++ && first)
            assert_slice(key, first);
    buf_free(&out);
    return n;
}

static void keys_are_listed_without_the_expired(void **state)
{
    struct shdict_value v = number(1);
    assert_int_equal(count_keys(*state, 0, NULL), 0);
    set(*state, "a", "1");
    set(*state, "b", "2");
    set(*state, "c", "3");
    shdict_store(*state, SHDICT_SET, SLICE("gone"), &v, 1, &forcible);
    usleep(10000);
    assert_int_equal(count_keys(*state, 0, "a"), 3);
    assert_int_equal(count_keys(*state, 2, "a"), 2);
    get(*state, "a"); /* used: no longer the oldest */
    assert_int_equal(count_keys(*state, 1, "b"), 1);
}

static void flushing_marks_and_then_frees(void **state)
{
    struct shdict *d = *state;
    struct shdict_value got;
    bool stale = false;
    size_t empty = shdict_free_space(d);
    set(d, "a", "1");
    set(d, "b", "2");
    set(d, "c", "3");
    assert_int_equal(shdict_flush_expired(d, 0), 0);
    size_t full = shdict_free_space(d);
    assert_true(full < empty);
    shdict_flush_all(d);
    assert_null(get(d, "a"));
    assert_int_equal(shdict_get_stale(d, SLICE("a"), &got, &stale, &text), OK);
    assert_true(stale);
    assert_int_equal(shdict_free_space(d), full);
    assert_int_equal(shdict_flush_expired(d, 2), 2);
    assert_int_equal(shdict_flush_expired(d, 0), 1);
    assert_int_equal(shdict_free_space(d), empty);
}

/* -- eviction: numbers and order as nginx has them ---------------------- */

/* Sets key_1, key_2, ... of growing or equal size until one is evicted. */
static unsigned fill(struct shdict *d, unsigned how, size_t size, size_t step)
{
    char key[16];
    for (unsigned i = 1;; i++) {
        snprintf(key, sizeof key, "key_%u", i);
        if (i == 10 && !step)
            get(d, "key_1"); /* so that key_2 is the oldest */
        if (set_size(d, how, key, size + i * step) || forcible)
            return i;
    }
}

static void the_least_recently_used_item_goes_first(void **state)
{
    struct shdict *d = shdict_new(SLICE("small"), 100 * 1024);
    assert_int_equal(fill(d, SHDICT_SET, 63, 0), 353);
    assert_true(forcible);
    assert_non_null(get(d, "key_1"));
    assert_null(get(d, "key_2"));
    assert_non_null(get(d, "key_3"));
    assert_non_null(get(d, "key_353"));
    shdict_unref(d);
    (void)state;
}

static void items_of_many_sizes_fill_the_same_space(void **state)
{
    struct shdict *d = shdict_new(SLICE("small"), 100 * 1024);
    assert_in_range(fill(d, SHDICT_SET, 0, 5), 140, 141);
    shdict_unref(d);
    (void)state;
}

static void a_safe_store_evicts_nothing_valid(void **state)
{
    struct shdict *d = shdict_new(SLICE("small"), 100 * 1024);
    assert_int_equal(fill(d, SHDICT_ADD | SHDICT_SAFE, 63, 0), 353);
    assert_false(forcible);
    assert_string_equal(err_text(), "no memory");
    assert_null(get(d, "key_353"));
    assert_non_null(get(d, "key_2"));
    shdict_flush_all(d); /* expired ones make room */
    assert_int_equal(set_size(d, SHDICT_SAFE, "key_353", 63), OK);
    assert_false(forcible);
    shdict_unref(d);
    (void)state;
}

static void what_never_fits_is_refused_after_some_eviction(void **state)
{
    struct shdict *d = shdict_new(SLICE("small"), 50 * 1024);
    assert_int_equal(set_size(d, SHDICT_SET, "foo", 100000), ERR_NOMEM);
    assert_string_equal(err_text(), "no memory");
    assert_false(forcible);
    set(d, "bah", "hello");
    assert_int_equal(set_size(d, SHDICT_SET, "foo", 100000), ERR_NOMEM);
    assert_true(forcible);
    assert_null(get(d, "bah"));
    for (unsigned i = 0; i < 100; i++)
        set(d, (char[]){ (char)(1 + i), 0 }, "v");
    assert_int_equal(set_size(d, SHDICT_SET, "foo", 100000), ERR_NOMEM);
    assert_int_equal(count_keys(d, 0, NULL), 70); /* bounded: 30 a call */
    shdict_unref(d);
    (void)state;
}

static void large_items_take_whole_pages(void **state)
{
    struct shdict *d = shdict_new(SLICE("pages"), 20 * 1024);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(set_size(d, SHDICT_SET, "foo", 4000), OK);
        assert_int_equal(forcible, i == 1);
        assert_int_equal(set_size(d, SHDICT_SET, "bar", 4001), OK);
        assert_false(forcible);
        assert_int_equal(shdict_free_space(d), 0);
        assert_int_equal(set_size(d, SHDICT_SET, "baz", 8102), OK);
        assert_true(forcible);
        assert_int_equal(count_keys(d, 0, "baz"), 1);
    }
    shdict_unref(d);
    (void)state;
}

static void a_dictionary_lives_on_by_name_and_size(void **state)
{
    struct shdict *d = *state;
    struct shdict *same = shdict_new(SLICE("dogs"), 1024 * 1024);
    struct shdict *other = shdict_new(SLICE("dogs"), 2048 * 1024);
    struct shdict *cats = shdict_new(SLICE("cats"), 1024 * 1024);
    assert_ptr_equal(same, d);
    assert_ptr_not_equal(other, d);
    assert_ptr_not_equal(cats, d);
    assert_slice(shdict_name(cats), "cats");
    assert_int_equal(shdict_capacity(other), 2048 * 1024);
    set(d, "k", "v");
    assert_null(get(other, "k"));
    assert_null(get(cats, "k"));
    shdict_unref(other);
    shdict_unref(cats);
    shdict_unref(same);
    assert_string_equal(get(d, "k"), "v");
}

/* -- threads ------------------------------------------------------------ */

enum { THREADS = 4, ROUNDS = 3000 };

static void *hammer(void *arg)
{
    struct shdict *d = arg;
    struct buf own = { 0 };
    for (unsigned i = 0; i < ROUNDS; i++) {
        double sum, zero = 0;
        bool forced;
        struct shdict_value got, v = number(i);
        char key[16];
        snprintf(key, sizeof key, "key_%u", i % 500);
        shdict_store(d, SHDICT_SET, slice_str(key), &v, i % 3, &forced);
        snprintf(key, sizeof key, "key_%u", (i * 7) % 500);
        if (!shdict_get(d, slice_str(key), &got, &own))
            assert_int_equal(got.type, SHDICT_NUMBER);
        assert_int_equal(
            shdict_incr(d, SLICE("sum"), 1, &zero, 0, &sum, &forced), OK);
        if (i % 100 == 0) {
            buf_clear(&own);
            shdict_keys(d, 10, &own);
            shdict_flush_expired(d, 50);
        }
    }
    buf_free(&own);
    return NULL;
}

static void threads_share_one_dictionary(void **state)
{
    struct shdict *d = shdict_new(SLICE("shared"), 32 * 1024);
    struct shdict_value got;
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, hammer, d);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(shdict_get(d, SLICE("sum"), &got, &text), OK);
    assert_true(got.number == THREADS * ROUNDS); /* in use: never evicted */
    shdict_flush_all(d);
    shdict_flush_expired(d, 0);
    assert_int_equal(shdict_free_space(d), 5 * 4096);
    shdict_unref(d);
    (void)state;
}

static void a_list_gives_its_memory_back(void **state)
{
    struct shdict *d = *state;
    struct shdict_value v = string(SLICE("value")), got;
    size_t before = shdict_free_space(d), length = 0;
    for (unsigned i = 1; i <= 100; i++) {
        assert_int_equal(shdict_push(d, SLICE("l"), &v, i % 2, &length), OK);
        assert_int_equal(length, i);
    }
    assert_true(shdict_free_space(d) <= before - 100 * 32);
    assert_int_equal(shdict_pop(d, SLICE("l"), true, &got, &text), OK);
    assert_true(slice_eq(got.string, v.string));
    assert_int_equal(shdict_delete(d, SLICE("l")), OK);
    assert_int_equal(shdict_free_space(d), before);
}

static void an_expired_list_begins_anew(void **state)
{
    struct shdict *d = *state;
    struct shdict_value one = number(1), got;
    size_t length = 0;
    shdict_push(d, SLICE("l"), &one, true, &length);
    shdict_push(d, SLICE("l"), &one, true, &length);
    shdict_flush_all(d);
    assert_int_equal(shdict_length(d, SLICE("l"), &length), OK);
    assert_int_equal(length, 0);
    assert_int_equal(shdict_pop(d, SLICE("l"), true, &got, &text),
                     ERR_NOT_FOUND);
    assert_int_equal(shdict_push(d, SLICE("l"), &one, false, &length), OK);
    assert_int_equal(length, 1);
}

#define WITH_DICT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DICT(a_list_gives_its_memory_back),
        WITH_DICT(an_expired_list_begins_anew),
        WITH_DICT(values_keep_their_type_and_flags),
        WITH_DICT(a_value_may_change_its_size_and_type),
        WITH_DICT(nil_deletes),
        WITH_DICT(keys_have_1_to_65535_bytes),
        WITH_DICT(add_and_replace_look_first),
        WITH_DICT(expiry_counts_in_milliseconds),
        WITH_DICT(incr_adds_or_starts),
        WITH_DICT(keys_are_listed_without_the_expired),
        WITH_DICT(flushing_marks_and_then_frees),
        WITH_DICT(the_least_recently_used_item_goes_first),
        WITH_DICT(items_of_many_sizes_fill_the_same_space),
        WITH_DICT(a_safe_store_evicts_nothing_valid),
        WITH_DICT(what_never_fits_is_refused_after_some_eviction),
        WITH_DICT(large_items_take_whole_pages),
        WITH_DICT(a_dictionary_lives_on_by_name_and_size),
        WITH_DICT(threads_share_one_dictionary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
