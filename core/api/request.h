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
    const struct conf_location *location;
    struct slice method;         /* may be changed by ngx.req.set_method */
    struct slice uri, args;      /* decoded path; raw query without '?' */
    struct http_header *headers; /* in: a copy that scripts may change */
    unsigned header_count, header_cap;
    struct slice body;       /* what scripts see; data NULL: none */
    struct slice *variables; /* conf->nvariables; data NULL: not set */
    size_t ovector[2 * REQUEST_CAPTURES];
    unsigned captures;
    struct slice captured; /* what the offsets count in */

    int status;              /* of the answer; 0: none set */
    struct http_header *out; /* the answer's headers */
    unsigned out_count, out_cap;
    struct buf output;
    bool headers_sent; /* output has begun: status and headers are fixed */
    bool eof;          /* ngx.eof: the answer is whole */
    bool replied;
    bool gone; /* the client left */
    int fd;    /* > 0: a file to send, of fd_size bytes */
    uint64_t fd_size;

    enum conf_phase phase;
    struct task *task; /* of the phase that runs */
    int exit_status;   /* ngx.exit's; -1: it was not called */
    int ctx_ref;       /* ngx.ctx in the registry */
    bool internal;
    struct slice id;    /* of answers and log lines, once it was asked for */
    struct slice route; /* of an API call, for the metrics; data NULL: none */
};

/* net/http's callbacks; user points to the worker's current struct api. */
extern const struct http_events request_events;

/* Adds to, or with replace sets, a header of the answer; slices are copied.
 * An empty value with replace removes it. */
void request_set_header(struct request *r, struct slice name,
                        struct slice value, bool replace);

/* The first header of that name in the request, or SLICE_NONE. */
struct slice request_header(const struct request *r, struct slice name);

/* Ends the request with what has been output, or, where nothing was and
 * status is an error, with its error page. */
void request_finish(struct request *r, int status);

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

/* For conf_load. */
enum conf_builtin variable_builtin(struct slice name);

/* Renders a template of the configuration with the request's variables. */
void variable_render(struct request *r, const struct conf_template *t,
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
