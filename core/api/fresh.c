/* fresh.c -- lua_code_cache off: what requests loaded and what they made
 * global is forgotten before the next, so that files are read again.
 *
 * It is for writing scripts, not for serving: requests that run at the same
 * time lose it too. */
#include "api/api.h"

enum { LOADED = 1, GLOBALS };

static void push_watched(lua_State *L, int which)
{
    if (which == GLOBALS) {
        lua_pushvalue(L, LUA_GLOBALSINDEX);
        return;
    }
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaded");
    lua_remove(L, -2);
}

static void copy(lua_State *L, int from, int to)
{
    lua_pushnil(L);
    while (lua_next(L, from)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, to);
    }
}

void fresh_note(struct api *api)
{
    lua_State *L = api->vm->L;
    int top = lua_gettop(L);
    lua_newtable(L);
    for (int which = LOADED; which <= GLOBALS; which++) {
        lua_newtable(L);
        push_watched(L, which);
        copy(L, top + 3, top + 2);
        lua_pop(L, 1);
        lua_rawseti(L, top + 1, which);
    }
    api->fresh_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* now[key] = nil for all that kept has not. */
static void forget(lua_State *L, int now, int kept)
{
    lua_pushnil(L);
    while (lua_next(L, now)) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_rawget(L, kept);
        bool known = !lua_isnil(L, -1);
        lua_pop(L, 1);
        if (known)
            continue;
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, now);
    }
}

void fresh_start(struct api *api)
{
    lua_State *L = api->vm->L;
    int top = lua_gettop(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, api->fresh_ref);
    for (int which = LOADED; which <= GLOBALS; which++) {
        lua_rawgeti(L, top + 1, which);
        push_watched(L, which);
        forget(L, top + 3, top + 2);
        lua_pop(L, 2);
    }
    lua_settop(L, top);
}
