/* ngx_log.c -- ngx.log(level, ...), print(...) and the levels' names. */
#include "api/ngx_log.h"
#include "base/log.h"
#include "base/log_capture.h"

/* Makes each argument from index first on a text, in its slot.  Arguments are
 * counted without the level, as OpenResty does. */
static void make_texts(lua_State *L, int first)
{
    int top = lua_gettop(L);
    for (int i = first; i <= top; i++) {
        int type = lua_type(L, i), arg = i - first + 1;
        if (type == LUA_TNIL) {
            lua_pushliteral(L, "nil");
        } else if (type == LUA_TBOOLEAN) {
            lua_pushstring(L, lua_toboolean(L, i) ? "true" : "false");
        } else if (type == LUA_TLIGHTUSERDATA && !lua_touserdata(L, i)) {
            lua_pushliteral(L, "null");
        } else if (type == LUA_TTABLE) {
            if (!luaL_callmeta(L, i, "__tostring"))
                luaL_argerror(L, arg,
                              "expected table to have __tostring metamethod");
        } else if (type == LUA_TSTRING || type == LUA_TNUMBER) {
            lua_tostring(L, i);
            continue;
        } else {
            luaL_argerror(L, arg,
                          lua_pushfstring(L,
                                          "string, number, boolean, or nil "
                                          "expected, got %s",
                                          lua_typename(L, type)));
        }
        lua_replace(L, i);
    }
}

/* "[lua] CHUNK:LINE: FUNC(): ", of the function that called us. */
static void add_place(lua_State *L, struct buf *text)
{
    lua_Debug at;
    buf_add_str(text, "[lua] ");
    if (!lua_getstack(L, 1, &at) || !lua_getinfo(L, "Snl", &at))
        return;
    const char *slash = strrchr(at.short_src, '/');
    buf_addf(text, "%s:%d: ", slash ? slash + 1 : at.short_src,
             at.currentline > 0 ? at.currentline : at.linedefined);
    if (*at.namewhat && *at.what == 'L')
        buf_addf(text, "%s(): ", at.name);
}

void ngx_log_write(const struct request *r, const char *context,
                   enum log_level level, struct buf *text)
{
    if (r && r->phase == CONF_LOG)
        buf_add_str(text, " while logging request");
    if (r) {
        request_log(r, level, buf_slice(text));
        return;
    }
    /* These run outside everything, and nginx names no context. */
    if (*context && strcmp(context, "init_by_lua*") &&
        strcmp(context, "exit_worker_by_lua*"))
        buf_addf(text, ", context: %s", context);
    log_line(level, 0, buf_slice(text), SLICE_NONE);
}

static int log_from(lua_State *L, enum log_level level, int first)
{
    struct vm *vm = vm_of(L);
    struct buf text = { 0 };
    if (!log_enabled(level))
        return 0;
    make_texts(L, first);
    add_place(L, &text);
    for (int i = first; i <= lua_gettop(L); i++)
        buf_add(&text, vm_slice(L, i));
    ngx_log_write(api_request_or_null(L),
                  vm->phase     ? vm->phase
                  : vm->running ? vm->running->context
                                : "",
                  level, &text);
    buf_free(&text);
    return 0;
}

static int f_log(lua_State *L)
{
    int level = (int)luaL_checkinteger(L, 1);
    if (level < LOG_STDERR || level > LOG_DEBUG)
        return luaL_argerror(L, 1,
                             lua_pushfstring(L, "bad log level: %d", level));
    return log_from(L, (enum log_level)level, 2);
}

static int f_print(lua_State *L)
{
    return log_from(L, LOG_NOTICE, 1);
}

/* ---- require "ngx.errlog" ----------------------------------------------- */

/* raw_log(level, text): without the place in the script. */
static int f_raw_log(lua_State *L)
{
    struct vm *vm = vm_of(L);
    if (lua_type(L, 1) != LUA_TNUMBER)
        return luaL_error(L, "bad argument #1 to 'raw_log' (must be a "
                             "number)");
    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "bad argument #2 to 'raw_log' (must be a "
                             "string)");
    lua_Integer level = lua_tointeger(L, 1);
    if (level < LOG_STDERR || level > LOG_DEBUG)
        return luaL_error(L, "bad log level");
    if (!log_enabled((enum log_level)level))
        return 0;
    struct buf text = { 0 };
    buf_add(&text, vm_slice(L, 2));
    ngx_log_write(api_request_or_null(L),
                  vm->phase     ? vm->phase
                  : vm->running ? vm->running->context
                                : "",
                  (enum log_level)level, &text);
    buf_free(&text);
    return 0;
}

/* The level of error_log: the last that is written. */
static int f_sys_level(lua_State *L)
{
    int level = LOG_DEBUG;
    while (level > LOG_STDERR && !log_enabled((enum log_level)level))
        level--;
    lua_pushinteger(L, level);
    return 1;
}

static const char not_set[] = "directive \"lua_capture_error_log\" is not set";

static int f_set_filter_level(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TNUMBER)
        return luaL_error(L, "missing \"level\" argument");
    lua_Integer level = lua_tointeger(L, 1);
    if (level < LOG_STDERR || level > LOG_DEBUG)
        return luaL_error(L, "bad log level: %d", (int)level);
    if (!log_capture_is_open())
        return vm_fail(L, not_set);
    log_capture_filter((enum log_level)level);
    lua_pushboolean(L, true);
    return 1;
}

/* get_logs(max, res): { level, time, line, ... }, no more than max of them, and
 * out of what is kept. */
static int f_get_logs(lua_State *L)
{
    lua_Integer max = luaL_optinteger(L, 1, 0);
    struct log_captured line;
    int n = 0;
    if (!log_capture_is_open())
        return vm_fail(L, not_set);
    lua_settop(L, 2);
    if (!lua_istable(L, 2))
        lua_newtable(L);
    while ((max <= 0 || n / 3 < max) && log_capture_take(&line)) {
        lua_pushinteger(L, line.level);
        lua_rawseti(L, -2, ++n);
        lua_pushnumber(L, (lua_Number)line.msec / 1000);
        lua_rawseti(L, -2, ++n);
        vm_push(L, line.text);
        lua_rawseti(L, -2, ++n);
    }
    lua_pushnil(L); /* a table of before may have had more */
    lua_rawseti(L, -2, ++n);
    return 1;
}

static void open_errlog(struct vm *vm)
{
    static const luaL_Reg funcs[] = { { "raw_log", f_raw_log },
                                      { "get_sys_filter_level", f_sys_level },
                                      { "set_filter_level",
                                        f_set_filter_level },
                                      { "get_logs", f_get_logs },
                                      { NULL, NULL } };
    api_preload(vm, "ngx.errlog", funcs);
}

void ngx_log_open(struct vm *vm, lua_State *L)
{
    static const char *const levels[] = { "STDERR", "EMERG", "ALERT",
                                          "CRIT",   "ERR",   "WARN",
                                          "NOTICE", "INFO",  "DEBUG" };
    for (int i = LOG_STDERR; i <= LOG_DEBUG; i++) {
        lua_pushinteger(L, i);
        lua_setfield(L, -2, levels[i]);
    }
    vm_push_function(vm, L, f_log);
    lua_setfield(L, -2, "log");
    open_errlog(vm);
    struct api *api = vm->host;
    if (api->worker->process->console)
        return; /* `run`: print is Lua's own */
    vm_push_function(vm, L, f_print);
    lua_setglobal(L, "print");
}
