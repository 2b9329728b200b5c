/* http_private.h -- what http.c, http_conn.c and http_daemon.c share. */
#pragma once
#include "crypto/certificate.h"
#include "net/http.h"
#include "net/http_source.h"
#include <microhttpd.h>
#include <sys/queue.h>

enum { HTTP_FRESH_MSEC = 1000 }; /* for who has not asked, in a drain */

/* Where a connection is; each state has its own time limit. */
enum http_state {
    HTTP_IDLE,   /* between requests (keep-alive), or new */
    HTTP_HEADER, /* a request line has come */
    HTTP_BODY,
    HTTP_BUSY, /* waiting for us: no limit here */
    HTTP_SENDING,
    HTTP_STATES
};

TAILQ_HEAD(http_idles, http_conn); /* the longest idle one first */

struct http_newcomer { /* accepted, and without a place yet */
    int fd;            /* -1: there is none */
    struct sockaddr_storage sa;
    socklen_t len;
    struct http_source source;
};

struct http_conn {
    struct http_listen *listen;
    uint64_t number;
    int fd;
    unsigned requests;
    enum http_state state;
    uint64_t deadline;              /* loop time; 0: none */
    uint64_t since;                 /* in this state; loop time */
    uint64_t acked;                 /* bytes that the client has taken */
    uint64_t body;                  /* bytes of the request's, so far */
    struct http_source source;      /* whose count it is in */
    TAILQ_ENTRY(http_conn) idle;    /* in *idles */
    struct http_idles *idles;       /* NULL: it is not idle */
    LIST_ENTRY(http_conn) half;     /* in listen->halves, where is_half */
    bool is_half;                   /* its client sends no more */
    bool gone;                      /* for us; what it asks now is not heard */
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
    int fd;                         /* the listening socket; -1: closed */
    uv_poll_t accepting;            /* ... until then */
    bool paused;                    /* it is not watched */
    struct http_newcomer held;      /* until there is room */
    struct http_newcomer *newcomer; /* whose connection is being made */
    struct http_idles fresh, kept;  /* who never asked; who did */
    LIST_HEAD(, http_conn) halves;
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
    uv_timer_t again; /* there may be room */
    uv_poll_t hangup;
    int hangups;        /* epoll of all connections, for their ends */
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
void http_conn_take_body(struct http_conn *c, size_t got);
void http_conn_cut(struct http_conn *c);
void http_conn_watch(struct http_conn *c);
void http_conn_unwatch(struct http_conn *c);
void http_conn_sweep(struct http_listen *l);

/* http_tls.c */
void *http_tls_callback(void);
void http_tls_begin(struct MHD_Connection *mhd, struct http_conn *c);
void http_tls_end(struct http_conn *c);

/* http_head.c: the status that refuses a head, or 0. */
int http_head_fault(struct http_request *r);

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

/* http_daemon.c: http_run: libmicrohttpd does what it can; false: it will be
 * called again.  http_drive: and what follows from it. */
bool http_run(struct http_listen *l);
void http_drive(struct http_listen *l);
void http_on_timer(uv_timer_t *timer);

/* http_accept.c: the listening socket.  _rest: what waits to be accepted;
 * _again: connections or descriptors have become free. */
void http_accept_start(struct http_listen *l, int fd);
void http_accept_rest(struct http_listen *l);
void http_accept_resume(struct http_listen *l);
void http_accept_again(struct http_server *s);
void http_accept_stop(struct http_listen *l);

/* http_room.c: who may have a connection, and who gives way. */
void http_room_list(struct http_conn *c, bool idle);
bool http_room_admits(struct http_listen *l, struct http_newcomer *n);
bool http_room_make(struct http_listen *l);
void http_room_held(void);
void http_room_descriptors(struct http_server *s, int why);
void http_room_open(void);
void http_room_slow(void);

/* http_hangup.c: clients that send no more. */
enum err http_hangup_open(struct http_server *s);
void http_hangup_watch(struct http_conn *c);
void http_hangup_forget(struct http_conn *c);
void http_hangup_settle(struct http_listen *l);
void http_hangup_close(struct http_server *s);

/* Counts a handle of s that must be closed before s goes. (http_daemon.c) */
void http_close_handle(struct http_server *s, uv_handle_t *handle);
