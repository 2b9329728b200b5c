/* latchkey_request.c -- `require "latchkey.request"`: the head of an API
 * request, and its answer, in one call each: they are what every call of the
 * API does, and a dozen small ones would cost more than its work. */
#include "api/request.h"
#include "base/text.h"

/* "Bearer X" (RFC 6750), else X-Latchkey-Token; never from the URL. */
static struct slice token_of(const struct request *r)
{
    struct slice h = request_header(r, SLICE("Authorization"));
    struct slice scheme = { h.data, slice_find(h, ' ') };
    if (slice_eq_nocase(scheme, SLICE("Bearer")))
        return slice_trim(slice_from(h, scheme.len));
    return request_header(r, SLICE("X-Latchkey-Token"));
}

static size_t leading_blanks(struct slice s)
{
    size_t n = 0;
    while (n < s.len && s.data[n] && strchr(" \t\r\n", s.data[n]))
        n++;
    return n;
}

/* "/v1/APP/CALL", or "/v1/CALL" for who asks about any app: the two parts;
 * false where it is neither. */
static bool split_path(struct slice uri, struct slice *app, struct slice *call)
{
    if (!slice_starts(uri, SLICE("/v1/")))
        return false;
    struct slice rest = slice_from(uri, strlen("/v1/"));
    size_t slash = slice_find(rest, '/');
    *app = (struct slice){ rest.data, slash };
    *call = slice_from(rest, slash + 1);
    return app->len && slice_find(*call, '/') == call->len;
}

/* The label of a call in the metrics; "other": whatever a client thought of. */
static struct slice route_of(struct slice call)
{
    static const char *const known[] = { "login",   "phone",      "decrypt",
                                         "session", "introspect", "verify" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (slice_eq(call, slice_str(known[i])))
            return slice_str(known[i]);
    return SLICE("other");
}

/* request.head() -> method, token or nil, app, call; app is nil where the path
 * is not of the API's form, call is "" for /v1/APP. */
static int f_head(lua_State *L)
{
    struct request *r = api_request(L);
    struct slice token = token_of(r), app, call;
    vm_push_word(L, r->method);
    if (token.len)
        vm_push(L, token);
    else
        lua_pushnil(L);
    if (!split_path(r->uri, &app, &call)) {
        r->route = SLICE("other");
        return 2;
    }
    r->route = route_of(call.len ? call : app);
    vm_push_word(L, app);
    vm_push_word(L, call);
    return 4;
}

static int push_body(lua_State *L, struct request *r, lua_Integer max)
{
    struct slice body = r->body;
    r->body_read = true; /* hooks may look at it too */
    size_t at = leading_blanks(body);
    const char *msg = NULL;
    lua_pushnil(L);
    if (body.len > (size_t)max) {
        lua_pushliteral(L, "body_too_large");
        return 2;
    }
    if (!body.len)
        msg = "a JSON body is needed";
    else if (at == body.len || body.data[at] != '{' || !text_is_utf8(body) ||
             memchr(body.data, 0, body.len))
        msg = "the body is not a JSON object in UTF-8";
    lua_pushliteral(L, "bad_request");
    lua_pushstring(L, msg);
    if (msg)
        return 3;
    vm_push(L, body);
    return 1;
}

/* request.body(max) -> the body where it is UTF-8 and may be a JSON object;
 * nil, reason, msg. */
static int f_body(lua_State *L)
{
    lua_Integer max = luaL_checkinteger(L, 1);
    return body_await(L, api_request(L), max, push_body);
}

static void begin_answer(struct request *r, int status, struct slice id)
{
    r->status = status;
    request_set_header(r, SLICE("Content-Type"),
                       SLICE("application/json; charset=utf-8"), true);
    request_set_header(r, SLICE("Cache-Control"), SLICE("no-store"), true);
    request_set_header(r, SLICE("X-Request-Id"), id, true);
    request_set_header(r, SLICE("X-Content-Type-Options"), SLICE("nosniff"),
                       true);
    request_set_header(r, SLICE("Content-Length"), SLICE("0"), true);
    buf_clear(&r->output);
    r->headers_sent = true;
}

enum { FORMATTED = 500 }; /* bytes, as a rule at most */

#define ID_MEMBER ",\"request_id\":\""

static void end_answer(struct request *r, struct slice id)
{
    buf_add(&r->output, SLICE(ID_MEMBER));
    buf_add(&r->output, id);
    buf_add(&r->output, SLICE("\"}"));
}

/* request.answer(status, part, ...): the parts of a JSON object that lacks
 * its end; the request's id and the end are put behind them.  A whole body
 * would be one more string that Lua makes but once. */
static int f_answer(lua_State *L)
{
    int status = (int)luaL_checkinteger(L, 1), top = lua_gettop(L);
    size_t length = sizeof ID_MEMBER + REQUEST_ID_MAX, part;
    for (int i = 2; i <= top; i++) {
        luaL_checklstring(L, i, &part);
        length += part;
    }
    struct request *r = api_request(L);
    struct slice id = request_id(r);
    begin_answer(r, status, id);
    buf_reserve(&r->output, length);
    for (int i = 2; i <= top; i++)
        buf_add(&r->output, vm_slice(L, i));
    end_answer(r, id);
    return 0;
}

/* A number as "%d" of string.format prints it; else the argument's text. */
static void add_argument(struct buf *out, lua_State *L, int index, bool number)
{
    if (number)
        buf_add_int(out, (int64_t)luaL_checknumber(L, index));
    else
        buf_add(out, vm_check_slice(L, index));
}

static void add_formatted(struct buf *out, lua_State *L, int index)
{
    struct slice format = vm_check_slice(L, index);
    for (;;) {
        size_t n = slice_find(format, '%');
        buf_add(out, SLICE_OF(format.data, n));
        if (n + 1 >= format.len)
            return;
        add_argument(out, L, ++index, format.data[n + 1] == 'd');
        format = slice_from(format, n + 2);
    }
}

/* request.format(status, part, format, ...): as answer(status, part,
 * string.format(format, ...)), for a format of %d and %s, without making that
 * string. */
static int f_format(lua_State *L)
{
    int status = (int)luaL_checkinteger(L, 1);
    struct request *r = api_request(L);
    struct slice id = request_id(r);
    begin_answer(r, status, id);
    buf_reserve(&r->output, FORMATTED);
    buf_add(&r->output, vm_check_slice(L, 2));
    add_formatted(&r->output, L, 3);
    end_answer(r, id);
    return 0;
}

/* request.raw(status, body): JSON as it is. */
static int f_raw(lua_State *L)
{
    int status = (int)luaL_checkinteger(L, 1);
    struct slice body = vm_check_slice(L, 2);
    struct request *r = api_request(L);
    begin_answer(r, status, request_id(r));
    buf_add(&r->output, body);
    return 0;
}

/* request.id() -> the id that answer and log lines carry */
static int f_id(lua_State *L)
{
    vm_push(L, request_id(api_request(L)));
    return 1;
}

/* request.names_us() -> whether its Host is a server_name of the listener */
static int f_names_us(lua_State *L)
{
    lua_pushboolean(L, api_request(L)->server_name != NULL);
    return 1;
}

void latchkey_request_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = {
        { "head", f_head },         { "body", f_body }, { "id", f_id },
        { "answer", f_answer },     { "raw", f_raw },   { "format", f_format },
        { "names_us", f_names_us }, { NULL, NULL }
    };
    (void)L;
    api_preload(vm, "latchkey.request", funcs);
}
