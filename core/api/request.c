/* request.c -- one HTTP request: from its head to its answer. */
#include "api/request.h"
#include "api/access_log.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/uri.h"
#include "conf/location.h"
#include "conf/server.h"
#include "crypto/secret.h"
#include "vm/traceback.h"
#include <stdlib.h>

enum { HTTP_OK = 200 };

static void run_phase(struct request *r, enum conf_phase phase);

void request_log_tail(const struct request *r, struct buf *out)
{
    struct slice path, query;
    uri_split(r->http->uri, &path, &query); /* the query is never logged */
    struct slice address = http_conn_address(r->http);
    struct slice host = request_header(r, SLICE("Host"));
    buf_addf(out, ", client: %.*s, server: %.*s, request: \"%.*s %.*s %.*s\"",
             SLICE_FMT(address), SLICE_FMT(r->server->name),
             SLICE_FMT(r->http->method), SLICE_FMT(path),
             SLICE_FMT(r->http->version));
    if (host.data)
        buf_addf(out, ", host: \"%.*s\"", SLICE_FMT(host));
}

void request_log(const struct request *r, enum log_level level,
                 struct slice text)
{
    struct buf tail = { 0 };
    request_log_tail(r, &tail);
    log_line(level, http_conn_number(r->http), text, buf_slice(&tail));
    buf_free(&tail);
}

struct slice request_header(const struct request *r, struct slice name)
{
    for (unsigned i = 0; i < r->header_count; i++)
        if (slice_eq_nocase(r->headers[i].name, name))
            return r->headers[i].value;
    return SLICE_NONE;
}

/* The caller's X-Request-Id where it is sane (contract section 3). */
static bool is_sane(struct slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.data[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z');
        if (!alnum && c != '.' && c != '_' && c != '-')
            return false;
    }
    return id.len >= 1 && id.len <= REQUEST_ID_MAX;
}

/* The last digits of n; printf would take longer than the rest of an id. */
static void put_hex(char *to, unsigned digits, uint64_t n)
{
    for (; digits-- > 0; n >>= 4)
        to[digits] = "0123456789abcdef"[n & 15];
}

/* Ours count up from a random start, so that they do not meet another
 * node's or an earlier run's.  The digits that change come last: LuaJIT's
 * hash of a string looks at few of its bytes, these among them. */
struct slice request_id(struct request *r)
{
    static _Thread_local uint64_t start, count;
    if (r->id.data)
        return r->id;
    r->id = request_header(r, SLICE("X-Request-Id"));
    if (is_sane(r->id))
        return r->id;
    if (!start)
        secret_random(&start, sizeof start);
    char *text = arena_alloc(&r->http->arena, 16 + 8 + 1);
    if (!text)
        return r->id = SLICE("none");
    put_hex(text, 16, start);
    put_hex(text + 16, 8, ++count);
    return r->id = slice_str(text);
}

/* ---- phases ------------------------------------------------------------- */

static void log_abort(struct request *r, struct task *t)
{
    const char *why = lua_tostring(t->co, -1);
    struct buf text = { 0 };
    buf_addf(&text, "lua entry thread aborted: runtime error: %s\n",
             why ? why : "unknown reason");
    traceback_add(t, &text);
    request_log(r, LOG_ERR, buf_slice(&text));
    buf_free(&text);
}

static void on_phase_done(struct task *t, bool ok)
{
    struct request *r = t->owner;
    r->task = NULL;
    if (!ok) {
        log_abort(r, t);
        request_finish(r, 500);
    } else if (r->exit_status >= HTTP_OK || r->phase == CONF_CONTENT ||
               r->eof) {
        request_finish(r, r->exit_status);
    } else {
        r->exit_status = -1;
        run_phase(r, r->phase + 1);
    }
}

static void refuse_code(struct request *r, enum err e)
{
    request_log(r, LOG_ERR, slice_str(err_text()));
    request_finish(r, e == ERR_NOT_FOUND ? 404 : 500);
}

static void run_code(struct request *r, const struct conf_code *code)
{
    static const char *const contexts[CONF_PHASES] = {
        "rewrite_by_lua*",       "access_by_lua*",      "content_by_lua*",
        "header_filter_by_lua*", "body_filter_by_lua*", "log_by_lua*"
    };
    struct buf path = { 0 };
    if (code->is_file)
        variable_render(r, &code->path, &path);
    enum err e = api_push_code(r->api, code, buf_str(&path),
                               r->location->lua_code_cache);
    buf_free(&path);
    struct vm *vm = r->api->vm;
    struct task *t = e == OK ? task_new(vm, vm->L, 0) : NULL;
    if (!t) {
        refuse_code(r, e);
        return;
    }
    t->owner = r;
    t->context = contexts[r->phase];
    t->on_done = on_phase_done;
    r->task = t;
    task_start(t);
}

static void return_text(struct request *r, const struct conf_op *op)
{
    struct buf text = { 0 };
    variable_render(r, &op->text, &text);
    if (op->status >= 301 && op->status <= 308 && op->status != 304) {
        request_set_location(r, buf_slice(&text));
        buf_free(&text);
        request_finish(r, (int)op->status);
        return;
    }
    r->status = (int)op->status;
    r->output = text;
    request_set_header(r, SLICE("Content-Length"), SLICE("0"), true);
    r->headers_sent = true;
    request_finish(r, (int)op->status);
}

/* True: the request is answered. */
static bool run_ops(struct request *r)
{
    for (const struct conf_op *op = r->location->ops; op; op = op->next) {
        if (op->kind == CONF_RETURN && !op->has_text) {
            request_finish(r, (int)op->status);
            return true;
        }
        if (op->kind == CONF_RETURN) {
            return_text(r, op);
            return true;
        }
        struct buf value = { 0 };
        variable_render(r, &op->text, &value);
        if (op->variable >= 0)
            r->variables[op->variable] =
                arena_dup(&r->http->arena, buf_slice(&value));
        else
            variable_set(r, op->name, buf_slice(&value));
        buf_free(&value);
    }
    return false;
}

/* From phase on, until one waits or answers. */
static void run_phase(struct request *r, enum conf_phase phase)
{
    r->phase = phase;
    if (phase == CONF_REWRITE && run_ops(r))
        return;
    while (r->phase < CONF_CONTENT && !r->location->code[r->phase])
        r->phase++;
    if (r->location->code[r->phase])
        run_code(r, r->location->code[r->phase]);
    else
        static_serve(r);
}

/* ---- the head ----------------------------------------------------------- */

static void set_captures(struct request *r, const struct conf_pattern *p,
                         struct slice subject, unsigned pairs)
{
    r->captures = pairs < REQUEST_CAPTURES ? pairs : REQUEST_CAPTURES;
    r->captured = arena_dup(&r->http->arena, subject);
    for (unsigned i = 0; p && i < p->nnamed; i++) {
        unsigned g = p->named[i].group;
        if (g < r->captures && r->ovector[2 * g] != REGEX_UNSET)
            r->variables[p->named[i].variable->index] =
                SLICE_OF(r->captured.data + r->ovector[2 * g],
                         r->ovector[2 * g + 1] - r->ovector[2 * g]);
    }
}

static const struct conf_listen *listen_at(const struct conf *conf,
                                           const char *address)
{
    const struct conf_listen *l = conf->listens;
    while (l && strcmp(l->address, address))
        l = l->next;
    return l;
}

/* The sockets outlive a reload, the configuration does not.  Until a restart
 * opens the new address, the old one stands for what took its place; never
 * for one that has a socket itself. */
static const struct conf_listen *find_listen(struct request *r)
{
    const struct api_socket *s = http_listen_tag(r->http->listen);
    const struct conf_listen *l = listen_at(r->api->conf, s->address);
    if (l)
        return l;
    l = r->api->conf->listens;
    for (unsigned i = 0; l && i < s->index; i++)
        l = l->next;
    for (unsigned i = 0; l && i < s->count; i++)
        if (!strcmp(s->all[i].address, l->address))
            return NULL;
    return l;
}

/* False: a reload took this address out. */
static bool find_server(struct request *r)
{
    const struct conf_listen *listen = find_listen(r);
    if (!listen)
        return false;
    const struct conf_server_name *name = NULL;
    unsigned pairs = REQUEST_CAPTURES;
    struct slice host = http_header(r->http, SLICE("Host"));
    r->server = server_find(listen, host, r->ovector, &pairs, &name);
    if (pairs && name)
        set_captures(r, &name->pattern, host, pairs);
    return true;
}

static void find_location(struct request *r)
{
    unsigned pairs = REQUEST_CAPTURES;
    r->location = location_find(r->server, r->uri, r->ovector, &pairs);
    if (pairs)
        set_captures(r, &r->location->pattern, r->uri, pairs);
}

static void copy_headers(struct request *r)
{
    bool underscores = r->server->underscores_in_headers;
    struct http_request *http = r->http;
    r->header_cap = http->header_count + 8;
    r->headers = arena_alloc(&http->arena, r->header_cap * sizeof *r->headers);
    for (unsigned i = 0; r->headers && i < http->header_count; i++) {
        struct slice name = http->headers[i].name;
        if (underscores || slice_find(name, '_') == name.len)
            r->headers[r->header_count++] = http->headers[i];
    }
}

static void read_uri(struct request *r)
{
    struct slice path;
    struct buf uri = { 0 };
    uri_split(r->http->uri, &path, &r->args);
    if (uri_normalize(&uri, path) != OK && !r->http->fault)
        r->http->fault = 400;
    r->uri =
        r->http->fault ? path : arena_dup(&r->http->arena, buf_slice(&uri));
    buf_free(&uri);
}

static void on_headers(struct http_request *http, void *user)
{
    struct api *api = *(struct api **)user;
    struct request *r = arena_alloc(&http->arena, sizeof *r);
    if (!r)
        return;
    r->http = http;
    r->api = api;
    r->method = http->method;
    r->exit_status = -1;
    r->ctx_ref = LUA_NOREF;
    r->variables = arena_alloc(&http->arena, (api->conf->nvariables + 1) *
                                                 sizeof *r->variables);
    if (!find_server(r))
        return;
    http->user = r; /* without it: dropped */
    vm_hold(api->vm);
    copy_headers(r);
    read_uri(r);
    find_location(r);
    uint64_t max = r->location->client_max_body_size;
    http->max_body = max && max < SIZE_MAX / 4 ? (size_t)max : SIZE_MAX / 4;
}

static void on_request(struct http_request *http, void *user)
{
    (void)user;
    struct request *r = http->user;
    if (!r) {
        http_drop(http);
        return;
    }
    r->body = buf_slice(&http->body);
    int fault = http->fault;
    if (!fault && atomic_load(&r->api->worker->process->draining))
        fault = 503;
    if (!fault && r->location->internal)
        fault = 404;
    if (fault)
        request_finish(r, fault);
    else
        run_phase(r, CONF_REWRITE);
}

static void on_gone(struct http_request *http, void *user)
{
    (void)user;
    struct request *r = http->user;
    r->gone = true;
    struct task *t = r->task;
    r->task = NULL;
    if (t)
        task_cancel(t);
}

static void measure(const struct request *r)
{
    static const char *const by_status[] = { "route", "status", NULL };
    static const double bounds[] = { .001, .005, .01, .05, .1, .5, 1, 5, 10 };
    static _Thread_local struct metric *requests, *seconds;
    if (!requests) {
        requests = metrics_counter("latchkey_http_requests_total",
                                   "Requests of the API.", by_status);
        seconds = metrics_histogram("latchkey_http_request_duration_seconds",
                                    "How long they took.",
                                    (const char *const[]){ "route", NULL },
                                    bounds, sizeof bounds / sizeof *bounds);
    }
    char status[4] = { (char)('0' + r->status / 100 % 10),
                       (char)('0' + r->status / 10 % 10),
                       (char)('0' + r->status % 10), '\0' };
    struct slice values[] = { r->route, { status, 3 } };
    metric_add(requests, values, 1);
    metric_observe(seconds, values,
                   (double)(clock_msec() - r->http->started) / 1000);
}

static void on_end(struct http_request *http, void *user)
{
    (void)user;
    struct request *r = http->user;
    if (!r)
        return;
    if (r->task)
        on_gone(http, user);
    r->status = http->status ? http->status : 499;
    access_log_write(r);
    if (r->route.data)
        measure(r);
    buf_free(&r->output);
    luaL_unref(r->api->vm->L, LUA_REGISTRYINDEX, r->ctx_ref);
    vm_release(r->api->vm);
}

const struct http_events request_events = { on_headers, on_request, on_gone,
                                            on_end };
