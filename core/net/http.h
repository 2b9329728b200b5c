/* http.h -- an HTTP server inside a libuv loop: requests come whole, replies
 * go whole or in parts, and a request that is not answered at once holds no
 * thread.
 *
 * One struct http_server per worker; everything here is called on that
 * worker's thread.  What a request means is its user's affair. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>
#include <uv.h>

struct MHD_Connection;
struct MHD_Response;
struct certificate;
struct http_conn;
struct http_listen;
struct http_server;
struct ip;

struct http_header {
    struct slice name, value;
};

enum { HTTP_BODY_RATE = 500 }; /* bytes a second */

struct http_limits {      /* of a listening address */
    size_t header_line;   /* longest request or header line, bytes */
    size_t header_total;  /* all of them */
    size_t header_notes;  /* memory for what is noted of each, besides */
    unsigned connections; /* at least 1 */
    /* For a whole head; between two pieces of a body, and for the whole of it
     * unless its mean rate is HTTP_BODY_RATE; between two steps of an answer.
     * 0: no limit. */
    uint64_t header_msec, body_msec, send_msec;
    const char *tls; /* GnuTLS's priorities; NULL: plain HTTP */
};

/* One request.  Slices live until on_end. */
struct http_request {
    struct http_listen *listen;
    struct http_conn *conn;
    struct arena arena;
    struct slice method, version; /* "GET", "HTTP/1.1" */
    struct slice uri;             /* as sent, with its query */
    struct http_header *headers;
    unsigned header_count;
    struct buf body;
    size_t max_body; /* set in on_headers; beyond it: fault 413 */
    int fault; /* 0, or why it was not read whole: 400, 413, 414, 431, 501 */
    bool malformed;          /* the fault is the head's */
    uint64_t keepalive_msec; /* set by the user before the reply; 0: close */
    unsigned keepalive_requests;
    uint64_t started; /* clock_msec() at its first byte */
    uint64_t sent;    /* body bytes of the reply */
    int status;       /* of the reply, 0 before */
    bool watch;       /* the user wants on_abort */
    bool lost;        /* the connection is gone; so is what is written */
    bool late;        /* ... because the client took nothing for too long */
    bool arriving;    /* given to the user before all of its body was there */
    void *user;

    /* http's own */
    struct MHD_Connection *mhd;
    struct MHD_Response *response;
    size_t drained;
    bool begun, dispatched, suspended, broken;
    bool lingers;   /* neither answered nor suspended, since */
    unsigned turn;  /* this turn of the loop */
    bool held;      /* dispatched, and the user has not finished */
    bool announced; /* its headers speak of a body */
    bool parted;    /* answered while the body was coming */
    struct http_request *next_slow, **prev_slow; /* in listen->slow */
    struct buf stream; /* of http_start: what MHD has not yet taken, from */
    size_t taken;      /* here on */
    bool streaming, last, parked;
    bool wants_drain, is_drained; /* in listen->drained */
    struct http_request *next_drained;
    struct http_request *next, **prev; /* in server->detached */
};

struct http_events {
    /* A client asks for the certificate of name ("": of none).  NULL: there is
     * none for it.  The connection takes a reference. */
    struct certificate *(*on_hello)(struct http_listen *l, struct slice name,
                                    void *user);
    /* How many connections this address may hold; 0: any number, they are not
     * counted. */
    unsigned (*on_newcomer)(struct http_listen *l, const struct ip *ip,
                            void *user);
    /* Line and headers are there: set max_body. */
    void (*on_headers)(struct http_request *r, void *user);
    /* All of it is there (or fault says why not), but for the body of one that
     * is slow (r->arriving).  Answer now or later. */
    void (*on_request)(struct http_request *r, void *user);
    /* More of r->body has come, or all (not r->arriving; or fault says why
     * not), or no more will (r->lost). */
    void (*on_body)(struct http_request *r, void *user);
    /* The client closed its side while the request waited (r->watch). */
    void (*on_abort)(struct http_request *r, void *user);
    /* What http_flush asked for: all is taken, or r->lost. */
    void (*on_drain)(struct http_request *r, void *user);
    /* The connection is gone and the user goes on: copy what it holds of the
     * request's texts (http_keep); they go when this returns. */
    void (*on_lost)(struct http_request *r, void *user);
    /* The server is being freed: stop, and touch r no more. */
    void (*on_gone)(struct http_request *r, void *user);
    /* The answer is out, or never will be, and the user has finished; r goes
     * after this returns. */
    void (*on_end)(struct http_request *r, void *user);
};

struct http_reply {
    int status;
    const struct http_header *headers; /* NUL-terminated; copied */
    unsigned count;
    struct buf body; /* taken over */
    int fd;          /* > 0: the body is this file (taken over) */
    uint64_t fd_size;
    bool chunked;    /* of http_start: HTTP/1.1 without Content-Length */
    uint64_t length; /* of http_start, where it is not chunked */
    bool more;       /* http_reply: http_finish comes later */
};

/* Serves nothing yet; loop and events outlive it.  user is events'.
 * ERR_NOMEM. */
enum err http_server_new(struct http_server **out, uv_loop_t *loop,
                         const struct http_events *events, void *user);

/* Serves a listening socket (taken over); tag is the user's. */
enum err http_server_listen(struct http_server *s, int fd,
                            const struct http_limits *limits, void *tag,
                            struct http_listen **out);

/* Accepts no more than what waits to be; connections go on.  Each reply from
 * now on closes, and so does a connection that does not ask for a second. */
void http_server_quiesce(struct http_server *s);

/* All requests are answered, and the answers out; who was let in has asked. */
bool http_server_drained(const struct http_server *s);

/* Sets the metric of open connections: as in nginx, idle ones wait, heads and
 * bodies are read, the rest is answered. */
void http_server_measure(const struct http_server *s, struct slice worker);

/* Breaks what is open; the loop then closes the handles and frees s. */
void http_server_free(struct http_server *s);

/* What http_server_listen was given. */
void *http_listen_tag(const struct http_listen *l);

/* Answers once, as a whole.  Takes the body over, whatever comes.  The user
 * has finished with it, unless reply->more. */
void http_reply(struct http_request *r, struct http_reply *reply);

/* An answer in parts: the head with reply's body as its first bytes, more
 * bytes (taken over), the end.  Nothing is sent before the event loop's
 * turn. */
void http_start(struct http_request *r, struct http_reply *reply);
void http_write(struct http_request *r, struct buf *bytes);
void http_last(struct http_request *r);

/* False: all that was written is with the system already.  Else on_drain will
 * come. */
bool http_flush(struct http_request *r);

/* From on_drain: it will come once more, at once. */
void http_drain_again(struct http_request *r);

/* The user is done with a request that it answered with `more` or in parts;
 * on_end comes, perhaps from within. */
void http_finish(struct http_request *r);

/* Makes *text a copy that lives as long as r. */
void http_keep(struct http_request *r, struct slice *text);

/* The user reads the connection by itself from here on, and drops the request
 * at the end. */
void http_detain(struct http_request *r);

/* Closes the connection, whatever was answered (nginx's 444), and finishes.
 */
void http_drop(struct http_request *r);

/* The value of the first header called name, or SLICE_NONE. */
struct slice http_header(const struct http_request *r, struct slice name);

/* The connection's number (unique in the process), the requests it has
 * carried, the client's address as text, both ports. */
uint64_t http_conn_number(const struct http_request *r);
unsigned http_conn_requests(const struct http_request *r);
struct slice http_conn_address(const struct http_request *r);
unsigned http_conn_port(const struct http_request *r);
int http_conn_fd(const struct http_request *r);

/* Whether it came by TLS; its version ("TLSv1.3"), cipher suite, and the name
 * that the client asked for: false where there is none, or no connection any
 * more.  (http_tls.c) */
bool http_tls(const struct http_request *r);
bool http_tls_protocol(const struct http_request *r, struct buf *out);
bool http_tls_cipher(const struct http_request *r, struct buf *out);
bool http_tls_server_name(const struct http_request *r, struct buf *out);

/* Whether a socket can be made at path: nobody listens there.  errno says why
 * not. */
enum err http_unix_probe(const char *path);

/* A bound, listening socket: host is an address, "*" or "unix:/path"; share:
 * several sockets may listen there (SO_REUSEPORT). */
enum err http_socket(const char *host, unsigned port, int backlog, bool share,
                     int *fd);
