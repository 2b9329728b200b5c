/* test_redis_queue.c -- calls that wait, in their order. */
#include "base/err.h"
#include "store/redis_queue.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct noted {
    struct redis_call call;
    struct redis_queue *queue; /* where it is put again, or NULL */
    unsigned told;
    char why[32];
};

static void on_reply(struct redis_call *call, struct redisReply *reply)
{
    struct noted *n = (struct noted *)call;
    assert_null(reply);
    n->told++;
    strncpy(n->why, err_text(), sizeof n->why - 1);
    err_set(ERR_IO, "something else");
    if (n->queue)
        redis_queue_push(n->queue, call);
}

static void calls_come_out_in_their_order(void **state)
{
    struct redis_queue q = { 0 };
    struct redis_call a = { 0 }, b = { 0 };
    (void)state;
    assert_null(redis_queue_pop(&q));
    for (int round = 0; round < 2; round++) {
        redis_queue_push(&q, &a);
        redis_queue_push(&q, &b);
        assert_int_equal(q.count, 2);
        assert_ptr_equal(redis_queue_pop(&q), &a);
        assert_ptr_equal(redis_queue_pop(&q), &b);
        assert_null(redis_queue_pop(&q));
        assert_int_equal(q.count, 0);
    }
}

static void a_queue_is_appended_whole(void **state)
{
    struct redis_queue to = { 0 }, from = { 0 };
    struct redis_call calls[3] = { { 0 } };
    (void)state;
    redis_queue_push(&to, &calls[0]);
    redis_queue_push(&from, &calls[1]);
    redis_queue_push(&from, &calls[2]);
    redis_queue_append(&to, &from);
    assert_int_equal(from.count, 0);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(redis_queue_pop(&to), &calls[i]);
}

static void each_call_that_fails_hears_why(void **state)
{
    struct redis_queue q = { 0 };
    struct noted calls[2] = { { .call.on_reply = on_reply },
                              { .call.on_reply = on_reply } };
    (void)state;
    redis_queue_push(&q, &calls[0].call);
    redis_queue_push(&q, &calls[1].call);
    redis_queue_fail(&q, "it is away");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(calls[i].told, 1);
        assert_string_equal(calls[i].why, "it is away");
    }
}

static void what_is_put_in_by_a_failure_stays(void **state)
{
    struct redis_queue q = { 0 };
    struct noted again = { .call.on_reply = on_reply, .queue = &q };
    (void)state;
    redis_queue_push(&q, &again.call);
    redis_queue_fail(&q, "once");
    assert_int_equal(again.told, 1);
    assert_int_equal(q.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_come_out_in_their_order),
        cmocka_unit_test(a_queue_is_appended_whole),
        cmocka_unit_test(each_call_that_fails_hears_why),
        cmocka_unit_test(what_is_put_in_by_a_failure_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
