/* redis_link.h -- one lasting connection to one Redis: commands are pipelined
 * and answered in order.
 *
 * It connects by itself, and again whenever it fails, after a pause that
 * doubles from some 50 ms to 2 s (give or take half).  Commands given while
 * it connects for the first time wait; after a failure they are refused until
 * it works again, so that nothing piles up.  A command that is not answered
 * within REDIS_LINK_MSEC fails, and the connection with it.
 *
 * All of it belongs to the loop's thread.  The loop is kept alive only while
 * commands wait for their answer. */
#pragma once
#include "base/buf.h"
#include "store/redis_frame.h"
#include "store/redis_io.h"
#include "store/redis_queue.h"
#include "store/redis_url.h"
#include <uv.h>

enum {
    REDIS_LINK_MSEC = 1000,
    REDIS_LINK_CALLS = 8192,     /* that wait for an answer */
    REDIS_LINK_BYTES = 32 << 20, /* that wait to be sent */
    REDIS_LINK_GREETINGS = 4,
};

struct redis_link;

struct redis_link_settings {
    SSL_CTX *tls;                /* NULL: none */
    const char *user, *password; /* "": none */
    unsigned db;
    const char *script; /* to be loaded, or NULL */
    const char *digest; /* its SHA-1 in hex */
    bool master;        /* a replica will not do */
    bool lenient;       /* a refused password does not count (Sentinels) */

    /* It is time to connect: redis_link_connect or redis_link_fail must
     * follow, at once or later. */
    void (*locate)(struct redis_link *link);
    void (*on_ready)(struct redis_link *link);     /* may be NULL */
    void (*on_failure)(struct redis_link *link);   /* likewise; err_text() */
    void (*before_flush)(struct redis_link *link); /* likewise */
    void *owner;
};

enum redis_link_state {
    REDIS_LINK_AWAY, /* or not begun */
    REDIS_LINK_LOCATING,
    REDIS_LINK_OPENING,
    REDIS_LINK_GREETING,
    REDIS_LINK_READY,
};

struct redis_link {
    const struct redis_link_settings *settings;
    uv_loop_t *loop;
    enum redis_link_state state;
    bool failed;  /* the last attempt did, or none has succeeded since one */
    bool refused; /* by the server's word, or its certificate */
    bool closing;
    unsigned attempts, session, handles;
    struct redis_address address;
    struct redis_io io;
    void *reader;                  /* hiredis's */
    struct redis_frame frame;      /* what it is given, counted */
    struct redis_queue sent, held; /* held: until it is ready */
    struct buf out, holding;       /* their bytes */
    size_t out_sent;
    struct redis_call greetings[REDIS_LINK_GREETINGS];
    unsigned greeted, greeting_count;
    uv_poll_t *poll;
    uv_timer_t deadline, retry;
    uv_idle_t flush;
    uv_getaddrinfo_t *resolving;
};

/* link is heap memory of the caller, who hands it over; settings outlive it.
 * Connects at once. */
void redis_link_start(struct redis_link *link, uv_loop_t *loop,
                      const struct redis_link_settings *settings);

/* Answers to settings->locate. */
void redis_link_connect(struct redis_link *link,
                        const struct redis_address *address);

/* Also from outside: the connection is of no use; all its calls fail. */
void redis_link_fail(struct redis_link *link);

/* Sends a command.  False: it is away, or too much waits already; err_text()
 * says so, and no answer comes. */
bool redis_link_call(struct redis_link *link, struct redis_call *call,
                     const struct slice *words, unsigned count);

/* For redis_greeting.c: what goes before all that waits, and that it has been
 * answered well. */
void redis_link_say(struct redis_link *link, struct redis_call *call,
                    const struct slice *words, unsigned count);
void redis_link_ready(struct redis_link *link);

/* Waits for the answers that are due, a second at most, without the loop. */
void redis_link_drain(struct redis_link *link);

/* Fails what waits.  The memory is freed when the loop has closed all. */
void redis_link_close(struct redis_link *link);
