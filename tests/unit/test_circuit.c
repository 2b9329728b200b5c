/* test_circuit.c -- a host that does not answer is asked less. */
#include "platform/circuit.h"
#include "unit.h"

enum { CALLS = CIRCUIT_PROBES + 40 };

static struct circuits all;
static struct circuit_call calls[CALLS];
static unsigned gone, refused;

static void on_turn(struct circuit_call *call, bool go)
{
    (void)call;
    gone += go;
    refused += !go;
}

static int set_up(void **state)
{
    (void)state;
    memset(&all, 0, sizeof all);
    for (int i = 0; i < CALLS; i++)
        calls[i] = (struct circuit_call){ .on_turn = on_turn };
    gone = refused = 0;
    return 0;
}

static enum circuit_turn enter(int i)
{
    return circuit_enter(&all, SLICE("https://a.example"), &calls[i]);
}

static void fill(void)
{
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(enter(i),
                         i < CIRCUIT_PROBES ? CIRCUIT_GO : CIRCUIT_WAIT);
}

static void leave_all(void)
{
    for (int i = 0; i < CALLS; i++)
        circuit_leave(&calls[i], CIRCUIT_LEFT);
    circuit_free_all(&all);
}

static void the_first_answer_lets_all_go_on(void **state)
{
    (void)state;
    fill();
    assert_int_equal(gone, 0);
    circuit_leave(&calls[3], CIRCUIT_ANSWERED);
    assert_int_equal(gone, CALLS - CIRCUIT_PROBES);
    assert_int_equal(enter(3), CIRCUIT_GO); /* it has answered just now */
    leave_all();
}

static void
failures_in_a_row_refuse_those_that_wait_and_those_that_come(void **state)
{
    (void)state;
    fill();
    for (int i = 0; i < CIRCUIT_FAILURES; i++)
        circuit_leave(&calls[i], CIRCUIT_FAILED);
    /* a place that became free went to one that waited */
    assert_int_equal(gone, CIRCUIT_FAILURES - 1);
    assert_int_equal(refused, CALLS - CIRCUIT_PROBES - gone);
    assert_int_equal(enter(0), CIRCUIT_REFUSED);
    struct circuit_call other = { .on_turn = on_turn };
    assert_int_equal(circuit_enter(&all, SLICE("https://b.example"), &other),
                     CIRCUIT_GO);
    circuit_leave(&other, CIRCUIT_FAILED);
    circuit_leave(&calls[50], CIRCUIT_ANSWERED); /* of those under way */
    assert_int_equal(enter(0), CIRCUIT_GO);
    leave_all();
}

static void an_answer_between_begins_the_count_anew(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * CIRCUIT_FAILURES; i++) {
        assert_int_equal(enter(0), CIRCUIT_GO);
        circuit_leave(&calls[0], i % (CIRCUIT_FAILURES - 1) ? CIRCUIT_FAILED
                                                            : CIRCUIT_ANSWERED);
    }
    leave_all();
}

static void who_gives_up_leaves_the_queue_or_a_place(void **state)
{
    (void)state;
    fill();
    circuit_leave(&calls[CALLS - 1], CIRCUIT_LEFT);          /* waited, last */
    circuit_leave(&calls[CIRCUIT_PROBES + 1], CIRCUIT_LEFT); /* waited */
    circuit_leave(&calls[CIRCUIT_PROBES + 1],
                  CIRCUIT_LEFT); /* once is enough */
    assert_int_equal(gone, 0);
    circuit_leave(&calls[0], CIRCUIT_LEFT); /* was under way */
    assert_int_equal(gone, 1);
    assert_true(calls[CIRCUIT_PROBES].under_way);
    leave_all();
}

static void hosts_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * CIRCUITS_MAX; i++) {
        char host[32];
        snprintf(host, sizeof host, "https://%d.example", i);
        assert_int_equal(circuit_enter(&all, slice_str(host), &calls[0]),
                         CIRCUIT_GO);
        circuit_leave(&calls[0], CIRCUIT_FAILED);
    }
    assert_int_equal(all.count, CIRCUITS_MAX);
    leave_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_answer_lets_all_go_on, set_up),
        cmocka_unit_test_setup(
            failures_in_a_row_refuse_those_that_wait_and_those_that_come,
            set_up),
        cmocka_unit_test_setup(an_answer_between_begins_the_count_anew, set_up),
        cmocka_unit_test_setup(who_gives_up_leaves_the_queue_or_a_place,
                               set_up),
        cmocka_unit_test_setup(hosts_are_bounded, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
