/* modules.c -- where `require` finds our own Lua modules. */
#include "api/api.h"

/* Modules of OpenResty that stand in for nginx's C: a copy of theirs that the
 * machine may have cannot work here, so ours come before package.path. */
static bool is_ours(struct slice name)
{
    return slice_starts(name, SLICE("resty.core")) ||
           slice_starts(name, SLICE("ngx."));
}

/* Libraries require a part of resty.core for what it puts into ngx: that is
 * there already, so the part is a table that says so. */
static int f_part(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "0.1.25");
    lua_setfield(L, -2, "version");
    return 1;
}

/* A loader: pushes the chunk of one of ours, or why it is not. */
static int f_search(lua_State *L)
{
    struct slice name = vm_check_slice(L, 1);
    const char *own = api_of(L)->worker->process->lua_path;
    if (!own || !is_ours(name)) {
        lua_pushliteral(L, "");
        return 1;
    }
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchpath");
    lua_pushvalue(L, 1);
    lua_pushstring(L, own);
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2)) {
        if (slice_starts(name, SLICE("resty.core.")))
            vm_push_function(vm_of(L), L, f_part);
        else
            lua_pushliteral(L, "");
        return 1;
    }
    if (luaL_loadfile(L, lua_tostring(L, -2)))
        return luaL_error(L, "error loading module '%s':\n\t%s", name.data,
                          lua_tostring(L, -1));
    return 1;
}

void modules_open(struct vm *vm, lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaders");
    int n = (int)lua_objlen(L, -1);
    for (int i = n; i > 1; i--) { /* package.preload stays the first */
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    vm_push_function(vm, L, f_search);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}
