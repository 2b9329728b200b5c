/* phase.c -- a request's phases: what the core does in each, and its code.
 *
 * Code of the phases up to content is a task and may wait.  Code of the
 * others (set, header and body filter, log) is called, and may not. */
#include "api/request.h"
#include "conf/location.h"
#include "vm/traceback.h"

enum { HTTP_OK = 200, JUMPS_MAX = 10 };

static const char *const contexts[] = {
    [CONF_SERVER_REWRITE] = "server_rewrite_by_lua*",
    [CONF_REWRITE] = "rewrite_by_lua*",
    [CONF_ACCESS] = "access_by_lua*",
    [CONF_CONTENT] = "content_by_lua*",
    [CONF_HEADER_FILTER] = "header_filter_by_lua*",
    [CONF_BODY_FILTER] = "body_filter_by_lua*",
    [CONF_LOG] = "log_by_lua*",
    [CONF_SET_LUA_PHASE] = "set_by_lua*",
};

static enum err push_code(struct request *r, const struct conf_code *code)
{
    struct buf path = { 0 };
    bool cached = r->location->lua_code_cache;
    if (!code->is_file)
        return api_push_code(r->api, code, NULL, cached);
    variable_path(r, &code->path, &path);
    enum err e = api_push_code(r->api, code, buf_str(&path), cached);
    buf_free(&path);
    return e;
}

/* ---- code that is called ------------------------------------------------ */

static void log_failure(struct request *r, enum conf_phase phase, enum err e)
{
    struct buf text = { 0 };
    if (e == ERR_SCRIPT && strncmp(err_text(), "failed to load", 14))
        buf_addf(&text, "failed to run %s: ", contexts[phase]);
    buf_add_str(&text, err_text());
    request_log(r, LOG_ERR, buf_slice(&text));
    buf_free(&text);
}

bool phase_call(struct request *r, enum conf_phase phase,
                const struct conf_code *code, int nresults)
{
    struct api *api = r->api;
    struct vm *vm = api->vm;
    enum conf_phase phase_before = r->phase;
    struct request *direct = api->direct;
    const char *before = vm->phase;
    r->phase = phase;
    r->leaving = false;
    enum err e = push_code(r, code);
    api->direct = r;
    vm->phase = contexts[phase];
    if (e == OK)
        e = vm_call(vm, 0, nresults);
    if (e != OK && !r->leaving)
        log_failure(r, phase, e);
    vm->phase = before;
    api->direct = direct;
    r->phase = phase_before;
    return e == OK || r->leaving;
}

/* ---- code that may wait ------------------------------------------------- */

static void log_abort(struct request *r, struct task *t)
{
    struct buf text = { 0 };
    buf_add_str(&text, "lua entry thread aborted: ");
    traceback_add(t, &text);
    request_log(r, LOG_ERR, buf_slice(&text));
    buf_free(&text);
}

/* A phase that has output is the last, as is one that says so. */
static void go_on(struct request *r)
{
    int status = r->exit_status;
    r->exit_status = REQUEST_NO_EXIT;
    if (r->exec_uri.data) {
        struct slice uri = r->exec_uri;
        r->exec_uri = SLICE_NONE;
        phase_redirect(r, uri, r->exec_args);
    } else if (status == REQUEST_ERROR && !r->parent) {
        request_finish(r, 444);
    } else if (status == REQUEST_ERROR) {
        request_fail(r);
    } else if (status >= HTTP_OK || r->headers_sent ||
               r->phase == CONF_CONTENT) {
        if (!r->status && status >= HTTP_OK)
            r->status = status; /* which `error_page 404 = /x` leaves so */
        request_finish(r, status);
    } else {
        phase_run(r, r->jumped ? CONF_REWRITE : r->phase + 1);
    }
}

static void on_phase_done(struct task *t, bool ok)
{
    struct request *r = t->owner;
    r->task = NULL;
    if (ok) {
        go_on(r);
        return;
    }
    log_abort(r, t);
    request_fail(r);
}

static void run_code(struct request *r, const struct conf_code *code)
{
    struct vm *vm = r->api->vm;
    enum err e = push_code(r, code);
    struct task *t = e == OK ? task_new(vm, vm->L, 0) : NULL;
    if (!t) {
        request_log(r, LOG_ERR, slice_str(err_text()));
        request_finish(r, e == ERR_NOT_FOUND ? 404 : 500);
        return;
    }
    t->owner = r;
    t->context = contexts[r->phase];
    t->on_done = on_phase_done;
    r->task = t;
    if (!r->parent)
        r->http->watch = r->location->lua_check_client_abort;
    task_start(t);
}

/* ---- from phase to phase ------------------------------------------------ */

void phase_locate(struct request *r)
{
    unsigned pairs = REQUEST_CAPTURES;
    r->location = location_find(r->server, r->uri, r->ovector, &pairs);
    if (pairs)
        variable_captures(r, &r->location->pattern, r->uri, pairs);
    r->located = true;
}

static void drop_ctx(struct request *r)
{
    luaL_unref(r->api->vm->L, LUA_REGISTRYINDEX, r->ctx_ref);
    r->ctx_ref = LUA_NOREF;
}

static bool too_many_jumps(struct request *r, const char *what)
{
    if (++r->jumps <= JUMPS_MAX)
        return false;
    struct buf text = { 0 };
    buf_addf(&text, "rewrite or internal redirection cycle while %s \"%.*s\"",
             what, SLICE_FMT(r->uri));
    request_log(r, LOG_ERR, buf_slice(&text));
    buf_free(&text);
    request_finish(r, 500);
    return true;
}

/* Where the location is known; false: answered. */
static bool enter_location(struct request *r)
{
    if (r->enters_server) {
        r->enters_server = false;
        r->phase = CONF_SERVER_REWRITE;
        if (!ops_run(r, r->server->root->ops))
            return false;
        r->phase = CONF_REWRITE;
        r->jumped = false; /* this is the search that comes anyway */
    }
    if (!r->located)
        phase_locate(r);
    if (r->location->internal && !r->internal) {
        request_finish(r, 404);
        return false;
    }
    r->body_read |= r->location->lua_need_request_body;
    return ops_run(r, r->location->ops);
}

/* What the core does in a phase before its code; false: answered. */
static bool prepare(struct request *r)
{
    if (r->phase == CONF_SERVER_REWRITE)
        r->enters_server = true; /* its own rewriting follows its code */
    if (r->phase == CONF_ACCESS)
        realip_resolve(r, &r->location->realip);
    return r->phase != CONF_REWRITE || enter_location(r);
}

/* The uri was rewritten: from the search for its location on. */
static bool jump(struct request *r)
{
    drop_ctx(r);
    r->jumped = r->located = false;
    r->phase = CONF_REWRITE;
    return !too_many_jumps(r, "processing");
}

static const struct conf_code *code_of(const struct request *r)
{
    const struct conf_location *at =
        r->phase == CONF_SERVER_REWRITE ? r->server->root : r->location;
    if (r->phase == CONF_ACCESS && r->parent)
        return NULL; /* it was asked for by one who has access */
    return at->code[r->phase];
}

void phase_run(struct request *r, enum conf_phase phase)
{
    r->phase = phase;
    for (;;) {
        if ((r->jumped && !jump(r)) || !prepare(r))
            return;
        const struct conf_code *code = r->jumped ? NULL : code_of(r);
        if (code) {
            run_code(r, code);
            return;
        }
        if (r->phase == CONF_CONTENT) {
            static_serve(r);
            return;
        }
        r->phase++;
    }
}

static void enter_named(struct request *r, struct slice name)
{
    r->location = location_named(r->server, name);
    if (r->location) {
        r->located = true;
        phase_run(r, CONF_REWRITE);
        return;
    }
    struct buf text = { 0 };
    buf_addf(&text, "could not find named location \"%.*s\"", SLICE_FMT(name));
    request_log(r, LOG_ERR, buf_slice(&text));
    buf_free(&text);
    r->location = r->server->root;
    request_finish(r, 500);
}

void phase_redirect(struct request *r, struct slice uri, struct slice args)
{
    bool named = slice_starts(uri, SLICE("@"));
    if (too_many_jumps(r, "internally redirecting to"))
        return;
    drop_ctx(r);
    r->internal = true;
    if (named) {
        enter_named(r, uri);
        return;
    }
    r->uri = uri;
    r->args = args.len ? args : SLICE_NONE;
    r->jumped = r->located = false;
    phase_run(r, CONF_SERVER_REWRITE);
}
