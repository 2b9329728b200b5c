/* latchkey_http.c -- `require "latchkey.http"`: requests to back-ends, by the
 * worker's own client: kept connections, certificates checked, no redirects. */
#include "api/api.h"
#include "net/client.h"
#include <stdlib.h>

enum { HEADERS = 64 };

/* Owns copies of the texts: the task may go while the request is under way. */
struct http_request {
    struct client_request req;
    struct task *task;
    struct arena arena;
    const char *headers[HEADERS + 1];
};

static void http_request_free(struct http_request *h)
{
    client_clear(&h->req);
    arena_free(&h->arena);
    free(h);
}

static void cancel(struct task *t)
{
    struct http_request *h = t->op;
    client_cancel(&h->req);
    http_request_free(h);
}

static int push_answer(lua_State *L, const struct client_request *req)
{
    if (req->result != OK)
        return vm_fail(L, err_name(req->result));
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, req->status);
    lua_setfield(L, -2, "status");
    vm_push(L, buf_slice(&req->body_in));
    lua_setfield(L, -2, "body");
    if (req->content_type_in.len) {
        vm_push(L, req->content_type_in);
        lua_setfield(L, -2, "content_type");
    }
    return 1;
}

static void on_done(struct client_request *req)
{
    struct http_request *h = req->user;
    struct task *t = h->task;
    int n = push_answer(t->co, req);
    http_request_free(h);
    task_resume(t, n);
}

/* A copy that ends where C thinks it does; NULL where it is none. */
static const char *copy(struct arena *arena, struct slice s)
{
    return !s.len || memchr(s.data, 0, s.len) ? NULL : arena_dup(arena, s).data;
}

/* options.NAME's copy; NULL where it is not there. */
static const char *text_field(lua_State *L, struct arena *arena,
                              const char *name)
{
    lua_getfield(L, 2, name);
    const char *text = copy(arena, vm_slice(L, -1));
    lua_pop(L, 1);
    return text;
}

static unsigned number_field(lua_State *L, const char *name, unsigned most)
{
    lua_getfield(L, 2, name);
    lua_Number n = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return n > 0 && n <= most ? (unsigned)n : 0;
}

/* options.headers, names to texts, as curl wants them. */
static bool read_headers(lua_State *L, struct http_request *h)
{
    unsigned n = 0;
    bool ok = true;
    lua_getfield(L, 2, "headers");
    if (lua_istable(L, -1)) {
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            const char *name = lua_type(L, -2) == LUA_TSTRING
                                   ? copy(&h->arena, vm_slice(L, -2))
                                   : NULL;
            const char *value = copy(&h->arena, vm_slice(L, -1));
            ok = ok && name && value && n < HEADERS;
            if (ok)
                h->headers[n++] =
                    arena_printf(&h->arena, "%s: %s", name, value);
        }
    }
    lua_pop(L, 1);
    return ok;
}

static bool read_options(lua_State *L, struct http_request *h)
{
    lua_getfield(L, 2, "body");
    struct slice body = vm_slice(L, -1);
    h->req.body = body.len ? arena_dup(&h->arena, body) : SLICE_NONE;
    lua_pop(L, 1);
    h->req.method = text_field(L, &h->arena, "method");
    if (!h->req.method)
        h->req.method = body.len ? "POST" : "GET";
    h->req.timeout_ms = number_field(L, "timeout", 600 * 1000);
    h->req.max_body = number_field(L, "max_body", 64 << 20);
    return read_headers(L, h);
}

/* http.request(url[, {method = (POST where there is a body), headers = {name =
 * text}, body, timeout (ms, 5000 by default), max_body (bytes, 256 KB)}]) ->
 * {status, body, content_type}; nil, reason: "connect" (nothing was sent),
 * "timeout", "closed", "too large", "invalid" ...  Waits. */
static int f_request(lua_State *L)
{
    struct slice url = vm_check_slice(L, 1);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    struct task *t = task_check(L);
    struct http_request *h = calloc(1, sizeof *h);
    if (!h)
        return vm_fail(L, err_name(ERR_NOMEM));
    h->task = t;
    h->req.url = copy(&h->arena, url);
    h->req.headers = h->headers;
    h->req.on_done = on_done;
    h->req.user = h;
    enum err e = ERR_INVALID;
    if (read_options(L, h) && h->req.url)
        e = client_send(api_of(L)->worker->client, &h->req);
    if (e == PENDING)
        return task_wait(t, cancel, h);
    http_request_free(h);
    return vm_fail(L, err_name(e));
}

void latchkey_http_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "request", f_request },
                                      { NULL, NULL } };
    (void)L;
    api_preload(vm, "latchkey.http", funcs);
}
