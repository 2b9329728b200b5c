/* platform_login.h -- one login code traded for an identity and its key.
 *
 * Retries what is safe: a connection that fails and the platform's "busy"
 * up to twice more, a lost answer once.  The code may be spent by then
 * (`ambiguous`), so a refusal of it is PLATFORM_CODE_INVALID even where the
 * platform says "used": by us.  An answer lost for good is PLATFORM_TIMEOUT.
 * Belongs to the thread of its client. */
#pragma once
#include "net/client.h"
#include "platform/platform.h"

enum {
    PLATFORM_ID = 128 + 1,     /* an openid or unionid with its NUL */
    PLATFORM_KEY = 88 + 1,     /* a session_key's text, likewise */
    PLATFORM_MESSAGE = 160 + 1 /* an errmsg, likewise */
};

struct platform_login { /* zeroed before its first use */
    /* The caller's, unchanged until the end. */
    const struct platform *platform;
    const char *base; /* base URL; NULL: the platform's */
    struct slice appid, secret, code, anonymous_code; /* one code may be "" */
    unsigned timeout_ms; /* of one call; all ends within twice; 0: 5 s */
    void (*on_done)(struct platform_login *login);
    void *user;

    /* Filled when on_done is called. */
    enum platform_reason reason;   /* PLATFORM_OK: the identity is there */
    bool ambiguous;                /* an earlier try may have spent the code */
    long errcode;                  /* the platform's, or 0 */
    char errmsg[PLATFORM_MESSAGE]; /* safe to log: no code, no secret */
    char openid[PLATFORM_ID], unionid[PLATFORM_ID]; /* "" where none came */
    char anonymous_openid[PLATFORM_ID];
    char session_key[PLATFORM_KEY]; /* text as it came; secret */
    int status;                     /* HTTP's, of the last try; 0: none */
    unsigned attempts;
    double seconds; /* all of it */

    /* private */
    struct client *client;
    struct client_request request;
    struct buf url, body;
    uv_timer_t *timer; /* the wait before another try; closes on its own */
    uint64_t started;  /* clock_ticks */
    unsigned tries_left;
    bool lost; /* an answer was lost: ambiguous, and no other try */
};

/* PENDING: on_done comes exactly once, from the loop, within twice
 * timeout_ms.  ERR_INVALID (no code, not UTF-8 where the platform takes JSON,
 * a base that is no URL), ERR_NOMEM: not started.  Before client_free(c),
 * what is under way is canceled. */
enum err platform_login_start(struct client *c, struct platform_login *login);

/* Stops it; on_done is not called, and the memory is the caller's again
 * (platform_login_clear is still due). */
void platform_login_cancel(struct platform_login *login);

/* Wipes the key and all that was built from code and secret. */
void platform_login_clear(struct platform_login *login);
