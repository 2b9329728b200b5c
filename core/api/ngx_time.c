/* ngx_time.c -- ngx.now, ngx.today, ngx.http_time and the like. */
#include "api/api.h"
#include "base/clock.h"
#include <math.h>

/* Nothing is cached that ngx.update_time would have to renew: the clock is
 * read without a system call. */
static int f_now(lua_State *L)
{
    lua_pushnumber(L, clock_now());
    return 1;
}

static int f_time(lua_State *L)
{
    lua_pushnumber(L, floor(clock_now()));
    return 1;
}

static int f_update_time(lua_State *L)
{
    (void)L;
    return 0;
}

static int push_local(lua_State *L, bool utc, size_t len)
{
    char text[CLOCK_LOCAL];
    clock_local((time_t)clock_now(), utc, text);
    lua_pushlstring(L, text, len);
    return 1;
}

static int f_today(lua_State *L)
{
    return push_local(L, false, strlen("2014-08-22"));
}

static int f_localtime(lua_State *L)
{
    return push_local(L, false, CLOCK_LOCAL - 1);
}

static int f_utctime(lua_State *L)
{
    return push_local(L, true, CLOCK_LOCAL - 1);
}

/* Far beyond what the clock can write, and safe to convert. */
static time_t check_seconds(lua_State *L)
{
    static const lua_Number most = 1e15;
    if (lua_type(L, 1) != LUA_TNUMBER)
        luaL_error(L, "number argument only");
    lua_Number sec = lua_tonumber(L, 1);
    return sec != sec ? 0 : (time_t)fmax(-most, fmin(sec, most));
}

static int f_cookie_time(lua_State *L)
{
    char text[CLOCK_COOKIE];
    clock_cookie(check_seconds(L), text);
    lua_pushstring(L, text);
    return 1;
}

static int f_http_time(lua_State *L)
{
    char text[CLOCK_HTTP];
    clock_http(check_seconds(L), text);
    lua_pushstring(L, text);
    return 1;
}

static int f_parse_http_time(lua_State *L)
{
    time_t when;
    if (lua_type(L, 1) != LUA_TSTRING)
        return luaL_error(L, "string argument only");
    if (clock_parse_http(vm_slice(L, 1), &when))
        lua_pushnumber(L, (lua_Number)when);
    else
        lua_pushnil(L);
    return 1;
}

/* ---- require "resty.core.time": a clock that nobody sets ---------------- */

static int f_monotonic_msec(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)clock_ticks());
    return 1;
}

static int f_monotonic_time(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)clock_ticks() / 1000);
    return 1;
}

void ngx_time_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg core[] = { { "monotonic_msec", f_monotonic_msec },
                                     { "monotonic_time", f_monotonic_time },
                                     { NULL, NULL } };
    static const luaL_Reg funcs[] = { { "now", f_now },
                                      { "time", f_time },
                                      { "update_time", f_update_time },
                                      { "today", f_today },
                                      { "localtime", f_localtime },
                                      { "utctime", f_utctime },
                                      { "cookie_time", f_cookie_time },
                                      { "http_time", f_http_time },
                                      { "parse_http_time", f_parse_http_time },
                                      { NULL, NULL } };
    vm_register(vm, L, funcs);
    api_preload(vm, "resty.core.time", core);
}
