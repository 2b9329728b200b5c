/* test_flight.c -- one computation, many waiters, several threads. */
#include "platform/flight.h"
#include "unit.h"
#include <stdatomic.h>
#include <stdlib.h>

static struct flight_table table;
static uv_loop_t loop;
static struct mailbox mailbox;
static unsigned landed;

static void on_land(struct flight_wait *wait)
{
    (void)wait;
    landed++;
}

static struct flight_wait new_wait(void)
{
    return (struct flight_wait){ .mailbox = &mailbox, .on_land = on_land };
}

static const uint8_t *key_of(unsigned n)
{
    static _Thread_local uint8_t key[FLIGHT_KEY];
    memcpy(key, &n, sizeof n);
    return key;
}

static int start(void **state)
{
    (void)state;
    landed = 0;
    flight_init(&table);
    uv_loop_init(&loop);
    return mailbox_init(&mailbox, &loop) != OK;
}

static int stop(void **state)
{
    (void)state;
    mailbox_close(&mailbox, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(table.flights.count, 0);
    flight_fini(&table);
    return uv_loop_close(&loop);
}

static void drain(void)
{
    for (int i = 0; i < 3; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

static void the_first_leads_and_all_get_the_result(void **state)
{
    (void)state;
    struct flight_wait a = new_wait(), b = new_wait(), c = new_wait();
    assert_int_equal(flight_join(&table, key_of(1), &a), OK);
    assert_int_equal(flight_join(&table, key_of(1), &b), PENDING);
    assert_int_equal(flight_join(&table, key_of(2), &c), OK);
    flight_land(&table, key_of(1), SLICE("result"));
    assert_int_equal(landed, 0); /* only from the mailbox */
    drain();
    assert_int_equal(landed, 2);
    assert_slice(a.result, "result");
    assert_ptr_equal(a.result.data, b.result.data); /* shared */
    flight_release(&a);
    assert_slice(b.result, "result");
    flight_release(&b);
    flight_land(&table, key_of(2), SLICE_NONE);
    drain();
    assert_null(c.result.data);
    flight_release(&c);
}

static void a_landed_key_is_forgotten(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct flight_wait a = new_wait();
        assert_int_equal(flight_join(&table, key_of(1), &a), OK);
        flight_land(&table, key_of(1), SLICE("x"));
        drain();
        flight_release(&a);
    }
    assert_int_equal(landed, 2);
}

static void one_that_leaves_hears_nothing(void **state)
{
    (void)state;
    struct flight_wait a = new_wait(), b = new_wait(), c = new_wait();
    flight_join(&table, key_of(1), &a);
    flight_join(&table, key_of(1), &b);
    flight_join(&table, key_of(1), &c);
    flight_leave(&table, &b);
    b = (struct flight_wait){ 0 }; /* its memory is the caller's again */
    flight_land(&table, key_of(1), SLICE("x"));
    flight_leave(&table, &c); /* already in the mailbox */
    c = (struct flight_wait){ 0 };
    drain();
    assert_int_equal(landed, 1);
    flight_leave(&table, &a); /* then it is a release */
    assert_null(a.result.data);
}

static void a_leader_that_left_still_lands(void **state)
{
    (void)state;
    struct flight_wait a = new_wait(), b = new_wait();
    assert_int_equal(flight_join(&table, key_of(1), &a), OK);
    flight_leave(&table, &a);
    assert_int_equal(flight_join(&table, key_of(1), &b), PENDING);
    flight_land(&table, key_of(1), SLICE("x"));
    drain();
    assert_slice(b.result, "x");
    flight_release(&b);
    assert_int_equal(flight_join(&table, key_of(1), &a), OK);
    flight_leave(&table, &a);
    flight_land(&table, key_of(1), SLICE("to nobody"));
}

static void a_mailbox_may_close_with_results_in_it(void **state)
{
    (void)state;
    struct flight_wait a = new_wait(), b = new_wait();
    flight_join(&table, key_of(1), &a);
    flight_join(&table, key_of(1), &b);
    flight_land(&table, key_of(1), SLICE("x"));
    flight_leave(&table, &b);
    mailbox_close(&mailbox, NULL);
    assert_int_equal(landed, 1);
    flight_release(&a);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(mailbox_init(&mailbox, &loop), OK);
}

static void who_watches_is_woken_by_the_first_end(void **state)
{
    (void)state;
    struct flight_wait a = new_wait(), b = new_wait(), c = new_wait();
    assert_int_equal(flight_watch(&table, key_of(1), &a), OK); /* nothing */
    assert_int_equal(flight_begin(&table, key_of(1)), OK);
    assert_int_equal(flight_begin(&table, key_of(1)), OK);
    assert_int_equal(flight_watch(&table, key_of(1), &a), PENDING);
    assert_int_equal(flight_watch(&table, key_of(1), &b), PENDING);
    flight_leave(&table, &b);
    flight_end(&table, key_of(1));
    assert_int_equal(flight_watch(&table, key_of(1), &c), PENDING);
    drain();
    assert_int_equal(landed, 1);
    flight_release(&a);
    flight_end(&table, key_of(1));
    flight_leave(&table, &c); /* already in the mailbox */
    drain();
    assert_int_equal(landed, 1);
    assert_int_equal(flight_watch(&table, key_of(1), &a), OK);
}

/* --- several threads: each joins at random keys, lands what it leads,
 * and leaves now and then --- */

enum { THREADS = 4, ROUNDS = 3000, KEYS = 4, OPEN = 8 };

struct traveller {
    struct flight_wait wait;
    unsigned key;
    bool leads, waiting;
};

struct worker {
    pthread_t thread;
    uv_loop_t loop;
    struct mailbox mailbox;
    unsigned seed, waiting, wrong;
    struct traveller travellers[OPEN];
};

static atomic_uint leads, results;

static void on_worker_land(struct flight_wait *wait)
{
    struct traveller *t = wait->user;
    char want[16];
    snprintf(want, sizeof want, "key %u", t->key);
    struct worker *w = (struct worker *)(void *)wait->mailbox->user;
    w->wrong += !slice_eq(wait->result, slice_str(want));
    flight_release(wait);
    t->waiting = false;
    w->waiting--;
    results++;
}

static void land(struct traveller *t)
{
    char text[16];
    snprintf(text, sizeof text, "key %u", t->key);
    flight_land(&table, key_of(t->key), slice_str(text));
    t->leads = false;
}

static void depart(struct worker *w, struct traveller *t)
{
    t->key = (unsigned)rand_r(&w->seed) % KEYS;
    t->wait = (struct flight_wait){ .mailbox = &w->mailbox,
                                    .on_land = on_worker_land,
                                    .user = t };
    enum err e = flight_join(&table, key_of(t->key), &t->wait);
    t->leads = e == OK;
    leads += e == OK;
    t->waiting = true;
    w->waiting++;
}

static void step(struct worker *w, struct traveller *t)
{
    int dice = rand_r(&w->seed) % 8;
    if (t->leads && dice < 4)
        land(t);
    else if (t->waiting && dice == 7) {
        flight_leave(&table, &t->wait);
        t->waiting = false;
        w->waiting--;
    } else if (!t->waiting && !t->leads)
        depart(w, t);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        step(w, &w->travellers[(unsigned)rand_r(&w->seed) % OPEN]);
        if (i % 4 == 0)
            uv_run(&w->loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < OPEN; i++)
        if (w->travellers[i].leads)
            land(&w->travellers[i]);
    while (w->waiting)
        uv_run(&w->loop, UV_RUN_ONCE);
    mailbox_close(&w->mailbox, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_loop_close(&w->loop);
    return NULL;
}

static void threads_share_flights(void **state)
{
    (void)state;
    struct worker *workers = calloc(THREADS, sizeof *workers);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].seed = i + 1;
        uv_loop_init(&workers[i].loop);
        mailbox_init(&workers[i].mailbox, &workers[i].loop);
        workers[i].mailbox.user = &workers[i];
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    assert_true(leads > 0 && results > leads / 2);
    free(workers);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_leads_and_all_get_the_result),
        TEST(a_landed_key_is_forgotten),
        TEST(one_that_leaves_hears_nothing),
        TEST(a_leader_that_left_still_lands),
        TEST(a_mailbox_may_close_with_results_in_it),
        TEST(who_watches_is_woken_by_the_first_end),
        TEST(threads_share_flights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
