/* circuit.h -- a platform's host that does not answer is asked less.
 *
 * A worker has one circuit for each host.  While the host answers, calls pass.
 * Where it has not answered lately, CIRCUIT_PROBES calls may be under way and
 * the others wait for what becomes of those: a dead platform costs a few
 * sockets, however many people log in.  After CIRCUIT_FAILURES calls in a row
 * without an answer the circuit is open: calls are refused at once, and one
 * every CIRCUIT_PAUSE tries whether the host is back.
 *
 * "An answer" is any HTTP answer below 500: a refusal is one.  Belongs to the
 * thread of its worker. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

enum {
    CIRCUIT_PROBES = 128,
    CIRCUIT_FAILURES = 20,
    CIRCUIT_PAUSE = 2000,  /* ms */
    CIRCUIT_RECENT = 1000, /* ms since the last answer */
    CIRCUITS_MAX = 256     /* hosts; calls to others always pass */
};

struct circuit;
struct circuits { /* zeroed before its first use */
    struct circuit *first;
    size_t count;
};

/* A call's place in a circuit; the caller's memory, zeroed before its first
 * use, and between circuit_leave and the next circuit_enter his again. */
struct circuit_call {
    /* The call may go on, or is refused (then it has left already).  Not
     * called from circuit_enter. */
    void (*on_turn)(struct circuit_call *call, bool go);

    /* private */
    struct circuit *circuit;
    struct circuit_call *next, **prev; /* of those that wait */
    bool under_way, probe;
};

enum circuit_turn {
    CIRCUIT_GO,      /* circuit_leave is due */
    CIRCUIT_WAIT,    /* on_turn comes, unless circuit_leave comes before */
    CIRCUIT_REFUSED, /* the host does not answer: nothing is due */
};

/* Asks for a call to a host (its base URL). */
enum circuit_turn circuit_enter(struct circuits *all, struct slice host,
                                struct circuit_call *call);

/* What became of a call.  CIRCUIT_LEFT: its caller gave it up. */
enum circuit_outcome { CIRCUIT_ANSWERED, CIRCUIT_FAILED, CIRCUIT_LEFT };

/* The end of a call that may go on, or waits; without effect after
 * CIRCUIT_REFUSED and after itself. */
void circuit_leave(struct circuit_call *call, enum circuit_outcome outcome);

/* Frees them; no call is under way or waits. */
void circuit_free_all(struct circuits *all);
