/* platform_call.h -- one call to a platform, as a row of its table says.
 *
 * Retries what is safe: a connection that fails and the platform's "busy"
 * up to twice more, a lost answer once where the row lets it.  A code may be
 * spent by then (`ambiguous`), so a refusal of it is PLATFORM_CODE_INVALID
 * even where the platform says "used": by us.  An answer lost for good is
 * PLATFORM_TIMEOUT.  Belongs to the thread of its client. */
#pragma once
#include "net/client.h"
#include "platform/circuit.h"
#include "platform/platform.h"
#include <jansson.h>

enum { PLATFORM_MESSAGE = 160 + 1 /* an errmsg with its NUL */ };

struct platform_call { /* zeroed before its first use */
    /* The caller's, unchanged until the end. */
    const struct platform *platform;
    const struct platform_api *api;
    const char *base;                     /* URL; NULL: the platform's */
    struct slice values[PLATFORM_VALUES]; /* what is not there is empty */
    unsigned timeout_ms;                  /* of one try; 0: 5 s */
    unsigned within_ms;                   /* of all; 0: twice that */
    struct circuits *circuits;            /* of the worker; NULL: none */
    void (*on_done)(struct platform_call *call);
    void *user;

    /* Filled when on_done is called. */
    enum platform_reason reason; /* PLATFORM_OK: the fields are there */
    bool ambiguous;              /* an earlier try may have been served */
    bool refresh; /* refused for its token: a new one may help, once */
    long errcode; /* the platform's, or 0 */
    char errmsg[PLATFORM_MESSAGE]; /* safe to log: holds nothing secret */
    json_t *answer; /* of a success; secret; see platform_answer.h */
    int status;     /* HTTP's, of the last try; 0: none */
    unsigned attempts;
    double seconds; /* all of it */

    /* private */
    struct client *client;
    struct client_request request;
    struct circuit_call turn;
    struct buf url, body, header;
    const char *lines[3];
    uv_timer_t *timer; /* the wait for a turn, or before another try; closes on
                          its own */
    uint64_t started;  /* clock_ticks */
    unsigned tries_left;
    bool lost; /* an answer was lost: ambiguous, and no other try */
};

/* PENDING: on_done comes exactly once, from the loop, within within_ms.
 * ERR_INVALID (no code where it takes one, not UTF-8 where it is JSON, a base
 * that is no URL), ERR_CONNECT (the host does not answer these days, see
 * circuit.h), ERR_NOMEM: not started.  Before client_free(c), what is under way
 * is canceled. */
enum err platform_call_start(struct client *c, struct platform_call *call);

/* Stops it; on_done is not called, and the memory is the caller's again
 * (platform_call_clear is still due). */
void platform_call_cancel(struct platform_call *call);

/* Wipes the answer and all that was built from code, secret and token. */
void platform_call_clear(struct platform_call *call);
