/* latchkey_exchange.c -- `require "latchkey.exchange"`: a login code traded
 * with its platform. */
#include "api/api.h"
#include "api/latchkey_driver.h"
#include "api/latchkey_keyring.h"
#include "base/metrics.h"
#include "platform/platform_login.h"
#include <stdio.h>
#include <stdlib.h>

/* Owns copies of the texts: the task may go while the call is under way. */
struct exchange {
    struct platform_login login;
    struct task *task;
    struct arena arena;
};

static void exchange_free(struct exchange *x)
{
    platform_login_clear(&x->login);
    explicit_bzero((void *)(uintptr_t)x->login.secret.data,
                   x->login.secret.len);
    arena_free(&x->arena);
    free(x);
}

static void cancel(struct task *t)
{
    struct exchange *x = t->op;
    platform_login_cancel(&x->login);
    exchange_free(x);
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    if (!*text)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void push_facts(lua_State *L, const struct platform_login *login)
{
    lua_createtable(L, 0, 8);
    lua_pushinteger(L, login->errcode);
    lua_setfield(L, -2, "errcode");
    lua_pushinteger(L, login->status);
    lua_setfield(L, -2, "status");
    lua_pushinteger(L, (lua_Integer)login->attempts);
    lua_setfield(L, -2, "attempts");
    lua_pushnumber(L, login->seconds);
    lua_setfield(L, -2, "seconds");
    lua_pushboolean(L, login->ambiguous);
    lua_setfield(L, -2, "ambiguous");
    set_text(L, "errmsg", login->errmsg);
}

static int push_answer(lua_State *L, const struct platform_login *login)
{
    if (login->reason != PLATFORM_OK) {
        lua_pushnil(L);
        lua_pushstring(L, platform_reason_name(login->reason));
        push_facts(L, login);
        return 3;
    }
    push_facts(L, login);
    set_text(L, "openid", login->openid);
    set_text(L, "unionid", login->unionid);
    set_text(L, "anonymous_openid", login->anonymous_openid);
    if (*login->session_key) {
        latchkey_keyring_push_key(L, slice_str(login->session_key));
        lua_setfield(L, -2, "key");
    }
    return 1;
}

static void measure(const struct platform_login *login)
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
    snprintf(code, sizeof code, "%ld", login->errcode);
    struct slice values[] = { slice_str(login->platform->name),
                              SLICE("code2session"), slice_str(code) };
    metric_add(count, values, 1);
    metric_observe(seconds, values, login->seconds);
}

static void on_done(struct platform_login *login)
{
    struct exchange *x = login->user;
    struct task *t = x->task;
    measure(login);
    int n = push_answer(t->co, login);
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

static void read_fields(lua_State *L, struct exchange *x)
{
    struct platform_login *login = &x->login;
    struct slice base = copy_field(L, &x->arena, "base");
    login->base = base.len ? base.data : NULL;
    login->appid = copy_field(L, &x->arena, "appid");
    login->secret = copy_field(L, &x->arena, "secret");
    login->code = copy_field(L, &x->arena, "code");
    login->anonymous_code = copy_field(L, &x->arena, "anonymous_code");
    lua_getfield(L, 1, "timeout");
    login->timeout_ms = (unsigned)lua_tointeger(L, -1);
    lua_pop(L, 1);
    login->on_done = on_done;
    login->user = x;
}

/* exchange.login{platform, base, appid, secret, code, anonymous_code,
 * timeout (ms)} -> {openid, unionid, anonymous_openid, key, seconds, ...}, or
 * nil, reason, {errcode, errmsg, ambiguous, ...}.  Waits. */
static int f_login(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "platform");
    const struct platform *platform =
        latchkey_driver_find(L, vm_check_slice(L, -1));
    luaL_argcheck(L, platform, 1, "no such platform");
    struct task *t = task_check(L);
    struct exchange *x = calloc(1, sizeof *x);
    if (!x)
        return vm_fail(L, "no memory");
    x->task = t;
    x->login.platform = platform;
    read_fields(L, x);
    enum err e = platform_login_start(api_of(L)->worker->client, &x->login);
    if (e == PENDING)
        return task_wait(t, cancel, x);
    exchange_free(x);
    return vm_fail(L, e == ERR_INVALID ? "bad_request" : err_name(e));
}

/* exchange.defaults(platform) -> {name, base, code_life, server_check}, or
 * nil where there is no such platform. */
static int f_defaults(lua_State *L)
{
    const struct platform *p = latchkey_driver_find(L, vm_check_slice(L, 1));
    if (!p)
        return 0;
    lua_createtable(L, 0, 4);
    set_text(L, "name", p->name);
    set_text(L, "base", p->base);
    lua_pushinteger(L, (lua_Integer)p->code_life);
    lua_setfield(L, -2, "code_life");
    lua_pushboolean(L, p->server_check);
    lua_setfield(L, -2, "server_check");
    return 1;
}

void latchkey_exchange_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "login", f_login },
                                      { "defaults", f_defaults },
                                      { NULL, NULL } };
    (void)L;
    api_preload(vm, "latchkey.exchange", funcs);
}
