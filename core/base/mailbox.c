/* mailbox.c -- messages into another thread's loop. */
#include "base/mailbox.h"

static struct message *take_all(struct mailbox *mb)
{
    pthread_mutex_lock(&mb->lock);
    struct message *list = mb->first;
    mb->first = NULL;
    mb->last = &mb->first;
    pthread_mutex_unlock(&mb->lock);
    return list;
}

static void deliver(struct mailbox *mb)
{
    struct message *msg = take_all(mb);
    if (msg && mb->on_mail) {
        mb->on_mail(mb, msg);
        return;
    }
    while (msg) {
        struct message *next = msg->next;
        msg->run(msg);
        msg = next;
    }
}

static void on_async(uv_async_t *async)
{
    deliver(async->data);
}

enum err mailbox_init(struct mailbox *mb, uv_loop_t *loop)
{
    pthread_mutex_init(&mb->lock, NULL);
    mb->first = NULL;
    mb->last = &mb->first;
    mb->async.data = mb;
    int rc = uv_async_init(loop, &mb->async, on_async);
    return rc ? err_set(ERR_IO, "mailbox: %s", uv_strerror(rc)) : OK;
}

void mailbox_post(struct mailbox *mb, struct message *msg)
{
    msg->next = NULL;
    pthread_mutex_lock(&mb->lock);
    bool was_empty = !mb->first;
    *mb->last = msg;
    mb->last = &msg->next;
    if (was_empty) /* under the lock: close waits for it */
        uv_async_send(&mb->async);
    pthread_mutex_unlock(&mb->lock);
}

void mailbox_close(struct mailbox *mb, uv_close_cb on_closed)
{
    deliver(mb);
    uv_close((uv_handle_t *)&mb->async, on_closed);
}
