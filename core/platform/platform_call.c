/* platform_call.c -- the engine: tries, waits, gives up. */
#include "platform/platform_call.h"
#include "base/clock.h"
#include "platform/platform_answer.h"
#include "platform/platform_build.h"
#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    TRIES = 2,         /* more than the first */
    BACKOFF = 50,      /* ms; then twice that; each up to doubled by chance */
    ANSWER = 64 * 1024 /* bytes; a real one has 300 */
};

static unsigned timeout_of(const struct platform_call *call)
{
    return call->timeout_ms ? call->timeout_ms : CLIENT_TIMEOUT;
}

/* Milliseconds that are left of all. */
static uint64_t time_left(const struct platform_call *call)
{
    uint64_t all =
        call->within_ms ? call->within_ms : (uint64_t)timeout_of(call) * 2;
    uint64_t gone = clock_ticks() - call->started;
    return gone < all ? all - gone : 0;
}

static enum err try(struct platform_call *call)
{
    uint64_t left = time_left(call), most = timeout_of(call);
    if (left > most)
        left = most;
    call->request.timeout_ms = left ? (unsigned)left : 1;
    call->attempts++;
    return client_send(call->client, &call->request);
}

static void on_timer_closed(uv_handle_t *timer)
{
    free(timer);
}

static void let_go(struct platform_call *call)
{
    circuit_leave(&call->turn, CIRCUIT_LEFT);
    client_cancel(&call->request);
    if (call->timer)
        uv_close((uv_handle_t *)call->timer, on_timer_closed);
    call->timer = NULL;
}

static void end(struct platform_call *call)
{
    bool answered = call->status && call->status < 500;
    circuit_leave(&call->turn, answered ? CIRCUIT_ANSWERED : CIRCUIT_FAILED);
    let_go(call);
    call->seconds = (double)(clock_ticks() - call->started) / 1000;
    /* Busy now, but an earlier try may have been served. */
    if (call->lost && call->reason == PLATFORM_BUSY)
        call->reason = PLATFORM_TIMEOUT;
    if (call->ambiguous && call->reason == PLATFORM_CODE_USED)
        call->reason = PLATFORM_CODE_INVALID;
    call->on_done(call);
}

static void on_retry(uv_timer_t *timer)
{
    struct platform_call *call = timer->data;
    if (try(call) == PENDING)
        return;
    call->reason = PLATFORM_ERROR;
    end(call);
}

static uint64_t backoff(unsigned attempts)
{
    uint16_t chance = 0;
    uint64_t ms = (uint64_t)BACKOFF << (attempts - 1);
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0)
        return ms; /* then all in step, for once */
    return ms + ms * chance / UINT16_MAX;
}

/* False: no memory. */
static bool start_timer(struct platform_call *call, uv_timer_cb f, uint64_t ms)
{
    if (!call->timer) {
        if (!(call->timer = malloc(sizeof *call->timer)))
            return false;
        uv_timer_init(client_loop(call->client), call->timer);
        call->timer->data = call;
    }
    uv_timer_start(call->timer, f, ms, 0);
    return true;
}

static bool wait_for_retry(struct platform_call *call)
{
    uint64_t ms = backoff(call->attempts);
    if (!call->tries_left || ms >= time_left(call) ||
        !start_timer(call, on_retry, ms))
        return false;
    call->tries_left--;
    return true;
}

static enum platform_retry again_if_harmless(const struct platform_call *call)
{
    return call->api->repeat == PLATFORM_REPEAT ? PLATFORM_AGAIN
                                                : PLATFORM_FINAL;
}

static enum platform_retry judge_status(struct platform_call *call)
{
    call->status = call->request.status;
    call->reason = call->status == 429 ? PLATFORM_RATE_LIMITED : PLATFORM_BUSY;
    if (call->status == 429)
        return PLATFORM_FINAL;
    if (call->status >= 500)
        return again_if_harmless(call);
    enum platform_retry retry =
        platform_answer_read(call, buf_slice(&call->request.body_in));
    if (call->reason == PLATFORM_OK && call->status / 100 != 2)
        return platform_answer_reject(call, "a success with an HTTP error");
    return retry;
}

/* An answer that was lost on the way: its code may be spent.  One more try
 * tells, and no more than one. */
static enum platform_retry judge_lost(struct platform_call *call)
{
    call->reason = PLATFORM_TIMEOUT;
    if (call->lost)
        return PLATFORM_FINAL;
    call->lost = true;
    if (call->tries_left > 1)
        call->tries_left = 1;
    return again_if_harmless(call);
}

static enum platform_retry judge(struct platform_call *call)
{
    const struct client_request *req = &call->request;
    call->errcode = 0;
    call->status = 0;
    platform_answer_note(call,
                         req->result ? slice_str(err_text()) : SLICE_NONE);
    switch (req->result) {
    case OK:
        return judge_status(call);
    case ERR_TIMEOUT:
    case ERR_CLOSED:
        if (req->sent)
            return judge_lost(call); /* fall through */
    case ERR_CONNECT:
        call->reason = PLATFORM_BUSY;
        return PLATFORM_AGAIN;
    case ERR_INVALID:
        call->reason = PLATFORM_MISCONFIGURED;
        return PLATFORM_FINAL;
    default:
        call->reason = PLATFORM_ERROR;
        return PLATFORM_FINAL;
    }
}

static void on_answer(struct client_request *req)
{
    struct platform_call *call = req->user;
    enum platform_retry retry = judge(call);
    bool sent = req->sent;
    client_clear(req);
    call->refresh = retry == PLATFORM_REFRESH;
    if (retry == PLATFORM_AGAIN && wait_for_retry(call)) {
        call->ambiguous |= sent;
        return;
    }
    end(call);
}

#define DOES_NOT_ANSWER "not asked: the platform does not answer"

/* Ends a call that was never made. */
static void end_unasked(struct platform_call *call)
{
    call->reason = PLATFORM_BUSY;
    platform_answer_note(call, SLICE(DOES_NOT_ANSWER));
    end(call);
}

static void on_no_turn(uv_timer_t *timer)
{
    end_unasked(timer->data);
}

static void on_turn(struct circuit_call *turn, bool go)
{
    struct platform_call *call =
        (void *)((char *)turn - offsetof(struct platform_call, turn));
    uv_timer_stop(call->timer);
    if (!go)
        end_unasked(call);
    else if (try(call) != PENDING) {
        call->reason = PLATFORM_ERROR;
        end(call);
    }
}

/* Tries at once, or waits for a turn. */
static enum err try_in_turn(struct platform_call *call)
{
    const char *host =
        call->base ? call->base : call->platform->hosts[call->api->host];
    enum circuit_turn turn = CIRCUIT_GO;
    enum err e;
    call->turn = (struct circuit_call){ .on_turn = on_turn };
    if (call->circuits)
        turn = circuit_enter(call->circuits, slice_str(host), &call->turn);
    if (turn == CIRCUIT_GO)
        e = try(call);
    else if (turn == CIRCUIT_REFUSED)
        e = err_set(ERR_CONNECT, DOES_NOT_ANSWER);
    else
        e = start_timer(call, on_no_turn, timeout_of(call)) ? PENDING
                                                            : ERR_NOMEM;
    if (e != PENDING)
        circuit_leave(&call->turn, CIRCUIT_LEFT);
    return e;
}

static void reset(struct platform_call *call, struct client *c)
{
    platform_call_clear(call);
    call->client = c;
    call->request = (struct client_request){ .max_body = ANSWER,
                                             .on_done = on_answer,
                                             .user = call };
    call->attempts = 0;
    call->tries_left = TRIES;
    call->lost = call->ambiguous = call->refresh = false;
    call->timer = NULL;
    call->status = 0;
    call->errcode = 0;
    call->started = clock_ticks();
}

/* Does the row take a code, and none came? */
static bool lacks_code(const struct platform_call *call)
{
    bool takes = false;
    const struct platform_param *param = call->api->params;
    for (; param->name; param++)
        if (param->value == PLATFORM_CODE ||
            param->value == PLATFORM_ANONYMOUS_CODE) {
            if (call->values[param->value].len)
                return false;
            takes = true;
        }
    return takes;
}

enum err platform_call_start(struct client *c, struct platform_call *call)
{
    enum err e;
    const char *name = call->platform->name;
    reset(call, c);
    if (lacks_code(call))
        return err_set(ERR_INVALID, "%s: no code", name);
    if (!call->base && !call->platform->hosts[call->api->host])
        return err_set(ERR_INVALID, "%s: no such host", name);
    e = platform_build(call);
    if (e == OK)
        e = try_in_turn(call);
    if (e != PENDING)
        platform_call_clear(call);
    return e;
}

void platform_call_cancel(struct platform_call *call)
{
    let_go(call);
}

void platform_call_clear(struct platform_call *call)
{
    client_clear(&call->request);
    buf_wipe(&call->url);
    buf_wipe(&call->body);
    buf_wipe(&call->header);
    platform_answer_drop(call);
}
