/* ngx_config.c -- ngx.config: where and as what we run. */
#include "api/api.h"

static int f_prefix(lua_State *L)
{
    lua_pushstring(L, api_of(L)->conf->prefix);
    return 1;
}

/* Scripts look here for nginx's modules; these two are what we stand for. */
static int f_nginx_configure(lua_State *L)
{
    lua_pushliteral(L, " --with-http_ssl_module --with-threads");
    return 1;
}

void ngx_config_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "prefix", f_prefix },
                                      { "nginx_configure", f_nginx_configure },
                                      { NULL, NULL } };
    /* The versions whose behaviour scripts may expect: nginx 1.22.1 with
     * lua-nginx-module 0.10.23. */
    enum { NGINX_VERSION = 1022001, NGX_LUA_VERSION = 10023 };
    lua_createtable(L, 0, 8);
    vm_register(vm, L, funcs);
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "debug");
    lua_pushliteral(L, "http");
    lua_setfield(L, -2, "subsystem");
    lua_pushinteger(L, NGINX_VERSION);
    lua_setfield(L, -2, "nginx_version");
    lua_pushinteger(L, NGX_LUA_VERSION);
    lua_setfield(L, -2, "ngx_lua_version");
    lua_setfield(L, -2, "config");
}
