/* client.h -- HTTP requests to others: curl's multi interface in our loop.
 *
 * One client per worker loop, used from that loop's thread only.
 * Connections are kept alive for a minute and shared by all requests,
 * HTTP/2 is taken where TLS offers it, certificates are always checked,
 * redirects and proxies never followed.  URLs and bodies may hold secrets:
 * nothing is logged, err_text() never has more of a URL than its host, and
 * what curl frees is wiped.
 *
 * A request is never silently sent twice: where a kept connection dies
 * under it the caller hears ERR_CLOSED and decides. */
#pragma once
#include "base/buf.h"
#include <uv.h>

enum {
    CLIENT_TIMEOUT = 5000,     /* ms, where a request says 0 */
    CLIENT_BODY = 256 * 1024,  /* bytes, likewise */
    CLIENT_HEADERS = 64 * 1024 /* an answer's headers, always */
};

struct client;

struct client_request {
    /* The caller's, unchanged until the end (body and texts too). */
    const char *method; /* upper case; NULL: GET */
    const char *url;    /* http:// or https:// */
    struct slice body;
    const char *const *headers;  /* "Name: value" lines, then NULL; or NULL */
    unsigned timeout_ms;         /* for all of it; 0: CLIENT_TIMEOUT */
    unsigned connect_timeout_ms; /* 0: the same */
    size_t max_body;             /* 0: CLIENT_BODY */
    void (*on_done)(struct client_request *req);
    void *user;

    /* Filled when on_done is called.  result is OK for any HTTP status, or
     * ERR_CONNECT (name, TCP or TLS failed), ERR_TIMEOUT, ERR_CLOSED,
     * ERR_TOO_LARGE, ERR_INVALID (the URL), ERR_NOMEM, ERR_IO (not HTTP);
     * err_text() says more while on_done runs. */
    enum err result;
    bool sent; /* something may have arrived there: not safe to repeat */
    int status;
    struct buf body_in;
    struct slice content_type_in; /* at most 95 bytes, inside the request */
    double seconds;

    /* private */
    struct client *client;
    void *easy, *lines;
    size_t headers_in;
    bool stalled; /* lost a socket before it was sent */
    struct client_request *next, **prev;
    char content_type[96];
};

/* With no connection yet; loop outlives it.  ERR_NOMEM. */
enum err client_new(struct client **out, uv_loop_t *loop);

/* Cancels what is under way and closes the connections.  on_closed (may be
 * NULL) comes from the loop, when the client is gone; user is its own.
 * May be called from inside on_done.  c may be NULL: nothing happens. */
void client_free(struct client *c, void (*on_closed)(void *user), void *user);

uv_loop_t *client_loop(const struct client *c);

/* PENDING: on_done comes exactly once, from the loop, never from in here.
 * Anything else (ERR_INVALID, ERR_NOMEM): it was not started.  In on_done
 * the request is the caller's again: it may be sent anew or freed. */
enum err client_send(struct client *c, struct client_request *req);

/* Stops a request; on_done is not called, and its memory is the caller's
 * again on return.  Does nothing to a request that is not under way. */
void client_cancel(struct client_request *req);

/* Wipes and frees what an answer left (body_in).  The request is ready for
 * another client_send. */
void client_clear(struct client_request *req);
