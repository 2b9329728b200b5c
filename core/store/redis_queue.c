/* redis_queue.c -- calls that wait, in their order. */
#include "store/redis_queue.h"
#include "base/err.h"
#include <stddef.h>

void redis_queue_push(struct redis_queue *q, struct redis_call *call)
{
    call->next = NULL;
    if (!q->first)
        q->last = &q->first;
    *q->last = call;
    q->last = &call->next;
    q->count++;
}

struct redis_call *redis_queue_pop(struct redis_queue *q)
{
    struct redis_call *call = q->first;
    if (call) {
        q->first = call->next;
        q->count--;
    }
    return call;
}

void redis_queue_append(struct redis_queue *to, struct redis_queue *from)
{
    struct redis_call *call;
    while ((call = redis_queue_pop(from)))
        redis_queue_push(to, call);
}

/* The text is set for each: an answer may lead to another error. */
void redis_queue_fail(struct redis_queue *q, const char *why)
{
    struct redis_queue calls = *q;
    struct redis_call *call;
    *q = (struct redis_queue){ 0 };
    while ((call = redis_queue_pop(&calls))) {
        err_set(ERR_STORE, "%s", why);
        call->on_reply(call, NULL);
    }
}
