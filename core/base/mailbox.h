/* mailbox.h -- messages into another thread's loop.
 *
 * Any thread posts; the loop's thread gets the messages in the order of
 * posting.  A message is usually the first member of a larger struct; who
 * receives it owns it. */
#pragma once
#include "base/err.h"
#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

struct message {
    struct message *next;
    void (*run)(struct message *self); /* on the receiver's thread */
};

struct mailbox {
    uv_async_t async;
    pthread_mutex_t lock;
    struct message *first, **last;
    /* Called with all that has come since; NULL: each message's own run. */
    void (*on_mail)(struct mailbox *mb, struct message *list);
    void *user;
};

/* On the loop's thread.  mb stays where it is until mailbox_close is done. */
enum err mailbox_init(struct mailbox *mb, uv_loop_t *loop);

/* From any thread, while the mailbox lives. */
void mailbox_post(struct mailbox *mb, struct message *msg);

/* On the loop's thread: runs what is still there, then closes the handle;
 * on_closed (may be NULL) comes from the loop. */
void mailbox_close(struct mailbox *mb, uv_close_cb on_closed);
