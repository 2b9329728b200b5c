/* ngx_socket.h -- a script's socket (cosocket), as the files of ngx.socket
 * share it.
 *
 * Scripts see a table; its first element is the userdata below.  The
 * connection belongs to the request, or the timer, that made it, and is
 * closed when that ends. */
#pragma once
#include "api/request.h"
#include "base/log.h"
#include "net/resolver.h"
#include "net/stream_pool.h"
#include "net/stream_scan.h"

/* One vm's: the pools of idle connections, the resolvers, TLS contexts. */
struct ngx_sockets {
    struct api *api;
    struct stream_pools pools;
    struct named_resolver *resolvers;
    struct tls_context *contexts;
};

/* What a handshake was asked for. */
struct ngx_socket_tls {
    const char *name; /* whom the certificate must be for; "": anyone */
    bool verify;
    bool want_session; /* false: the answer is just true */
};

enum {                 /* in the script's table, after the userdata */
       SOCKET_KEY = 2, /* the pool's name */
       SOCKET_HOST,
       SOCKET_NAME, /* the certificate's */
       SOCKET_CERT,
       SOCKET_PKEY
};

struct cosocket {
    const void *magic;
    struct api *api;
    struct stream *stream;    /* NULL: closed */
    struct stream_pool *pool; /* which counts us, or NULL */
    struct cleanup cleanup;
    const void *owner; /* the request or the root task; NULL: none yet */
    const struct conf_sockets *conf;             /* of its location */
    uint64_t connect_msec, send_msec, read_msec; /* 0: the configuration's */
    struct task *connector, *reader, *writer;    /* who waits, or NULL */
    bool read_closed, write_closed;              /* after an error there */

    /* connecting */
    const char *host;
    unsigned port;
    struct address to, from; /* from.len 0: any */
    struct stream_turn turn;
    bool queued; /* in the pool's queue */
    struct resolver_query *query;
    struct ngx_socket_tls tls;

    struct request *client;     /* whose body it reads as it comes, or NULL */
    struct body_reader reading; /* likewise */

    struct stream_scan scan; /* what the reader wants */
    struct buf out;          /* what the writer has left */
    struct slice rest;       /* likewise: of out, or of a script's string */
    size_t sent;             /* what its send will answer */
};

enum ngx_socket_use {
    SOCKET_CONNECTS = 1,
    SOCKET_READS = 2,
    SOCKET_WRITES = 4,
    SOCKET_ALL = 7
};

/* What a step gives that has to wait; otherwise it is a number of results. */
enum { SOCKET_WAITS = -1 };

/* The text at index; the script's table, at 1, keeps it as its element key. */
const char *ngx_socket_text(lua_State *L, int index, int key);

/* The socket of the table at index; NULL: it has none.  Raises where there is
 * no table. */
struct cosocket *ngx_socket_at(lua_State *L, int index);

/* Raises "no request found" or "API disabled in the context of ..." where no
 * socket may be used; gives what owns sockets here. */
const void *ngx_socket_owner(lua_State *L);

/* A new userdata, pushed. */
struct cosocket *ngx_socket_new(lua_State *L);

/* Why the socket cannot be used so now, or NULL.  uses: of ngx_socket_use. */
const char *ngx_socket_busy(const struct cosocket *k, unsigned uses);

/* Whether owner, of ngx_socket_owner, may use the socket so now; false: nil
 * and why not are pushed.  Raises "bad request" where it is somebody else's. */
bool ngx_socket_may(lua_State *L, const struct cosocket *k, const void *owner,
                    unsigned uses);

/* Begins to belong to the running request or timer. */
void ngx_socket_own(lua_State *L, struct cosocket *k);

/* Drops the connection; who waits is told.  It can be connected again. */
void ngx_socket_close(struct cosocket *k);

/* A wait of t's that begins: after so long comes on_late. */
void ngx_socket_deadline(struct task *t, uint64_t msec, uv_timer_cb on_late);

/* t, which waits for k, goes on with n results that are on its stack. */
void ngx_socket_resume(struct cosocket *k, struct task *t, int n);

/* What task_wait calls where t's wait for its socket is given up. */
void ngx_socket_cancel(struct task *t);

/* One side is at its end; with both the connection is dropped. */
void ngx_socket_close_side(struct cosocket *k, enum stream_side side);

/* Pushes nil and OpenResty's word for e, such as "timeout". */
int ngx_socket_fail(lua_State *L, const struct cosocket *k, enum err e);

/* A line of who owns k; task may be any of its. */
void ngx_socket_log(const struct task *t, enum log_level level,
                    const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define ngx_socket_debug(t, ...)                                               \
    (log_enabled(LOG_DEBUG) ? ngx_socket_log(t, LOG_DEBUG, __VA_ARGS__)        \
                            : (void)0)

static inline uint64_t ngx_socket_limit(uint64_t set, uint64_t configured)
{
    return set ? set : configured;
}

/* The resolver that the location names.  NULL: err_text() says why. */
struct resolver *ngx_socket_resolver(const struct cosocket *k);

/* Appends what a script sends: a string, number, boolean, nil, or an array
 * table of these.  Raises for anything else, after freeing out. */
void ngx_socket_collect(lua_State *L, int index, struct buf *out);

/* nil, "closed", and a line in the log. */
int ngx_socket_refuse_closed(lua_State *L, const struct cosocket *k,
                             const char *what);

/* The methods, by file. */
int ngx_socket_connect(lua_State *L);
int ngx_socket_bind(lua_State *L);
int ngx_socket_setkeepalive(lua_State *L);
int ngx_socket_settimeout(lua_State *L);
int ngx_socket_settimeouts(lua_State *L);
int ngx_socket_send(lua_State *L);
int ngx_socket_receive(lua_State *L);
int ngx_socket_receiveany(lua_State *L);
int ngx_socket_receiveuntil(lua_State *L);
int ngx_socket_sslhandshake(lua_State *L);
int ngx_socket_setclientcert(lua_State *L);
void ngx_socket_tls_open(struct vm *vm);
void ngx_socket_tls_fini(struct tls_context *contexts);
int ngx_socket_udp(lua_State *L);
void ngx_socket_udp_open(struct vm *vm);
int ngx_socket_request(lua_State *L);
void ngx_socket_request_open(struct vm *vm);

/* Starts to find k's address: the host's own, or by the resolver.  Results of
 * a failure, SOCKET_WAITS, or 0 when k->to is there. */
int ngx_socket_resolve(struct cosocket *k, lua_State *L, resolver_done *done);
