/* test_mailbox.c -- messages into another thread's loop. */
#include "base/mailbox.h"
#include "unit.h"
#include <stdlib.h>

enum { THREADS = 4, MESSAGES = 5000 };

struct note {
    struct message message; /* first: a message is a note */
    struct fixture *fixture;
    unsigned thread, number;
};

struct fixture {
    uv_loop_t loop;
    struct mailbox box;
    pthread_t owner;
    unsigned next[THREADS], received, batches, stop_at;
    bool in_order, closed;
};

static void on_closed(uv_handle_t *handle)
{
    struct mailbox *box = handle->data;
    struct fixture *f = box->user;
    f->closed = true;
}

static void receive(struct fixture *f, struct note *note)
{
    f->in_order = f->in_order && pthread_equal(pthread_self(), f->owner) &&
                  note->number == f->next[note->thread]++;
    free(note);
    if (++f->received == f->stop_at)
        mailbox_close(&f->box, on_closed);
}

static void run(struct message *message)
{
    struct note *note = (struct note *)message;
    receive(note->fixture, note);
}

static void on_mail(struct mailbox *box, struct message *list)
{
    struct fixture *f = box->user;
    f->batches++;
    while (list) {
        struct note *note = (struct note *)list;
        list = list->next; /* the note is gone after this */
        receive(f, note);
    }
}

static void post(struct fixture *f, unsigned thread, unsigned number)
{
    struct note *note = malloc(sizeof *note);
    *note = (struct note){ { NULL, run }, f, thread, number };
    mailbox_post(&f->box, &note->message);
}

struct sender {
    struct fixture *fixture;
    unsigned thread;
};

static void *post_many(void *arg)
{
    struct sender *sender = arg;
    for (unsigned i = 0; i < MESSAGES; i++)
        post(sender->fixture, sender->thread, i);
    return NULL;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->owner = pthread_self();
    f->in_order = true;
    f->box.user = f;
    *state = f;
    return uv_loop_init(&f->loop) || mailbox_init(&f->box, &f->loop);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    int rc = uv_loop_close(&f->loop);
    free(f);
    return rc;
}

/* Senders run while the loop does. */
static void let_threads_post(struct fixture *f)
{
    pthread_t threads[THREADS];
    struct sender senders[THREADS];
    f->stop_at = THREADS * MESSAGES;
    for (unsigned i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){ f, i };
        assert_int_equal(
            pthread_create(&threads[i], NULL, post_many, &senders[i]), 0);
    }
    uv_run(&f->loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(f->closed);
    assert_int_equal(f->received, THREADS * MESSAGES);
    assert_true(f->in_order);
}

static void each_threads_messages_come_in_order(void **state)
{
    let_threads_post(*state);
}

static void mail_may_come_in_batches(void **state)
{
    struct fixture *f = *state;
    f->box.on_mail = on_mail;
    let_threads_post(f);
    assert_in_range(f->batches, 1, THREADS * MESSAGES);
}

static void a_batch_holds_all_that_waits(void **state)
{
    struct fixture *f = *state;
    f->box.on_mail = on_mail;
    f->stop_at = 3;
    for (unsigned i = 0; i < 3; i++)
        post(f, 0, i);
    assert_int_equal(f->received, 0); /* nothing runs inside a post */
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->batches, 1);
    assert_int_equal(f->received, 3);
}

static void closing_delivers_what_is_left(void **state)
{
    struct fixture *f = *state;
    post(f, 0, 0);
    post(f, 0, 1);
    mailbox_close(&f->box, on_closed);
    assert_int_equal(f->received, 2);
    assert_false(f->closed);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->closed);
    assert_int_equal(f->received, 2);
}

static void answer(struct message *message)
{
    struct note *note = (struct note *)message;
    post(note->fixture, 0, 0);
    free(note);
}

static void a_message_may_post_another(void **state)
{
    struct fixture *f = *state;
    struct note *note = malloc(sizeof *note);
    *note = (struct note){ { NULL, answer }, f, 0, 0 };
    f->stop_at = 1;
    mailbox_post(&f->box, &note->message);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->received, 1);
}

#define with_a_box(test)                                                       \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_a_box(each_threads_messages_come_in_order),
        with_a_box(mail_may_come_in_batches),
        with_a_box(a_batch_holds_all_that_waits),
        with_a_box(closing_delivers_what_is_left),
        with_a_box(a_message_may_post_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
