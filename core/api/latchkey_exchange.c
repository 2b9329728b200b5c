/* latchkey_exchange.c -- `require "latchkey.exchange"`: calls to platforms. */
#include "api/api.h"
#include "api/latchkey_driver.h"
#include "api/latchkey_keyring.h"
#include "api/latchkey_phone.h"
#include "base/metrics.h"
#include "login/signature.h"
#include "platform/platform_answer.h"
#include <stdio.h>
#include <stdlib.h>

/* Owns copies of the texts: the task may go while the call is under way. */
struct exchange {
    struct platform_call call;
    struct task *task;
    struct arena arena;
    struct slice private_key;
    char signature[SIGNATURE_HMAC];
};

static void wipe(struct slice s)
{
    if (s.len)
        explicit_bzero((void *)(uintptr_t)s.data, s.len);
}

static void exchange_free(struct exchange *x)
{
    platform_call_clear(&x->call);
    wipe(x->call.values[PLATFORM_SECRET]);
    wipe(x->call.values[PLATFORM_TOKEN]);
    wipe(x->private_key);
    arena_free(&x->arena);
    free(x);
}

static void cancel(struct task *t)
{
    struct exchange *x = t->op;
    platform_call_cancel(&x->call);
    exchange_free(x);
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    if (!text || !*text)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, lua_Integer n)
{
    lua_pushinteger(L, n);
    lua_setfield(L, -2, name);
}

static void set_flag(lua_State *L, const char *name, bool flag)
{
    lua_pushboolean(L, flag);
    lua_setfield(L, -2, name);
}

static void push_facts(lua_State *L, const struct platform_call *call)
{
    lua_createtable(L, 0, 8);
    set_integer(L, "errcode", call->errcode);
    set_integer(L, "status", call->status);
    set_integer(L, "attempts", (lua_Integer)call->attempts);
    lua_pushnumber(L, call->seconds);
    lua_setfield(L, -2, "seconds");
    set_flag(L, "ambiguous", call->ambiguous);
    set_flag(L, "refresh", call->refresh);
    set_text(L, "errmsg", call->errmsg);
}

static void set_field(lua_State *L, const struct platform_call *call,
                      const struct platform_field *field)
{
    const char *text = platform_answer_text(call, field->name);
    switch (field->kind) {
    case PLATFORM_NUMBER:
        set_integer(L, field->name, platform_answer_number(call, field->name));
        break;
    case PLATFORM_KEY_TEXT:
    case PLATFORM_KEY_BASE64:
    case PLATFORM_KEY_HEX:
        if (!*text)
            break;
        latchkey_keyring_push_key(L, slice_str(text));
        lua_setfield(L, -2, field->name);
        break;
    default:
        set_text(L, field->name, text);
    }
}

static int push_refusal(lua_State *L, const struct platform_call *call)
{
    lua_pushnil(L);
    lua_pushstring(L, platform_reason_name(call->reason));
    push_facts(L, call);
    return 3;
}

static int push_answer(lua_State *L, struct exchange *x)
{
    struct platform_call *call = &x->call;
    const struct platform_field *field = call->api->answer.fields;
    if (call->reason != PLATFORM_OK)
        return push_refusal(L, call);
    push_facts(L, call);
    for (; field && field->name; field++)
        if (field->kind == PLATFORM_PHONE ||
            field->kind == PLATFORM_SEALED_PHONE) {
            if (!latchkey_phone_set(L, call, field, x->private_key))
                return push_refusal(L, call);
        } else {
            set_field(L, call, field);
        }
    return 1;
}

/* The platform's number; where none came, in words why not. */
static void measure(const struct platform_call *call)
{
    static const char *const labels[] = { "platform", "api", "errcode", NULL };
    static const char *const which[] = { "platform", "api", NULL };
    static const double bounds[] = { .005, .01, .025, .05, .1, .25,
                                     .5,   1,   2.5,  5,   10 };
    struct metric *count = metrics_counter("latchkey_platform_requests_total",
                                           "Calls made to a platform.", labels);
    struct metric *seconds =
        metrics_histogram("latchkey_platform_request_duration_seconds",
                          "How long a platform took to answer.", which, bounds,
                          sizeof bounds / sizeof *bounds);
    char code[24];
    snprintf(code, sizeof code, "%ld", call->errcode);
    bool none = call->reason != PLATFORM_OK && !call->errcode;
    struct slice values[] = {
        slice_str(call->platform->name), slice_str(call->api->name),
        slice_str(none ? platform_reason_name(call->reason) : code)
    };
    metric_add(count, values, 1);
    metric_observe(seconds, values, call->seconds);
}

static void on_done(struct platform_call *call)
{
    struct exchange *x = call->user;
    struct task *t = x->task;
    measure(call);
    int n = push_answer(t->co, x);
    exchange_free(x);
    task_resume(t, n);
}

static struct slice copy_field(lua_State *L, struct arena *arena,
                               const char *name)
{
    lua_getfield(L, 1, name);
    struct slice s = vm_slice(L, -1);
    s = s.len ? arena_dup(arena, s) : SLICE("");
    lua_pop(L, 1);
    return s;
}

static unsigned number_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    lua_Number n = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return n > 0 && n < 1e9 ? (unsigned)n : 0;
}

/* The signature of the empty string, by the newest key. */
static void sign(lua_State *L, struct exchange *x)
{
    lua_getfield(L, 1, "key");
    struct session_key *key = latchkey_keyring_newest(L, -1);
    lua_pop(L, 1);
    if (!key)
        return;
    signature_hmac(keyring_text(key), SLICE(""), x->signature);
    x->call.values[PLATFORM_SIGNATURE] = slice_str(x->signature);
}

static void read_fields(lua_State *L, struct exchange *x)
{
    static const char *const names[PLATFORM_VALUES] = {
        [PLATFORM_APPID] = "appid",
        [PLATFORM_SECRET] = "secret",
        [PLATFORM_CODE] = "code",
        [PLATFORM_ANONYMOUS_CODE] = "anonymous_code",
        [PLATFORM_OPENID] = "openid",
        [PLATFORM_TOKEN] = "access_token",
        [PLATFORM_FORCE] = "force",
    };
    struct platform_call *call = &x->call;
    struct slice base = copy_field(L, &x->arena, "base");
    call->base = base.len ? base.data : NULL;
    for (int i = 0; i < PLATFORM_VALUES; i++)
        if (names[i])
            call->values[i] = copy_field(L, &x->arena, names[i]);
    x->private_key = copy_field(L, &x->arena, "private_key");
    sign(L, x);
    call->timeout_ms = number_field(L, "timeout");
    call->within_ms = number_field(L, "within");
    call->circuits = &api_of(L)->worker->circuits;
    call->on_done = on_done;
    call->user = x;
}

static int push_not_started(lua_State *L, enum err e)
{
    lua_pushnil(L);
    lua_pushstring(L, e == ERR_INVALID   ? "bad_request"
                      : e == ERR_CONNECT ? "platform_busy"
                                         : "platform_error");
    lua_createtable(L, 0, 1);
    set_text(L, "errmsg", err_text());
    return 3;
}

/* exchange.call{platform, api, base, appid, secret, code, anonymous_code,
 * openid, access_token, force = "true", key = a ring or a key, private_key,
 * timeout, within (ms)} -> {seconds, ... and the answer's fields: openid, key,
 * access_token, number, json ...}, or nil, reason, {errcode, errmsg,
 * ambiguous, refresh, ...}.  api is "code2session" where it is not given.
 * Waits. */
static int f_call(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "platform");
    const struct platform *platform =
        latchkey_driver_find(L, vm_check_slice(L, -1));
    luaL_argcheck(L, platform, 1, "no such platform");
    lua_getfield(L, 1, "api");
    const struct platform_api *api =
        lua_isnil(L, -1) ? platform->apis
                         : platform_api(platform, vm_check_slice(L, -1));
    luaL_argcheck(L, api, 1, "no such api");
    struct task *t = task_check(L);
    struct exchange *x = calloc(1, sizeof *x);
    if (!x)
        return vm_fail(L, "no memory");
    x->task = t;
    x->call.platform = platform;
    x->call.api = api;
    read_fields(L, x);
    enum err e = platform_call_start(api_of(L)->worker->client, &x->call);
    if (e == PENDING)
        return task_wait(t, cancel, x);
    exchange_free(x);
    return push_not_started(L, e);
}

static void set_hosts(lua_State *L, const struct platform *p)
{
    lua_createtable(L, 0, PLATFORM_HOSTS);
    for (int i = 0; i < PLATFORM_HOSTS; i++)
        set_text(L, platform_host_name((enum platform_host)i), p->hosts[i]);
    lua_setfield(L, -2, "hosts");
}

/* Does the answer take the policy's private_key? */
static bool is_sealed(const struct platform_api *api)
{
    const struct platform_field *field = api->answer.fields;
    for (; field && field->name; field++)
        if (field->kind == PLATFORM_SEALED_PHONE)
            return true;
    return false;
}

/* Is the call told whose it must be? */
static bool is_bound(const struct platform_api *api)
{
    const struct platform_param *param = api->params;
    for (; param && param->name; param++)
        if (param->value == PLATFORM_OPENID)
            return true;
    return false;
}

static void set_apis(lua_State *L, const struct platform *p)
{
    lua_newtable(L);
    for (const struct platform_api *api = p->apis; api->name; api++) {
        lua_createtable(L, 0, 4);
        set_flag(L, "bound", is_bound(api));
        set_text(L, "host", platform_host_name(api->host));
        set_text(L, "token", api->token);
        set_flag(L, "sealed", is_sealed(api));
        lua_setfield(L, -2, api->name);
    }
    lua_setfield(L, -2, "apis");
}

/* exchange.defaults(platform) -> {name, base, hosts, apis = {name = {host,
 * token, sealed, bound}}, code_life, server_check}, or nil where there is none.
 */
static int f_defaults(lua_State *L)
{
    const struct platform *p = latchkey_driver_find(L, vm_check_slice(L, 1));
    if (!p)
        return 0;
    lua_createtable(L, 0, 8);
    set_text(L, "name", p->name);
    set_text(L, "base", p->hosts[PLATFORM_APP]);
    set_hosts(L, p);
    set_apis(L, p);
    set_integer(L, "code_life", (lua_Integer)p->code_life);
    set_flag(L, "server_check", p->server_check);
    return 1;
}

void latchkey_exchange_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "call", f_call },
                                      { "defaults", f_defaults },
                                      { NULL, NULL } };
    (void)L;
    api_preload(vm, "latchkey.exchange", funcs);
}
