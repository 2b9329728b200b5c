/* request.h -- one HTTP request: its location, its phases, its answer.
 *
 * Made when the head has come, goes when the answer is out.  Everything on
 * the worker's thread. */
#pragma once
#include "api/api.h"
#include "net/http.h"

enum { REQUEST_CAPTURES = 10, REQUEST_ID_MAX = 64 };

struct request {
    struct http_request *http;
    struct api *api;
    const struct conf_server *server;
    const struct conf_server_name
        *server_name; /* that its Host fits, or NULL */
    const struct conf_location *location;
    struct slice method;         /* may be changed by ngx.req.set_method */
    struct slice uri, args;      /* decoded path; raw query without '?' */
    struct http_header *headers; /* in: a copy that scripts may change */
    unsigned header_count, header_cap;
    struct slice body;   /* what scripts see once it is read; data NULL:
                          * none */
    struct buf new_body; /* of ngx.req.init_body, while makes_body */
    size_t body_room;    /* more of it goes into a file */
    bool makes_body;
    const char *body_file;   /* where scripts find it instead, or NULL */
    bool body_clean;         /* that goes with the request */
    bool body_changed;       /* it is a script's */
    struct slice *variables; /* conf->nvariables; data NULL: not set */
    struct slice client; /* its address, as a believed proxy said; data NULL:
                          * the connection's */
    unsigned client_port;
    size_t ovector[2 * REQUEST_CAPTURES];
    unsigned captures;
    struct slice captured; /* what the offsets count in */

    int status;              /* of the answer; 0: none set */
    struct http_header *out; /* the answer's headers */
    unsigned out_count, out_cap;
    struct buf output;
    size_t filtered;    /* so much of it has been through the filter */
    bool type_set;      /* a script set or cleared Content-Type */
    bool headers_sent;  /* output has begun: status and headers are fixed */
    bool head_filtered; /* header_filter_by_lua has seen them */
    bool eof;           /* ngx.eof: the answer is whole */
    bool replied;       /* it has been handed over */
    bool finished;
    bool failed;    /* it breaks off in the middle */
    bool overruled; /* header_filter_by_lua has another answer */
    int fd;         /* > 0: a file to send, of fd_size bytes */
    uint64_t fd_size;

    enum conf_phase phase;
    struct task *task; /* of the phase that runs */
    int exit_status;   /* ngx.exit's; REQUEST_NO_EXIT: it was not called */
    int ctx_ref;       /* ngx.ctx in the registry */
    bool internal;
    bool enters_server; /* its rewriting is still to be done */
    bool located;       /* location is uri's */
    bool jumped;        /* the uri was rewritten: search again */
    bool leaving;       /* ngx.exit in code that is not a task */
    bool body_read;     /* scripts may see it */
    bool raw;           /* a script speaks to the client by itself */
    bool error_page;
    int error_status;      /* of the refusal that an error_page answers */
    int answer_status;     /* what error_page gives instead; 0: as it is */
    unsigned jumps;        /* so far */
    struct slice exec_uri; /* ngx.exec's; data NULL: it was not called */
    struct slice exec_args;
    const struct conf_op *set;   /* set_by_lua, while it runs */
    struct request_chunk *chunk; /* body_filter_by_lua's, while it runs */
    int abort_ref;               /* ngx.on_abort's function */
    struct task *flushers;       /* who wait in ngx.flush, linked by op */
    struct body_reader *reader;  /* of a body that is still coming (body.c) */

    struct request *parent;   /* of a subrequest */
    unsigned subrequests;     /* under way */
    struct capture *capture;  /* who waits for it (capture.c) */
    struct capture *awaited;  /* of its own subrequests */
    struct cleanup *cleanups; /* run at its end */

    struct slice id;     /* of answers and log lines, once it was asked for */
    unsigned crash_note; /* of that id */
    struct slice route;  /* of an API call, for the metrics; data NULL: none */
};

enum { REQUEST_NO_EXIT = -1000, REQUEST_ERROR = -1 };

/* For api_request_in: where a script has output and may wait. */
enum {
    REQUEST_MAY_WAIT = 1 << CONF_SERVER_REWRITE | 1 << CONF_REWRITE |
                       1 << CONF_ACCESS | 1 << CONF_CONTENT
};

/* What body_filter_by_lua sees as ngx.arg. */
struct request_chunk {
    struct buf *data;
    size_t from; /* where it begins in data */
    bool last;
};

/* net/http's callbacks; user points to the worker's current struct api. */
extern const struct http_events request_events;

/* Adds to, or with replace sets, a header of the answer; slices are copied.
 * An empty value with replace removes it. */
void request_set_header(struct request *r, struct slice name,
                        struct slice value, bool replace);

/* Adds one whose slices live as long as the configuration. */
void request_add_constant(struct request *r, struct slice name,
                          struct slice value);

/* The first header of that name in the request, or SLICE_NONE. */
struct slice request_header(const struct request *r, struct slice name);

/* Ends the request with what has been output, or, where nothing was and
 * status is an error, with its error page. */
void request_finish(struct request *r, int status);

/* So far: that of the refusal, where error_page answers it. */
static inline int request_status(const struct request *r)
{
    return r->status ? r->status : r->error_status;
}

/* Whether nginx closes the connection instead of an answer of that status. */
bool request_drops(int status);

/* Ends it after a fault of its script: 500, or, where the answer has begun,
 * by breaking that off. */
void request_fail(struct request *r);

/* Where it comes from: the connection's address and port, or those that a
 * proxy told, once realip_resolve believed it; port 0: not told. (realip.c) */
struct slice realip_address(const struct request *r);
unsigned realip_port(const struct request *r);
void realip_resolve(struct request *r, const struct conf_realip *c);

/* Whether it is a proxy that is believed anywhere behind this address.
 * (realip.c) */
bool realip_believes(const struct conf_listen *l, const struct ip *ip);

/* Finds r->location for r->uri. (phase.c) */
void phase_locate(struct request *r);

/* What the client's leaving does (ngx_abort.c), and who waits until it has
 * taken all (ngx_output.c): net/http's events. */
void ngx_abort_happened(struct http_request *http, void *user);
void ngx_output_drained(struct http_request *http, void *user);

/* A location's or server name's pattern matched subject. (variable.c) */
void variable_captures(struct request *r, const struct conf_pattern *p,
                       struct slice subject, unsigned pairs);

/* The phases from phase on, until one waits or answers. (phase.c) */
void phase_run(struct request *r, enum conf_phase phase);

/* Calls code, which must not wait, as that phase, with nothing on the stack
 * but its results; false: it failed, which is logged. (phase.c) */
bool phase_call(struct request *r, enum conf_phase phase,
                const struct conf_code *code, int nresults);

/* Again from the start with another uri (or "@name") and query. (phase.c) */
void phase_redirect(struct request *r, struct slice uri, struct slice args);

/* nginx's rewriting; false: it has answered. (ops.c) */
bool ops_run(struct request *r, const struct conf_op *op);

/* A Content-Type where the answer has a body but none was set. (output.c) */
void output_type(struct request *r);

/* Fixes status and headers; false: header_filter_by_lua failed. (output.c) */
bool output_begin(struct request *r);

/* What was added to r->output since goes through body_filter_by_lua; false:
 * that failed. */
bool output_filter(struct request *r, bool last);

/* Sends what is there, where nothing keeps it back. */
void output_push(struct request *r);

/* The same, however little there is: the headers too. */
void output_flush(struct request *r);

/* No more comes: all of it leaves.  more: the script goes on, and
 * request_finish comes later. */
void output_end(struct request *r, bool more);

/* Whether output waits until the end: nobody could tell where it ends. */
bool output_buffers(const struct request *r);

/* Appends what ngx.print would, of the argument at index, or raises; out is
 * then empty.  (ngx_output.c) */
void ngx_output_add(lua_State *L, int index, struct buf *out);

/* The file that scripts find the body in; NULL: it is in memory. */
const char *ngx_body_file(struct request *r);
void ngx_body_drop(struct request *r);

/* The name of a method by its constant; raises for no such one. */
struct slice ngx_req_method(lua_State *L, int number);

/* Starts the function on top of L as a light thread of t that nobody waits
 * for.  (ngx_thread.c) */
void ngx_thread_launch(struct task *t, lua_State *L);

/* Who waits for a body that is still coming: told when more of it, or all, or
 * the end has come. */
struct body_reader {
    void (*on_body)(struct body_reader *self, struct request *r);
};

/* Answers push(L, r, number), once the whole body is there.  (body.c) */
int body_await(lua_State *L, struct request *r, lua_Integer number,
               int (*push)(lua_State *L, struct request *r,
                           lua_Integer number));

/* net/http's event. */
void body_happened(struct http_request *http, void *user);

/* The captured subrequest has its answer. (capture.c) */
void capture_done(struct request *r);

/* Drops what waits for subrequests of r and these themselves. */
void capture_drop(struct request *r);

/* request_keep for what r waits for. */
void capture_keep(struct request *r);

/* What is common to requests and subrequests. (request.c) */
bool request_init(struct request *r, struct api *api,
                  struct http_request *http);
void request_drop_task(struct request *r);
void request_keep(struct request *r);

/* A header of the request; without value.data it is only taken out.
 * (ngx_req.c) */
void ngx_req_change_header(struct request *r, struct slice name,
                           struct slice value, bool replace);

/* Sets Location; a path gets the server's name before it, as nginx's
 * absolute_redirect does. */
void request_set_location(struct request *r, struct slice to);

/* The id that answers and log lines carry: the caller's X-Request-Id, or one
 * of ours.  Lives as long as r. */
struct slice request_id(struct request *r);

/* A line in the error log, with that tail. */
void request_log(const struct request *r, enum log_level level,
                 struct slice text);

/* The first header of that name in the answer, or SLICE_NONE. */
struct slice request_out_header(const struct request *r, struct slice name);

/* ", client: 127.0.0.1, server: , request: ..." for the error log. */
void request_log_tail(const struct request *r, struct buf *out);

/* The value of a variable that the core makes, appended; false: no such one,
 * or it has no value here.  name is in lower case. (variable.c) */
bool variable_get(struct request *r, struct slice name, struct buf *out);

/* Sets one (by `set` or ngx.var.x = ); false: it cannot be set. */
bool variable_set(struct request *r, struct slice name, struct slice value);

/* Whether it is one of the core's, and not of a family such as http_x. */
bool variable_is_builtin(struct slice name);

/* For conf_load. */
enum conf_builtin variable_builtin(struct slice name);

/* Renders a template of the configuration with the request's variables. */
void variable_render(struct request *r, const struct conf_template *t,
                     struct buf *out);

/* The same for a path, into an empty buffer: a relative one counts from the
 * prefix. */
void variable_path(struct request *r, const struct conf_template *t,
                   struct buf *out);

/* Appends what one part of a template stands for; a literal is not one. */
void variable_part(struct request *r, const struct conf_part *part,
                   struct buf *out);

/* Finds and opens a file under root or alias, with index; fills fd, or
 * finishes with 404, 403, 301. (static.c) */
void static_serve(struct request *r);

/* nginx's page, or our JSON envelope for who speaks JSON. (errorpage.c) */
void errorpage_fill(struct request *r, int status);

/* "Not Found"; NULL: unknown. */
const char *errorpage_reason(int status);
