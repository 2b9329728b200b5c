/* request.c -- one HTTP request: from its head to its answer. */
#include "api/request.h"
#include "api/access_log.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/uri.h"
#include "conf/server.h"
#include "crypto/secret.h"
#include <stdlib.h>

void request_log_tail(const struct request *r, struct buf *out)
{
    struct slice path, query;
    uri_split(r->http->uri, &path, &query); /* the query is never logged */
    struct slice address = realip_address(r);
    struct slice host = request_header(r, SLICE("Host"));
    buf_addf(out, ", client: %.*s, server: %.*s, request: \"%.*s %.*s %.*s\"",
             SLICE_FMT(address), SLICE_FMT(r->server->name),
             SLICE_FMT(r->http->method), SLICE_FMT(path),
             SLICE_FMT(r->http->version));
    if (r->parent)
        buf_addf(out, ", subrequest: \"%.*s\"", SLICE_FMT(r->uri));
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
/* The caller's, or one of ours. */
static struct slice choose_id(struct request *r)
{
    static _Thread_local uint64_t start, count;
    struct slice given = request_header(r, SLICE("X-Request-Id"));
    if (is_sane(given))
        return given;
    if (!start)
        secret_random(&start, sizeof start);
    char *text = arena_alloc(&r->http->arena, 16 + 8 + 1);
    if (!text)
        return SLICE("none");
    put_hex(text, 16, start);
    put_hex(text + 16, 8, ++count);
    return slice_str(text);
}

struct slice request_id(struct request *r)
{
    if (r->id.data)
        return r->id;
    r->id = choose_id(r);
    r->crash_note = crash_note(r->id);
    return r->id;
}

/* ---- the head ----------------------------------------------------------- */

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
static const struct conf_listen *find_listen(const struct conf *conf,
                                             const struct http_listen *listen)
{
    const struct api_socket *s = http_listen_tag(listen);
    const struct conf_listen *l = listen_at(conf, s->address);
    if (l)
        return l;
    l = conf->listens;
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
    const struct conf_listen *listen =
        find_listen(r->api->conf, r->http->listen);
    if (!listen)
        return false;
    const struct conf_server_name *name = NULL;
    unsigned pairs = REQUEST_CAPTURES;
    struct slice host = http_header(r->http, SLICE("Host"));
    r->server = server_find(listen, host, r->ovector, &pairs, &name);
    r->server_name = name && name->text.len ? name : NULL;
    if (pairs && name)
        variable_captures(r, &name->pattern, host, pairs);
    return true;
}

static struct certificate *on_hello(struct http_listen *l, struct slice name,
                                    void *user)
{
    struct api *api = *(struct api **)user;
    const struct conf_listen *listen = find_listen(api->conf, l);
    size_t ovector[2 * REQUEST_CAPTURES];
    unsigned pairs = REQUEST_CAPTURES;
    if (!listen)
        return NULL;
    const struct conf_server *s =
        server_find(listen, name, ovector, &pairs, NULL);
    return s->tls ? s->tls : listen->default_server->tls;
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
    if (uri_is_plain(path)) {
        r->uri = arena_dup(&r->http->arena, path);
        return;
    }
    if (uri_normalize(&uri, path) != OK && !r->http->fault)
        r->http->fault = 400;
    r->uri =
        r->http->fault ? path : arena_dup(&r->http->arena, buf_slice(&uri));
    buf_free(&uri);
}

bool request_init(struct request *r, struct api *api, struct http_request *http)
{
    r->http = http;
    r->api = api;
    r->exit_status = REQUEST_NO_EXIT;
    r->ctx_ref = r->abort_ref = LUA_NOREF;
    r->variables = arena_alloc(&http->arena, (api->conf->nvariables + 1) *
                                                 sizeof *r->variables);
    return r->variables;
}

static void on_headers(struct http_request *http, void *user)
{
    struct api *api = *(struct api **)user;
    struct request *r = arena_alloc(&http->arena, sizeof *r);
    if (!r || !request_init(r, api, http))
        return;
    r->method = http->method;
    if (!find_server(r))
        return;
    http->user = r; /* without it: dropped */
    vm_hold(api->vm);
    copy_headers(r);
    realip_resolve(r, &r->server->root->realip);
    read_uri(r);
    phase_locate(r);
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
    if (!http->arriving)
        r->body = buf_slice(&http->body);
    int fault = http->fault;
    if (!fault && atomic_load(&r->api->worker->process->draining) &&
        http_conn_requests(http) > 1)
        fault = 503; /* the first one of a connection was let in before */
    if (!r->location->lua_code_cache)
        fresh_start(r->api);
    if (fault)
        request_finish(r, fault);
    else
        phase_run(r, CONF_SERVER_REWRITE);
    if (!r->replied)
        output_push(r); /* it waits: what is much need not */
}

void request_keep(struct request *r)
{
    http_keep(r->http, &r->method);
    http_keep(r->http, &r->id);
    for (unsigned i = 0; i < r->header_count; i++) {
        http_keep(r->http, &r->headers[i].name);
        http_keep(r->http, &r->headers[i].value);
    }
}

void request_drop_task(struct request *r)
{
    struct task *t = r->task;
    r->task = NULL;
    capture_drop(r);
    if (t)
        task_cancel(t);
    cleanup_run(&r->cleanups);
}

static void on_lost(struct http_request *http, void *user)
{
    (void)user;
    struct request *r = http->user;
    request_keep(r);
    capture_keep(r);
}

static void on_gone(struct http_request *http, void *user)
{
    (void)user;
    struct request *r = http->user;
    r->finished = true;
    request_drop_task(r);
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
    request_drop_task(r);
    r->status = http->status ? http->status : r->status ? r->status : 499;
    const struct conf_code *log = r->location->code[CONF_LOG];
    if (log)
        phase_call(r, CONF_LOG, log, 0);
    access_log_write(r);
    if (r->route.data)
        measure(r);
    buf_free(&r->output);
    crash_forget(r->crash_note);
    ngx_body_drop(r);
    luaL_unref(r->api->vm->L, LUA_REGISTRYINDEX, r->ctx_ref);
    luaL_unref(r->api->vm->L, LUA_REGISTRYINDEX, r->abort_ref);
    vm_release(r->api->vm);
}

static unsigned on_newcomer(struct http_listen *l, const struct ip *ip,
                            void *user)
{
    struct api *api = *(struct api **)user;
    const struct conf_listen *listen = find_listen(api->conf, l);
    unsigned max = api->conf->connections_per_address;
    return max && listen && !realip_believes(listen, ip) ? max : 0;
}

const struct http_events request_events = { on_hello,
                                            on_newcomer,
                                            on_headers,
                                            on_request,
                                            body_happened,
                                            ngx_abort_happened,
                                            ngx_output_drained,
                                            on_lost,
                                            on_gone,
                                            on_end };
