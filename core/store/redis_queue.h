/* redis_queue.h -- calls that wait, in their order.
 *
 * A queue holds what its callers embed; zeroed, it is empty. */
#pragma once
#include "store/redis_trip.h"

struct redis_queue {
    struct redis_call *first, **last;
    unsigned count;
};

void redis_queue_push(struct redis_queue *q, struct redis_call *call);

/* The first one, taken out; NULL: none. */
struct redis_call *redis_queue_pop(struct redis_queue *q);

/* Moves all of from to the end of to. */
void redis_queue_append(struct redis_queue *to, struct redis_queue *from);

/* Empties it, then tells each call that no reply comes, for this reason. */
void redis_queue_fail(struct redis_queue *q, const char *why);
