/* threads.h -- a pool of threads for work that may take long or block.
 *
 * A thread is started where work finds none idle, up to a number, and stays.
 * Each has a state of its own.  Work cannot be stopped: who closes the pool
 * does not wait for it, and the last thread takes the pool along. */
#pragma once
#include "base/err.h"
#include <stdbool.h>

/* The first member of a larger struct, the poster's until threads_post. */
struct threads_work {
    struct threads_work *next;
    void (*run)(struct threads_work *self, void *state); /* on a thread */
    /* After it, on that thread, under the pool's lock: hands the work back to
     * its poster, or, where the pool is closed, frees it. */
    void (*done)(struct threads_work *self, bool closed);
};

struct threads_rules {
    const char *name;           /* of the threads; cut to 15 bytes */
    unsigned threads, queue;    /* how many there are, and may wait, at most */
    void *(*begin)(void *user); /* a thread's state, made on it */
    void (*end)(void *state);
    void (*release)(void *user); /* the pool is gone: on any thread */
    void *user;
};

struct threads;

/* NULL: no memory; user stays the caller's. */
struct threads *threads_new(const struct threads_rules *rules);

/* ERR_TOO_LARGE: as many as may already wait; ERR_NOMEM: no thread can be
 * started.  err_text() says so in nginx's words; work stays the caller's. */
enum err threads_post(struct threads *t, struct threads_work *work);

/* No more work comes.  Gives back what has not begun, linked by next; what
 * runs is `done` with closed.  NULL is fine. */
struct threads_work *threads_close(struct threads *t);

/* Waits until all threads of all closed pools have ended, but no longer than
 * that; false: one has not. */
bool threads_ended(unsigned msec);
