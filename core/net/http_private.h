/* http_private.h -- what http.c, http_conn.c and http_daemon.c share. */
#pragma once
#include "crypto/certificate.h"
#include "net/http.h"
#include <microhttpd.h>

/* Where a connection is; each state has its own time limit. */
enum http_state {
    HTTP_IDLE,   /* between requests (keep-alive), or new */
    HTTP_HEADER, /* a request line has come */
    HTTP_BODY,
    HTTP_BUSY, /* waiting for us: no limit here */
    HTTP_SENDING,
    HTTP_STATES
};

struct http_conn {
    struct http_listen *listen;
    uint64_t number;
    int fd;
    unsigned requests;
    enum http_state state;
    uint64_t deadline;              /* loop time; 0: none */
    uint64_t acked;                 /* bytes that the client has taken */
    struct http_conn *next, **prev; /* in listen->conns */
    struct http_request *request;   /* the current one, or NULL */
    struct arena arena;             /* kept from one request for the next */
    uv_poll_t *watch;               /* while suspended */
    gnutls_session_t session;       /* NULL: plain, or closed */
    struct certificate *certificate;
    char address[64];
    unsigned port;
    unsigned refs; /* the connection itself, and each request of it */
};

struct http_listen {
    struct http_server *server;
    struct http_listen *next;
    struct MHD_Daemon *daemon;
    struct http_limits limits;
    struct http_conn *conns;
    unsigned count;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned pause;      /* ms, until the next look at what does not move */
    bool resumed, moved; /* what MHD_run may have left to do */
    unsigned lingering;
    unsigned sending;             /* connections in that state */
    struct http_request *slow;    /* whose body is announced, not there */
    struct http_request *drained; /* to be told of it, after MHD's turn */
    void *tag;
};

struct http_server {
    uv_loop_t *loop;
    const struct http_events *events;
    void *user;
    struct http_listen *listens;
    struct http_request *detached; /* held, and their connections gone */
    uv_prepare_t prepare;
    uv_idle_t idle;
    uv_timer_t sweep;
    unsigned turn;      /* of the loop */
    unsigned lingering; /* requests, of all listens */
    unsigned active;
    unsigned handles; /* not yet closed */
    bool draining;
    bool stopping; /* nothing may be suspended any more */
};

/* http_conn.c */
struct http_conn *http_conn_new(struct http_listen *l,
                                struct MHD_Connection *mhd);
void http_conn_closed(struct http_conn *c);
void http_conn_unref(struct http_conn *c);
void http_conn_enter(struct http_conn *c, enum http_state state, uint64_t msec);
void http_conn_watch(struct http_conn *c);
void http_conn_unwatch(struct http_conn *c);
void http_conn_sweep(struct http_listen *l);

/* http_tls.c */
void *http_tls_callback(void);
void http_tls_begin(struct MHD_Connection *mhd, struct http_conn *c);
void http_tls_end(struct http_conn *c);

/* http_slow.c: bodies that take their time. */
void http_slow_note(struct http_request *r);
void http_slow_forget(struct http_request *r);
void http_slow_dispatch(struct http_listen *l);
bool http_slow_reply(struct http_request *r, const struct http_reply *reply);

/* http_wait.c: a request that lingers is asked for its answer in vain; _on:
 * it may have done so for too long. */
void http_linger(struct http_request *r);
void http_linger_on(struct http_request *r);
void http_linger_end(struct http_request *r);
void http_suspend(struct http_request *r);
void http_resume(struct http_request *r);

/* http.c: MHD's callbacks. */
void *http_on_uri(void *listen, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_on_access(void *listen, struct MHD_Connection *mhd,
                               const char *url, const char *method,
                               const char *version, const char *data,
                               size_t *size, void **request);
void http_on_completed(void *listen, struct MHD_Connection *mhd, void **request,
                       enum MHD_RequestTerminationCode code);
bool http_is_unclear(const struct http_request *r);
void http_note_drain(struct http_request *r);
void http_abandon(struct http_request *r);
void http_abandon_detached(struct http_server *s);
void http_tell_drained(struct http_listen *l);

/* http_daemon.c */
void http_on_timer(uv_timer_t *timer);
