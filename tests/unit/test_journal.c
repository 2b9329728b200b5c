/* test_journal.c -- what happened last. */
#include "base/journal.h"
#include "unit.h"
#include <pthread.h>
#include <stdio.h>

static struct journal *fresh(void)
{
    static unsigned count;
    char name[32];
    snprintf(name, sizeof name, "journal %u", ++count);
    return journal_named(slice_str(name));
}

static void assert_next(struct journal *j, uint64_t *at, const char *text)
{
    struct buf got = { 0 };
    assert_int_equal(journal_next(j, at, &got), text != NULL);
    if (text)
        assert_string_equal(buf_str(&got), text);
    buf_free(&got);
}

static void entries_are_read_in_their_order(void **state)
{
    (void)state;
    struct journal *j = fresh();
    uint64_t at = 0;
    assert_next(j, &at, NULL);
    assert_int_equal(journal_add(j, SLICE("one")), 1);
    assert_int_equal(journal_add(j, SLICE("")), 2);
    assert_int_equal(journal_last(j), 2);
    assert_next(j, &at, "one");
    assert_next(j, &at, "");
    assert_next(j, &at, NULL);
    journal_add(j, SLICE("three"));
    assert_next(j, &at, "three");
    assert_int_equal(at, 3);
}

static void a_name_has_one_journal(void **state)
{
    (void)state;
    assert_ptr_equal(journal_named(SLICE("a")), journal_named(SLICE("a")));
    assert_ptr_not_equal(journal_named(SLICE("a")), journal_named(SLICE("b")));
    assert_null(journal_named(SLICE("")));
}

static void the_oldest_fall_out(void **state)
{
    (void)state;
    struct journal *j = fresh();
    char text[16];
    for (int i = 1; i <= JOURNAL_ENTRIES + 3; i++) {
        snprintf(text, sizeof text, "%d", i);
        journal_add(j, slice_str(text));
    }
    uint64_t at = 0;
    assert_next(j, &at, "4");
    assert_int_equal(at, 4);
    unsigned left = 1;
    struct buf got = { 0 };
    while (journal_next(j, &at, &got))
        left++;
    buf_free(&got);
    assert_int_equal(left, JOURNAL_ENTRIES);
}

static void an_entry_that_was_dropped_is_passed_over(void **state)
{
    (void)state;
    struct journal *j = fresh();
    uint64_t at = 0;
    journal_add(j, SLICE("one"));
    journal_add(j, SLICE("two"));
    journal_add(j, SLICE("three"));
    journal_drop(j, 2);
    journal_drop(j, 2 + JOURNAL_ENTRIES); /* not there yet */
    journal_drop(j, 0);
    assert_next(j, &at, "one");
    assert_next(j, &at, "three");
    assert_next(j, &at, NULL);
}

static void a_text_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static char text[JOURNAL_TEXT + 1];
    struct journal *j = fresh();
    assert_int_equal(journal_add(j, SLICE_OF(text, JOURNAL_TEXT + 1)), 0);
    assert_int_equal(journal_add(j, SLICE_OF(text, JOURNAL_TEXT)), 1);
}

static void watching_ends_by_itself(void **state)
{
    (void)state;
    struct journal *j = fresh();
    assert_false(journal_watched(j));
    journal_watch(j, 60000);
    assert_true(journal_watched(j));
    j = fresh();
    journal_watch(j, 0);
    assert_false(journal_watched(j));
}

static void *add_many(void *j)
{
    for (int i = 0; i < 2000; i++)
        journal_add(j, SLICE("from a thread"));
    return NULL;
}

static void threads_may_add_and_read_at_once(void **state)
{
    (void)state;
    struct journal *j = fresh();
    pthread_t threads[3];
    uint64_t at = 0;
    struct buf got = { 0 };
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, add_many, j);
    while (at < 6000)
        if (journal_next(j, &at, &got))
            assert_string_equal(buf_str(&got), "from a thread");
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    buf_free(&got);
    assert_int_equal(journal_last(j), 6000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_read_in_their_order),
        cmocka_unit_test(a_name_has_one_journal),
        cmocka_unit_test(the_oldest_fall_out),
        cmocka_unit_test(an_entry_that_was_dropped_is_passed_over),
        cmocka_unit_test(a_text_that_is_too_long_is_refused),
        cmocka_unit_test(watching_ends_by_itself),
        cmocka_unit_test(threads_may_add_and_read_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
