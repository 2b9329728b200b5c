/* flight.h -- one computation for many waiters, over all worker threads.
 *
 * The first to join a key leads: it does the work and lands the result, and
 * all who joined meanwhile get it, each on its own thread through its own
 * mailbox.  A landed key is forgotten.  Results are secret: the shared copy
 * is wiped when the last waiter lets go. */
#pragma once
#include "base/mailbox.h"
#include "base/table.h"
#include <stdint.h>

enum { FLIGHT_KEY = 32 }; /* a hash: its maker vouches for no collisions */

struct flight_table { /* shared by threads; see flight_init */
    pthread_mutex_t lock;
    struct table flights;
};

struct flight_wait {
    /* The caller's.  The mailbox runs its messages (on_mail is NULL or
     * calls their run), and outlives the wait. */
    struct mailbox *mailbox; /* of the waiter's thread */
    void (*on_land)(struct flight_wait *wait);
    void *user;

    /* From on_land until flight_release.  data is NULL where memory ran out
     * or nothing was landed. */
    struct slice result;

    struct flight_ticket *ticket; /* private */
};

/* One table is shared by all threads. */
void flight_init(struct flight_table *t);

/* No flight is under way any more. */
void flight_fini(struct flight_table *t);

/* OK: this one leads, does the work and must flight_land, come what may.
 * PENDING: someone else leads.  Either way on_land comes once, on this
 * thread, from the mailbox.  ERR_NOMEM: neither. */
enum err flight_join(struct flight_table *t, const uint8_t key[FLIGHT_KEY],
                     struct flight_wait *wait);

/* By whoever leads, once, from any thread: copies result and wakes all.
 * A leader that left (flight_leave) or failed still lands something. */
void flight_land(struct flight_table *t, const uint8_t key[FLIGHT_KEY],
                 struct slice result);

/* Stops waiting, on the waiter's own thread: on_land does not come after
 * this.  A leader's duty to land remains.  Also fine after on_land or a
 * failed join; then it is flight_release. */
void flight_leave(struct flight_table *t, struct flight_wait *wait);

/* Lets go of the result (in or after on_land), on any thread. */
void flight_release(struct flight_wait *wait);

/* ---- work under way, by a name that it is known by ----
 *
 * Unlike a flight, any number may be under way under one key, and nobody
 * waits for all: a waiter is woken when one of them ends.  The keys must not
 * be those of flights. */

/* On any thread.  ERR_NOMEM: it is not told of; no flight_end is due. */
enum err flight_begin(struct flight_table *t, const uint8_t key[FLIGHT_KEY]);

/* Once for each flight_begin that was OK, on any thread. */
void flight_end(struct flight_table *t, const uint8_t key[FLIGHT_KEY]);

/* PENDING: on_land comes once when one of them ends (no result), unless the
 * waiter leaves first.  OK: nothing is under way.  ERR_NOMEM: neither. */
enum err flight_watch(struct flight_table *t, const uint8_t key[FLIGHT_KEY],
                      struct flight_wait *wait);
