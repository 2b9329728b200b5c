/* test_threads.c -- pools of threads: how many, who waits, how they end. */
#include "base/threads.h"
#include "unit.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    struct threads *pool;
    atomic_uint begun, ended, ran, done, freed, released;
    atomic_bool open; /* work waits for it */
};

struct work {
    struct threads_work work;
    struct fixture *fixture;
};

static void *begin(void *user)
{
    struct fixture *f = user;
    atomic_fetch_add(&f->begun, 1);
    return f;
}

static void end(void *state)
{
    struct fixture *f = state;
    atomic_fetch_add(&f->ended, 1);
}

static void release(void *user)
{
    struct fixture *f = user;
    atomic_fetch_add(&f->released, 1);
}

static void run(struct threads_work *self, void *state)
{
    struct fixture *f = ((struct work *)self)->fixture;
    assert_ptr_equal(state, f);
    atomic_fetch_add(&f->ran, 1);
    while (!atomic_load(&f->open))
        usleep(1000);
}

static void done(struct threads_work *self, bool closed)
{
    struct fixture *f = ((struct work *)self)->fixture;
    atomic_fetch_add(closed ? &f->freed : &f->done, 1);
    free(self);
}

static void make(struct fixture *f, unsigned threads, unsigned queue)
{
    f->pool = threads_new(&(struct threads_rules){ .name = "a pool of tests",
                                                   .threads = threads,
                                                   .queue = queue,
                                                   .begin = begin,
                                                   .end = end,
                                                   .release = release,
                                                   .user = f });
    assert_non_null(f->pool);
}

static enum err post(struct fixture *f)
{
    struct work *w = calloc(1, sizeof *w);
    w->work.run = run;
    w->work.done = done;
    w->fixture = f;
    enum err e = threads_post(f->pool, &w->work);
    if (e != OK)
        free(w);
    return e;
}

static void await(atomic_uint *counter, unsigned count)
{
    for (int i = 0; i < 10000 && atomic_load(counter) < count; i++)
        usleep(1000);
    assert_int_equal(atomic_load(counter), count);
}

static unsigned close_pool(struct fixture *f)
{
    unsigned left = 0;
    struct threads_work *work = threads_close(f->pool);
    for (struct threads_work *next; work; work = next, left++) {
        next = work->next;
        free(work);
    }
    return left;
}

static void one_thread_serves_who_come_one_after_the_other(void **state)
{
    (void)state;
    struct fixture f = { .open = true };
    make(&f, 8, 8);
    for (unsigned i = 1; i <= 50; i++) {
        assert_int_equal(post(&f), OK);
        await(&f.done, i);
        usleep(100);
    }
    assert_true(atomic_load(&f.begun) < 8); /* one, unless it was slow */
    assert_int_equal(close_pool(&f), 0);
    assert_true(threads_ended(10000));
    assert_int_equal(f.ended, f.begun);
    assert_int_equal(f.released, 1);
}

static void
as_many_run_as_there_are_threads_and_the_queue_is_bounded(void **state)
{
    (void)state;
    struct fixture f = { .open = false };
    make(&f, 2, 3);
    for (int i = 0; i < 5; i++)
        assert_int_equal(post(&f), OK);
    assert_int_equal(post(&f), ERR_TOO_LARGE);
    assert_string_equal(err_text(), "thread pool \"a pool of tests\" queue "
                                    "overflow: 3 tasks waiting");
    await(&f.ran, 2);
    assert_int_equal(f.begun, 2);
    atomic_store(&f.open, true);
    await(&f.done, 5);
    assert_int_equal(post(&f), OK);
    await(&f.done, 6);
    assert_int_equal(close_pool(&f), 0);
    assert_true(threads_ended(10000));
}

static void without_a_queue_who_finds_a_thread_idle_is_served(void **state)
{
    (void)state;
    struct fixture f = { .open = false };
    make(&f, 1, 0);
    assert_int_equal(post(&f), OK);
    assert_int_equal(post(&f), ERR_TOO_LARGE);
    atomic_store(&f.open, true);
    await(&f.done, 1);
    close_pool(&f);
    assert_true(threads_ended(10000));
}

static void
closing_waits_for_nobody_and_gives_back_what_has_not_begun(void **state)
{
    (void)state;
    struct fixture f = { .open = false };
    make(&f, 1, 10);
    for (int i = 0; i < 4; i++)
        assert_int_equal(post(&f), OK);
    await(&f.ran, 1);
    assert_int_equal(close_pool(&f), 3);
    assert_int_equal(f.released, 0);
    assert_false(threads_ended(20));
    atomic_store(&f.open, true);
    assert_true(threads_ended(10000));
    assert_int_equal(f.freed, 1);
    assert_int_equal(f.done, 0);
    assert_int_equal(f.ended, 1);
    assert_int_equal(f.released, 1);
}

static void a_pool_that_nobody_used_has_no_threads(void **state)
{
    (void)state;
    struct fixture f = { .open = true };
    make(&f, 4, 4);
    assert_int_equal(close_pool(&f), 0);
    assert_int_equal(f.released, 1);
    assert_int_equal(f.begun, 0);
    assert_null(threads_close(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_serves_who_come_one_after_the_other),
        cmocka_unit_test(
            as_many_run_as_there_are_threads_and_the_queue_is_bounded),
        cmocka_unit_test(without_a_queue_who_finds_a_thread_idle_is_served),
        cmocka_unit_test(
            closing_waits_for_nobody_and_gives_back_what_has_not_begun),
        cmocka_unit_test(a_pool_that_nobody_used_has_no_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
