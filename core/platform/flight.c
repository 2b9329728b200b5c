/* flight.c -- one computation for many waiters, over all worker threads. */
#include "platform/flight.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Held by the table until it lands, and by every ticket. */
struct flight {
    uint8_t key[FLIGHT_KEY];
    atomic_uint refs;
    struct flight_ticket *tickets; /* guarded by the table's lock, */
    unsigned under_way; /* and so is this: flight_begin less flight_end */
    char *result;       /* written before the tickets are posted */
    size_t len;
};

/* A waiter's place.  The mailbox may still hold it when the waiter has gone:
 * wait is then NULL.  Only the waiter's thread touches wait. */
struct flight_ticket {
    struct message msg;
    struct flight *flight;
    struct flight_wait *wait;
    struct mailbox *mailbox;
    struct flight_ticket *next, **prev; /* in flight->tickets, */
    bool posted;                        /* until this; under the lock */
    bool arrived;                       /* on_land was called */
};

static struct slice key_slice(const uint8_t key[FLIGHT_KEY])
{
    return SLICE_OF(key, FLIGHT_KEY);
}

static void unref(struct flight *f)
{
    if (atomic_fetch_sub(&f->refs, 1) != 1)
        return;
    if (f->result)
        explicit_bzero(f->result, f->len);
    free(f->result);
    free(f);
}

static void free_ticket(struct flight_ticket *ticket)
{
    unref(ticket->flight);
    free(ticket);
}

static void on_arrival(struct message *msg)
{
    struct flight_ticket *ticket = (struct flight_ticket *)msg;
    struct flight_wait *wait = ticket->wait;
    if (!wait) {
        free_ticket(ticket);
        return;
    }
    ticket->arrived = true;
    wait->result = SLICE_OF(ticket->flight->result, ticket->flight->len);
    wait->on_land(wait);
}

static struct flight *new_flight(struct flight_table *t,
                                 const uint8_t key[FLIGHT_KEY])
{
    struct flight *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    memcpy(f->key, key, FLIGHT_KEY);
    atomic_init(&f->refs, 1);
    if (table_put(&t->flights, key_slice(f->key), f))
        return f;
    free(f);
    return NULL;
}

static void board(struct flight *f, struct flight_ticket *ticket)
{
    atomic_fetch_add(&f->refs, 1);
    ticket->flight = f;
    ticket->prev = &f->tickets;
    if ((ticket->next = f->tickets))
        ticket->next->prev = &ticket->next;
    f->tickets = ticket;
}

/* The mailbox goes into the ticket: once posted, wait is another thread's. */
static struct flight_ticket *new_ticket(struct flight_wait *wait)
{
    struct flight_ticket *ticket = calloc(1, sizeof *ticket);
    if (!ticket)
        return NULL;
    ticket->msg.run = on_arrival;
    ticket->wait = wait;
    ticket->mailbox = wait->mailbox;
    return ticket;
}

void flight_init(struct flight_table *t)
{
    pthread_mutex_init(&t->lock, NULL);
    t->flights = (struct table){ 0 };
}

void flight_fini(struct flight_table *t)
{
    table_free(&t->flights);
    pthread_mutex_destroy(&t->lock);
}

/* OK: boarded a flight that this one began; PENDING: boarded another's;
 * ERR_NOT_FOUND: there is none, and none was to begin. */
static enum err enter(struct flight_table *t, const uint8_t key[FLIGHT_KEY],
                      struct flight_wait *wait, bool begin)
{
    enum err e = PENDING;
    wait->result = SLICE_NONE;
    wait->ticket = NULL;
    struct flight_ticket *ticket = new_ticket(wait);
    if (!ticket)
        return ERR_NOMEM;
    pthread_mutex_lock(&t->lock);
    struct flight *f = table_get(&t->flights, key_slice(key));
    if (!f && !begin)
        e = ERR_NOT_FOUND;
    else if (!f)
        e = (f = new_flight(t, key)) ? OK : ERR_NOMEM;
    if (f)
        board(f, ticket);
    pthread_mutex_unlock(&t->lock);
    if (f)
        wait->ticket = ticket;
    else
        free(ticket);
    return e;
}

/* Under the lock. */
static void wake_all(struct flight *f)
{
    while (f->tickets) {
        struct flight_ticket *ticket = f->tickets;
        f->tickets = ticket->next;
        ticket->posted = true;
        mailbox_post(ticket->mailbox, &ticket->msg);
    }
}

enum err flight_join(struct flight_table *t, const uint8_t key[FLIGHT_KEY],
                     struct flight_wait *wait)
{
    return enter(t, key, wait, true);
}

void flight_land(struct flight_table *t, const uint8_t key[FLIGHT_KEY],
                 struct slice result)
{
    char *copy = result.data ? malloc(result.len + 1) : NULL;
    if (copy && result.len)
        memcpy(copy, result.data, result.len);
    pthread_mutex_lock(&t->lock);
    struct flight *f = table_remove(&t->flights, key_slice(key));
    assert(f); /* landed once, by who leads */
    f->result = copy;
    f->len = copy ? result.len : 0;
    wake_all(f);
    pthread_mutex_unlock(&t->lock);
    unref(f);
}

enum err flight_begin(struct flight_table *t, const uint8_t key[FLIGHT_KEY])
{
    pthread_mutex_lock(&t->lock);
    struct flight *f = table_get(&t->flights, key_slice(key));
    if (!f)
        f = new_flight(t, key);
    if (f)
        f->under_way++;
    pthread_mutex_unlock(&t->lock);
    return f ? OK : ERR_NOMEM;
}

/* Who waits has been woken by this end; who comes later waits for the rest. */
void flight_end(struct flight_table *t, const uint8_t key[FLIGHT_KEY])
{
    pthread_mutex_lock(&t->lock);
    struct flight *f = table_get(&t->flights, key_slice(key));
    assert(f && f->under_way);
    wake_all(f);
    bool last = --f->under_way == 0;
    if (last)
        table_remove(&t->flights, key_slice(key));
    pthread_mutex_unlock(&t->lock);
    if (last)
        unref(f);
}

enum err flight_watch(struct flight_table *t, const uint8_t key[FLIGHT_KEY],
                      struct flight_wait *wait)
{
    enum err e = enter(t, key, wait, false);
    return e == ERR_NOT_FOUND ? OK : e;
}

/* Under the lock: flight_land posts under it too, so that a waiter that has
 * left may close its mailbox. */
void flight_leave(struct flight_table *t, struct flight_wait *wait)
{
    struct flight_ticket *ticket = wait->ticket;
    if (!ticket || ticket->arrived) {
        flight_release(wait);
        return;
    }
    wait->ticket = NULL;
    ticket->wait = NULL;
    pthread_mutex_lock(&t->lock);
    bool posted = ticket->posted;
    if (!posted) {
        *ticket->prev = ticket->next;
        if (ticket->next)
            ticket->next->prev = ticket->prev;
    }
    pthread_mutex_unlock(&t->lock);
    if (!posted)
        free_ticket(ticket); /* else on_arrival does */
}

void flight_release(struct flight_wait *wait)
{
    struct flight_ticket *ticket = wait->ticket;
    wait->ticket = NULL;
    wait->result = SLICE_NONE;
    if (ticket)
        free_ticket(ticket);
}
