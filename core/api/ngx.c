/* ngx.c -- the table `ngx` itself: constants, status, ctx, exit. */
#include "api/request.h"
#include <stdlib.h>

enum { AGAIN = -2, DONE = -4, DECLINED = -5 };

static const struct constant {
    const char *name;
    int value;
} constants[] = {
    { "OK", 0 },
    { "ERROR", -1 },
    { "AGAIN", AGAIN },
    { "DONE", DONE },
    { "DECLINED", DECLINED },
    { "HTTP_GET", 2 },
    { "HTTP_HEAD", 4 },
    { "HTTP_POST", 8 },
    { "HTTP_PUT", 16 },
    { "HTTP_DELETE", 32 },
    { "HTTP_MKCOL", 64 },
    { "HTTP_COPY", 128 },
    { "HTTP_MOVE", 256 },
    { "HTTP_OPTIONS", 512 },
    { "HTTP_PROPFIND", 1024 },
    { "HTTP_PROPPATCH", 2048 },
    { "HTTP_LOCK", 4096 },
    { "HTTP_UNLOCK", 8192 },
    { "HTTP_PATCH", 16384 },
    { "HTTP_TRACE", 32768 },
    { "HTTP_CONTINUE", 100 },
    { "HTTP_SWITCHING_PROTOCOLS", 101 },
    { "HTTP_OK", 200 },
    { "HTTP_CREATED", 201 },
    { "HTTP_ACCEPTED", 202 },
    { "HTTP_NO_CONTENT", 204 },
    { "HTTP_PARTIAL_CONTENT", 206 },
    { "HTTP_SPECIAL_RESPONSE", 300 },
    { "HTTP_MOVED_PERMANENTLY", 301 },
    { "HTTP_MOVED_TEMPORARILY", 302 },
    { "HTTP_SEE_OTHER", 303 },
    { "HTTP_NOT_MODIFIED", 304 },
    { "HTTP_TEMPORARY_REDIRECT", 307 },
    { "HTTP_PERMANENT_REDIRECT", 308 },
    { "HTTP_BAD_REQUEST", 400 },
    { "HTTP_UNAUTHORIZED", 401 },
    { "HTTP_PAYMENT_REQUIRED", 402 },
    { "HTTP_FORBIDDEN", 403 },
    { "HTTP_NOT_FOUND", 404 },
    { "HTTP_NOT_ALLOWED", 405 },
    { "HTTP_NOT_ACCEPTABLE", 406 },
    { "HTTP_REQUEST_TIMEOUT", 408 },
    { "HTTP_CONFLICT", 409 },
    { "HTTP_GONE", 410 },
    { "HTTP_UPGRADE_REQUIRED", 426 },
    { "HTTP_TOO_MANY_REQUESTS", 429 },
    { "HTTP_CLOSE", 444 },
    { "HTTP_ILLEGAL", 451 },
    { "HTTP_INTERNAL_SERVER_ERROR", 500 },
    { "HTTP_NOT_IMPLEMENTED", 501 },
    { "HTTP_METHOD_NOT_IMPLEMENTED", 501 },
    { "HTTP_BAD_GATEWAY", 502 },
    { "HTTP_SERVICE_UNAVAILABLE", 503 },
    { "HTTP_GATEWAY_TIMEOUT", 504 },
    { "HTTP_VERSION_NOT_SUPPORTED", 505 },
    { "HTTP_INSUFFICIENT_STORAGE", 507 },
};

/* The answer has begun, so its status stands. */
static int fixed_status(struct request *r, int status)
{
    if (status < 300 || status == r->status || request_drops(status))
        return status;
    struct buf text = { 0 };
    buf_addf(&text,
             "attempt to set status %d via ngx.exit after sending out "
             "the response status %d",
             status, r->status);
    request_log(r, LOG_ERR, buf_slice(&text));
    buf_free(&text);
    return r->status;
}

/* In a header filter: no coroutine that could be left, so by an error that
 * phase_call knows. */
static int leave(lua_State *L, int status)
{
    struct request *r = api_request_in(L, 1u << CONF_HEADER_FILTER);
    r->exit_status = status;
    r->leaving = true;
    lua_pushnil(L);
    return lua_error(L);
}

/* ngx.exit(status): 0 (and DECLINED) goes on to the next phase, 200 and up
 * ends the request, ERROR breaks it off. */
static int f_exit(lua_State *L)
{
    int status = (int)luaL_checkinteger(L, 1);
    if (status == AGAIN || status == DONE)
        return luaL_error(L, "bad argument to 'ngx.exit': does not accept "
                             "NGX_AGAIN or NGX_DONE");
    if (vm_of(L)->phase)
        return leave(L, status);
    struct task *t = task_check(L);
    struct request *r = task_root(t)->owner;
    if (r && r->subrequests && status != REQUEST_ERROR &&
        !request_drops(status))
        return luaL_error(L, "attempt to abort with pending subrequests");
    if (r && r->headers_sent)
        status = fixed_status(r, status);
    if (r)
        r->exit_status = status != DECLINED         ? status
                         : r->phase == CONF_CONTENT ? REQUEST_ERROR
                                                    : 0;
    return task_unwind(t);
}

/* A timer's: it has no request. */
struct task_ctx {
    struct cleanup cleanup;
    struct vm *vm;
    int ref;
};

static void drop_ctx(struct cleanup *self)
{
    struct task_ctx *ctx = (struct task_ctx *)self;
    luaL_unref(ctx->vm->L, LUA_REGISTRYINDEX, ctx->ref);
    free(ctx);
}

static int *task_ctx(lua_State *L, struct task *root)
{
    struct cleanup *c = root->cleanups;
    while (c && c->run != drop_ctx)
        c = c->next;
    if (c)
        return &((struct task_ctx *)c)->ref;
    struct task_ctx *ctx = calloc(1, sizeof *ctx);
    if (!ctx) {
        luaL_error(L, "no memory");
        return NULL;
    }
    ctx->cleanup.run = drop_ctx;
    ctx->vm = root->vm;
    ctx->ref = LUA_NOREF;
    cleanup_add(&root->cleanups, &ctx->cleanup);
    return &ctx->ref;
}

/* Where the running code's ctx is in the registry: a request's, a timer's or
 * that of init_worker_by_lua. */
static int *find_ctx(lua_State *L)
{
    struct request *r = api_request_or_null(L);
    struct vm *vm = vm_of(L);
    if (r)
        return &r->ctx_ref;
    if (!vm->phase && vm->running)
        return task_ctx(L, task_root(vm->running));
    if (vm->phase && !strcmp(vm->phase, "init_worker_by_lua*"))
        return &api_of(L)->ctx_ref;
    return &api_request(L)->ctx_ref; /* which raises */
}

static int get_ctx(lua_State *L)
{
    int *ref = find_ctx(L);
    if (*ref == LUA_NOREF) {
        lua_newtable(L);
        lua_pushvalue(L, -1);
        *ref = luaL_ref(L, LUA_REGISTRYINDEX);
    } else {
        lua_rawgeti(L, LUA_REGISTRYINDEX, *ref);
    }
    return 1;
}

/* require("resty.core.ctx").get_ctx_table(table): who has no ctx yet takes
 * that. */
static int f_get_ctx_table(lua_State *L)
{
    int *ref = find_ctx(L);
    if (*ref == LUA_NOREF && lua_istable(L, 1)) {
        lua_pushvalue(L, 1);
        *ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    return get_ctx(L);
}

static int set_ctx(lua_State *L)
{
    int *ref = find_ctx(L);
    if (!lua_istable(L, 3))
        return luaL_error(L, "ctx should be a table while getting a %s",
                          luaL_typename(L, 3));
    luaL_unref(L, LUA_REGISTRYINDEX, *ref);
    lua_pushvalue(L, 3);
    *ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static int set_status(lua_State *L, struct request *r)
{
    int status = (int)luaL_checkinteger(L, 3);
    if (r->headers_sent) {
        request_log(r, LOG_ERR,
                    SLICE("attempt to set ngx.status after sending out "
                          "response headers"));
        return 0;
    }
    r->status = status;
    r->error_status = 0;
    return 0;
}

/* ngx.status, ngx.ctx and the like; anything else is nil. */
static int f_index(lua_State *L)
{
    struct slice name = vm_slice(L, 2);
    if (slice_eq(name, SLICE("ctx")))
        return get_ctx(L);
    if (slice_eq(name, SLICE("status")))
        lua_pushinteger(L, request_status(api_request(L)));
    else if (slice_eq(name, SLICE("headers_sent")))
        lua_pushboolean(L, api_request(L)->headers_sent);
    else if (slice_eq(name, SLICE("is_subrequest")))
        lua_pushboolean(L, api_request(L)->parent != NULL);
    else
        lua_pushnil(L);
    return 1;
}

static int f_newindex(lua_State *L)
{
    struct slice name = vm_slice(L, 2);
    if (slice_eq(name, SLICE("ctx")))
        return set_ctx(L);
    if (slice_eq(name, SLICE("status")))
        return set_status(L, api_request(L));
    lua_rawset(L, 1);
    return 0;
}

void ngx_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "exit", f_exit }, { NULL, NULL } };
    static const luaL_Reg meta[] = { { "__index", f_index },
                                     { "__newindex", f_newindex },
                                     { NULL, NULL } };
    static const luaL_Reg core[] = { { "get_ctx_table", f_get_ctx_table },
                                     { NULL, NULL } };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        lua_pushinteger(L, constants[i].value);
        lua_setfield(L, -2, constants[i].name);
    }
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    vm_register(vm, L, funcs);
    lua_createtable(L, 0, 2);
    vm_register(vm, L, meta);
    lua_setmetatable(L, -2);
    api_preload(vm, "resty.core.ctx", core);
}
