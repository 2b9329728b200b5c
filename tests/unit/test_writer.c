/* test_writer.c -- group commit over an engine that waits, counts and fails
 * on demand. */
#include "store/changes.h"
#include "store/writer.h"
#include "unit.h"
#include <stdlib.h>
#include <unistd.h>

/* The engine: a set's key says what becomes of it.  The first transaction
 * waits at the gate, so that a test decides what piles up behind it. */
struct rig {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool shut, waiting; /* the gate, and the writer before it */
    unsigned begins, commits, aborts, applied, sweeps, expired;
    enum err fail_commit;
};

static enum err rig_begin(void *db)
{
    struct rig *r = db;
    pthread_mutex_lock(&r->lock);
    r->begins++;
    r->waiting = true;
    pthread_cond_broadcast(&r->moved);
    while (r->shut)
        pthread_cond_wait(&r->moved, &r->lock);
    r->waiting = false;
    pthread_mutex_unlock(&r->lock);
    return OK;
}

static enum err rig_apply(void *db, const struct store_commit *set,
                          uint64_t now)
{
    struct rig *r = db;
    assert_true(now > 1000000000);
    if (slice_eq(set->writes->key, SLICE("conflict")))
        return ERR_CONFLICT;
    if (slice_eq(set->writes->key, SLICE("broken")))
        return err_set(ERR_STORE, "the disk is broken");
    pthread_mutex_lock(&r->lock);
    r->applied++;
    pthread_mutex_unlock(&r->lock);
    return OK;
}

static enum err rig_commit(void *db)
{
    struct rig *r = db;
    pthread_mutex_lock(&r->lock);
    r->commits++;
    enum err e = r->fail_commit;
    pthread_mutex_unlock(&r->lock);
    return e ? err_set(e, "the disk is full") : OK;
}

static void rig_abort(void *db)
{
    struct rig *r = db;
    pthread_mutex_lock(&r->lock);
    r->aborts++;
    pthread_mutex_unlock(&r->lock);
}

static enum err rig_sweep(void *db, uint64_t now, unsigned max,
                          unsigned *removed)
{
    struct rig *r = db;
    (void)now;
    pthread_mutex_lock(&r->lock);
    *removed = r->expired < max ? r->expired : max;
    r->expired -= *removed;
    r->sweeps++;
    pthread_mutex_unlock(&r->lock);
    return OK;
}

static const struct store_engine rig_engine = {
    .begin = rig_begin,
    .apply = rig_apply,
    .commit = rig_commit,
    .abort = rig_abort,
    .sweep = rig_sweep,
};

struct fixture {
    struct rig rig;
    struct changes changes;
    struct writer *writer;
    uv_loop_t loop;
    struct mailbox mailbox;
    unsigned answers;
};

struct set {
    struct store_commit commit; /* first: on_answer gets it back */
    struct store_write write;
    struct fixture *fixture;
    unsigned order;
};

static void on_answer(struct message *message)
{
    struct set *s = (struct set *)message;
    s->order = ++s->fixture->answers;
}

static int setup(void **state)
{
    struct fixture *f = *state = calloc(1, sizeof *f);
    pthread_mutex_init(&f->rig.lock, NULL);
    pthread_cond_init(&f->rig.moved, NULL);
    uv_loop_init(&f->loop);
    return mailbox_init(&f->mailbox, &f->loop) ||
           writer_start(&f->writer, &rig_engine, &f->rig, &f->changes);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    writer_stop(f->writer);
    writer_free(f->writer);
    mailbox_close(&f->mailbox, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

static bool post(struct fixture *f, struct set *s, const char *key)
{
    *s = (struct set){ .write.key = slice_str(key), .fixture = f };
    s->commit.writes = &s->write;
    s->commit.count = 1;
    s->commit.message.run = on_answer;
    s->commit.reply = &f->mailbox;
    s->commit.result = PENDING;
    return writer_post(f->writer, &s->commit);
}

/* Waits for all answers and takes them. */
static void collect(struct fixture *f)
{
    writer_flush(f->writer);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void shut_gate(struct fixture *f, struct set *first)
{
    pthread_mutex_lock(&f->rig.lock);
    f->rig.shut = true;
    pthread_mutex_unlock(&f->rig.lock);
    assert_true(post(f, first, "first"));
    pthread_mutex_lock(&f->rig.lock);
    while (!f->rig.waiting)
        pthread_cond_wait(&f->rig.moved, &f->rig.lock);
    pthread_mutex_unlock(&f->rig.lock);
}

static void open_gate(struct fixture *f)
{
    pthread_mutex_lock(&f->rig.lock);
    f->rig.shut = false;
    pthread_cond_broadcast(&f->rig.moved);
    pthread_mutex_unlock(&f->rig.lock);
}

static void all_that_waits_is_one_transaction(void **state)
{
    struct fixture *f = *state;
    struct store_stat stat;
    struct set first, sets[50];
    shut_gate(f, &first);
    for (unsigned i = 0; i < 50; i++)
        assert_true(post(f, &sets[i], "k"));
    open_gate(f);
    collect(f);
    writer_stat(f->writer, &stat);
    assert_int_equal(stat.batches, 2);
    assert_int_equal(stat.commits, 51);
    assert_int_equal(first.order, 1);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(sets[i].commit.result, OK);
        assert_int_equal(sets[i].order, i + 2); /* as they were posted */
    }
}

static void a_conflict_spares_the_rest_of_its_batch(void **state)
{
    struct fixture *f = *state;
    struct store_stat stat;
    struct set first, sets[3];
    shut_gate(f, &first);
    post(f, &sets[0], "a");
    post(f, &sets[1], "conflict");
    post(f, &sets[2], "b");
    open_gate(f);
    collect(f);
    assert_int_equal(sets[0].commit.result, OK);
    assert_int_equal(sets[1].commit.result, ERR_CONFLICT);
    assert_int_equal(sets[2].commit.result, OK);
    writer_stat(f->writer, &stat);
    assert_int_equal(stat.batches, 2);
    assert_int_equal(stat.commits, 3);
    assert_int_equal(stat.conflicts, 1);
    assert_int_equal(stat.failures, 0);
}

static void a_failed_commit_fails_its_batch_and_not_the_next(void **state)
{
    struct fixture *f = *state;
    struct store_stat stat;
    struct set sets[3];
    shut_gate(f, &sets[0]);
    f->rig.fail_commit = ERR_STORE;
    post(f, &sets[1], "conflict");
    post(f, &sets[2], "a");
    open_gate(f);
    collect(f);
    for (unsigned i = 0; i < 3; i++) /* nothing is known to be on disk */
        assert_int_equal(sets[i].commit.result, ERR_STORE);
    writer_stat(f->writer, &stat);
    assert_int_equal(stat.failures, 2);
    assert_int_equal(stat.commits, 0);
    assert_string_equal(stat.error, "the disk is full");
    pthread_mutex_lock(&f->rig.lock);
    f->rig.fail_commit = OK;
    pthread_mutex_unlock(&f->rig.lock);
    post(f, &sets[0], "a");
    collect(f);
    assert_int_equal(sets[0].commit.result, OK);
    writer_stat(f->writer, &stat);
    assert_string_equal(stat.error, "the disk is full"); /* the last one */
}

static void a_broken_set_aborts_its_transaction(void **state)
{
    struct fixture *f = *state;
    struct set first, sets[2];
    shut_gate(f, &first);
    post(f, &sets[0], "a");
    post(f, &sets[1], "broken");
    open_gate(f);
    collect(f);
    assert_int_equal(first.commit.result, OK);
    assert_int_equal(sets[0].commit.result, ERR_STORE);
    assert_int_equal(sets[1].commit.result, ERR_STORE);
    assert_int_equal(f->rig.commits, 1);
    assert_int_equal(f->rig.aborts, 1);
}

static void stopping_commits_what_waits_and_takes_no_more(void **state)
{
    struct fixture *f = *state;
    struct set sets[20], late;
    for (unsigned i = 0; i < 20; i++)
        post(f, &sets[i], "k");
    writer_stop(f->writer);
    assert_int_equal(f->rig.applied, 20);
    assert_false(post(f, &late, "late"));
    collect(f);
    assert_int_equal(f->answers, 20);
    writer_free(f->writer);
    writer_start(&f->writer, &rig_engine, &f->rig, &f->changes);
}

static void a_backlog_is_swept_at_once_when_idle(void **state)
{
    struct fixture *f = *state;
    struct store_stat stat = { 0 };
    pthread_mutex_lock(&f->rig.lock);
    f->rig.expired = 2000;
    pthread_mutex_unlock(&f->rig.lock);
    uint64_t start = uv_hrtime();
    while (stat.swept < 2000 && uv_hrtime() - start < 7000000000u) {
        usleep(20000);
        writer_stat(f->writer, &stat);
    }
    assert_int_equal(stat.swept, 2000); /* 8 sweeps in less than 8 seconds */
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(all_that_waits_is_one_transaction),
        RIGGED(a_conflict_spares_the_rest_of_its_batch),
        RIGGED(a_failed_commit_fails_its_batch_and_not_the_next),
        RIGGED(a_broken_set_aborts_its_transaction),
        RIGGED(stopping_commits_what_waits_and_takes_no_more),
        RIGGED(a_backlog_is_swept_at_once_when_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
