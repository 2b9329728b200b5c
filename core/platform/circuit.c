/* circuit.c -- a circuit breaker for each host of a platform. */
#include "platform/circuit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum state {
    CLOSED, /* calls pass, or wait for the first answer */
    OPEN,   /* calls are refused, but one when the pause is over */
    TRYING  /* that one is under way */
};

struct circuit {
    struct circuit *next;
    enum state state;
    unsigned under_way, failures; /* the latter: in a row */
    uint64_t answered, opened;    /* ticks */
    struct circuit_call *waiting, **last;
    char host[]; /* with its NUL */
};

static void count_refusal(const struct circuit *c)
{
    static const char *const labels[] = { "host", NULL };
    struct metric *refusals = metrics_counter(
        "latchkey_platform_refused_total",
        "Calls not made, since the platform's host did not answer.", labels);
    struct slice values[] = { slice_str(c->host) };
    metric_add(refusals, values, 1);
}

static struct circuit *find_circuit(struct circuits *all, struct slice host)
{
    for (struct circuit *c = all->first; c; c = c->next)
        if (slice_eq(host, slice_str(c->host)))
            return c;
    return NULL;
}

/* NULL: no memory, or too many. */
static struct circuit *make_circuit(struct circuits *all, struct slice host)
{
    if (all->count == CIRCUITS_MAX)
        return NULL;
    struct circuit *c = calloc(1, sizeof *c + host.len + 1);
    if (!c)
        return NULL;
    memcpy(c->host, host.data, host.len);
    c->last = &c->waiting;
    c->next = all->first;
    all->first = c;
    all->count++;
    return c;
}

static void link_waiting(struct circuit *c, struct circuit_call *call)
{
    call->next = NULL;
    call->prev = c->last;
    *c->last = call;
    c->last = &call->next;
}

static void unlink_waiting(struct circuit *c, struct circuit_call *call)
{
    *call->prev = call->next;
    if (call->next)
        call->next->prev = call->prev;
    else
        c->last = call->prev;
    call->prev = NULL;
}

static enum circuit_turn let_pass(struct circuit *c, struct circuit_call *call,
                                  bool probe)
{
    c->under_way++;
    call->under_way = true;
    call->probe = probe;
    return CIRCUIT_GO;
}

static enum circuit_turn refuse(struct circuit *c, struct circuit_call *call)
{
    count_refusal(c);
    call->circuit = NULL;
    return CIRCUIT_REFUSED;
}

static enum circuit_turn decide(struct circuit *c, struct circuit_call *call)
{
    uint64_t now = clock_ticks();
    switch (c->state) {
    case OPEN:
        if (now - c->opened < CIRCUIT_PAUSE)
            return refuse(c, call);
        c->state = TRYING;
        return let_pass(c, call, true);
    case TRYING:
        return refuse(c, call);
    case CLOSED:
        break;
    }
    if (c->under_way < CIRCUIT_PROBES || now - c->answered < CIRCUIT_RECENT)
        return let_pass(c, call, false);
    link_waiting(c, call);
    return CIRCUIT_WAIT;
}

enum circuit_turn circuit_enter(struct circuits *all, struct slice host,
                                struct circuit_call *call)
{
    assert(!call->under_way && !call->prev);
    struct circuit *c = find_circuit(all, host);
    if (!c && !(c = make_circuit(all, host)))
        return CIRCUIT_GO;
    call->circuit = c;
    return decide(c, call);
}

static void end_waiting(struct circuit *c, bool go)
{
    struct circuit_call *call;
    while ((call = c->waiting) && go == (c->state == CLOSED)) {
        unlink_waiting(c, call);
        if (go)
            let_pass(c, call, false);
        else
            refuse(c, call);
        call->on_turn(call, go);
    }
}

static void note_answer(struct circuit *c)
{
    c->answered = clock_ticks();
    c->failures = 0;
    if (c->state != CLOSED)
        log_write(LOG_NOTICE, "%s answers again", c->host);
    c->state = CLOSED;
    end_waiting(c, true);
}

static void open_circuit(struct circuit *c)
{
    if (c->state == CLOSED)
        log_write(LOG_WARN,
                  "%s has not answered %d calls in a row: others are refused, "
                  "and one every %d s tries again",
                  c->host, CIRCUIT_FAILURES, CIRCUIT_PAUSE / 1000);
    c->state = OPEN;
    c->opened = clock_ticks();
    end_waiting(c, false);
}

static void note_failure(struct circuit *c, bool probe)
{
    if (probe || (c->state == CLOSED && ++c->failures >= CIRCUIT_FAILURES))
        open_circuit(c);
}

/* One call less is under way: the first that waits takes its place. */
static void admit_next(struct circuit *c)
{
    struct circuit_call *call = c->waiting;
    if (!call || c->state != CLOSED || c->under_way >= CIRCUIT_PROBES)
        return;
    unlink_waiting(c, call);
    let_pass(c, call, false);
    call->on_turn(call, true);
}

/* A probe that nobody waits for leaves its turn to the next call. */
static void note_leaving(struct circuit *c, bool probe)
{
    if (probe && c->state == TRYING)
        c->state = OPEN; /* since `opened`, so the next one may try */
}

void circuit_leave(struct circuit_call *call, enum circuit_outcome outcome)
{
    struct circuit *c = call->circuit;
    bool probe = call->probe;
    if (call->prev)
        unlink_waiting(c, call);
    call->circuit = NULL;
    call->probe = false;
    if (!call->under_way)
        return;
    call->under_way = false;
    assert(c->under_way > 0);
    c->under_way--;
    if (outcome == CIRCUIT_ANSWERED)
        note_answer(c);
    else if (outcome == CIRCUIT_FAILED)
        note_failure(c, probe);
    else
        note_leaving(c, probe);
    admit_next(c);
}

void circuit_free_all(struct circuits *all)
{
    while (all->first) {
        struct circuit *c = all->first;
        assert(!c->under_way && !c->waiting);
        all->first = c->next;
        free(c);
    }
    all->count = 0;
}
