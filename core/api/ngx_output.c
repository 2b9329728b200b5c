/* ngx_output.c -- ngx.say, print, flush, eof, send_headers, redirect. */
#include "api/request.h"
#include "api/unsafe.h"
#include <stdio.h>

/* Appends one argument as OpenResty writes it; false: not printable. */
static bool add_value(lua_State *L, int index, struct buf *out)
{
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
    case LUA_TNUMBER: {
        lua_pushvalue(L, index); /* tolstring would change a number in place */
        buf_add(out, vm_slice(L, -1));
        lua_pop(L, 1);
        return true;
    }
    case LUA_TNIL:
        buf_add(out, SLICE("nil"));
        return true;
    case LUA_TBOOLEAN:
        buf_add(out, lua_toboolean(L, index) ? SLICE("true") : SLICE("false"));
        return true;
    case LUA_TLIGHTUSERDATA:
        buf_add(out, SLICE("null"));
        return lua_touserdata(L, index) == NULL;
    default:
        return false;
    }
}

static const char *bad_type(int type)
{
    return type == LUA_TFUNCTION        ? "bad data type function found"
           : type == LUA_TUSERDATA      ? "bad data type userdata found"
           : type == LUA_TLIGHTUSERDATA ? "bad data type userdata found"
           : type == LUA_TTHREAD        ? "bad data type thread found"
                                        : "bad data type cdata found";
}

/* Why a table cannot be printed, or NULL: an array of printable things. */
static const char *add_table(lua_State *L, int index, struct buf *out)
{
    int n = (int)lua_objlen(L, index);
    if (!lua_checkstack(L, 4))
        return "table nested too deeply";
    for (int i = 1; i <= n; i++) {
        const char *fault = NULL;
        lua_rawgeti(L, index, i);
        if (lua_istable(L, -1))
            fault = add_table(L, lua_gettop(L), out);
        else if (!add_value(L, lua_gettop(L), out))
            fault = bad_type(lua_type(L, -1));
        lua_pop(L, 1);
        if (fault)
            return fault;
    }
    return NULL;
}

static bool is_array(lua_State *L, int index)
{
    bool array = true;
    lua_pushnil(L);
    while (array && lua_next(L, index)) {
        lua_pop(L, 1);
        array = lua_type(L, -1) == LUA_TNUMBER;
        if (!array)
            lua_pop(L, 1);
    }
    return array;
}

static const char *add_argument(lua_State *L, int i, struct buf *out)
{
    if (lua_istable(L, i))
        return is_array(L, i) ? add_table(L, i, out) : "non-array table found";
    if (add_value(L, i, out))
        return NULL;
    return lua_pushfstring(L,
                           "string, number, boolean, nil, ngx.null, or array "
                           "table expected, but got %s",
                           lua_typename(L, lua_type(L, i)));
}

void ngx_output_add(lua_State *L, int index, struct buf *out)
{
    const char *fault = add_argument(L, index, out);
    if (!fault)
        return;
    buf_free(out);
    luaL_error(L, "bad chunk: %s", fault);
}

/* Appends all arguments, or nothing and raises. */
static void add_all(lua_State *L, struct buf *out)
{
    int n = lua_gettop(L);
    size_t start = out->len;
    for (int i = 1; i <= n; i++) {
        const char *fault = add_argument(L, i, out);
        if (fault) {
            out->len = start;
            luaL_argerror(L, i, fault);
        }
    }
}

/* A script of `latchkey run` talks to its terminal. */
static int write_console(lua_State *L, struct api *api, bool newline)
{
    buf_clear(&api->output);
    add_all(L, &api->output);
    if (newline)
        buf_add_char(&api->output, '\n');
    fwrite(api->output.data, 1, api->output.len, stdout);
    fflush(stdout);
    lua_pushinteger(L, 1);
    return 1;
}

static const char *ended(const struct request *r)
{
    return r->raw ? "raw request socket acquired" : "seen eof";
}

static bool is_head(const struct request *r)
{
    return slice_eq(r->method, SLICE("HEAD")) && !r->parent;
}

static int write_out(lua_State *L, bool newline)
{
    struct api *api = api_of(L);
    if (api->worker->process->console)
        return write_console(L, api, newline);
    struct request *r = api_request_in(L, REQUEST_MAY_WAIT);
    if (r->eof || r->raw)
        return vm_fail(L, ended(r));
    if (r->overruled || r->http->lost)
        return vm_fail(L, "nginx output filter error");
    add_all(L, &r->output);
    if (newline)
        buf_add_char(&r->output, '\n');
    if (!r->headers_sent && !output_begin(r))
        return vm_fail(L, "nginx output filter error");
    if (is_head(r))
        return vm_fail(L, "header only"); /* but it counts as the length */
    if (!output_filter(r, false))
        return vm_fail(L, "nginx output filter error");
    if (r->http->suspended || r->http->lingers)
        output_push(r); /* the request waited before, and may again */
    lua_pushinteger(L, 1);
    return 1;
}

static int f_say(lua_State *L)
{
    return write_out(L, true);
}

static int f_print(lua_State *L)
{
    return write_out(L, false);
}

static void cancel_flush(struct task *t)
{
    struct request *r = task_root(t)->owner;
    struct task **at = &r->flushers;
    while (*at != t)
        at = (struct task **)&(*at)->op;
    *at = t->op;
}

static int tell_lost(lua_State *L, const struct http_request *http)
{
    return vm_fail(L, http->late ? "timeout" : "client aborted");
}

void ngx_output_drained(struct http_request *http, void *user)
{
    (void)user;
    struct request *r = http->user;
    struct task *t = r->flushers;
    if (!t)
        return;
    r->flushers = t->op;
    if (r->flushers)
        http_drain_again(http); /* t may end all, so one after the other */
    if (http->lost) {
        task_resume(t, tell_lost(t->co, http));
        return;
    }
    lua_pushinteger(t->co, 1);
    task_resume(t, 1);
}

/* ngx.flush(wait = false): what is output leaves now. */
static int f_flush(lua_State *L)
{
    bool wait = lua_toboolean(L, 1);
    struct request *r = api_request_in(L, REQUEST_MAY_WAIT);
    struct task *t = wait ? task_check(L) : NULL;
    if (is_head(r))
        return vm_fail(L, "header only");
    if (r->eof || r->raw)
        return vm_fail(L, ended(r));
    if (output_buffers(r))
        return vm_fail(L, "buffering");
    if (r->http->lost)
        return tell_lost(L, r->http);
    output_flush(r);
    if (!wait || r->parent || !r->http->streaming || !http_flush(r->http)) {
        lua_pushinteger(L, 1);
        return 1;
    }
    struct task *before = r->flushers;
    r->flushers = t;
    return task_wait(t, cancel_flush, before);
}

/* ngx.eof(): the answer is whole; the script may go on. */
static int f_eof(lua_State *L)
{
    struct request *r = api_request_in(L, REQUEST_MAY_WAIT);
    if (r->eof || r->raw)
        return vm_fail(L, ended(r));
    r->eof = true;
    if (!r->headers_sent && !output_begin(r))
        return vm_fail(L, "nginx output filter error");
    output_end(r, true);
    lua_pushinteger(L, 1);
    return 1;
}

static int f_send_headers(lua_State *L)
{
    struct request *r = api_request_in(L, REQUEST_MAY_WAIT);
    if (!r->headers_sent && !output_begin(r))
        return vm_fail(L, "nginx output filter error");
    lua_pushinteger(L, 1);
    return 1;
}

/* ngx.redirect(uri, status = 302) */
static int f_redirect(lua_State *L)
{
    int n = lua_gettop(L);
    if (n != 1 && n != 2)
        return luaL_error(L, "expecting one or two arguments");
    struct slice uri = vm_check_slice(L, 1);
    int status = (int)luaL_optinteger(L, 2, 302);
    if (!((status >= 301 && status <= 303) || status == 307 || status == 308))
        return luaL_error(L, "only ngx.HTTP_MOVED_TEMPORARILY, "
                             "ngx.HTTP_MOVED_PERMANENTLY, "
                             "ngx.HTTP_PERMANENT_REDIRECT, "
                             "ngx.HTTP_SEE_OTHER, and "
                             "ngx.HTTP_TEMPORARY_REDIRECT are allowed");
    unsafe_refuse(L, uri, "redirect uri", "");
    struct request *r = api_request_in(L, REQUEST_MAY_WAIT);
    struct task *t = task_check(L);
    if (r->headers_sent)
        return luaL_error(L, "attempt to call ngx.redirect after sending out "
                             "the headers");
    if (r->subrequests)
        return luaL_error(L, "attempt to abort with pending subrequests");
    request_set_header(r, SLICE("Location"), uri, true);
    r->exit_status = status;
    return task_unwind(t);
}

void ngx_output_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "say", f_say },
                                      { "print", f_print },
                                      { "flush", f_flush },
                                      { "eof", f_eof },
                                      { "send_headers", f_send_headers },
                                      { "redirect", f_redirect },
                                      { NULL, NULL } };
    vm_register(vm, L, funcs);
}
