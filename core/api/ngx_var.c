/* ngx_var.c -- ngx.var: variables by name, and captures by number. */
#include "api/coerce.h"
#include "api/request.h"

static int get_capture(lua_State *L, struct request *r, int group)
{
    size_t *pair = r->ovector + 2 * group;
    if (group < 1 || (unsigned)group >= r->captures || pair[0] == REGEX_UNSET)
        lua_pushnil(L);
    else
        vm_push(L, SLICE_OF(r->captured.data + pair[0], pair[1] - pair[0]));
    return 1;
}

enum { LONGEST = 128 };

/* The name at index 2 in lower case; a longer one as it is. */
static struct slice check_name(lua_State *L, char text[LONGEST])
{
    if (lua_type(L, 2) != LUA_TSTRING)
        luaL_error(L, "bad variable name");
    struct slice name = vm_slice(L, 2);
    for (size_t i = 0; i < name.len && i < LONGEST; i++)
        text[i] = name.data[i] >= 'A' && name.data[i] <= 'Z'
                      ? (char)(name.data[i] | 0x20)
                      : name.data[i];
    if (name.len <= LONGEST)
        name.data = text;
    return name;
}

static int f_get(lua_State *L)
{
    struct request *r = api_request(L);
    if (lua_type(L, 2) == LUA_TNUMBER)
        return get_capture(L, r, (int)lua_tointeger(L, 2));
    char text[LONGEST];
    struct slice name = check_name(L, text);
    struct buf value = { 0 };
    if (variable_get(r, name, &value))
        vm_push(L, buf_slice(&value));
    else
        lua_pushnil(L);
    buf_free(&value);
    return 1;
}

static int f_set(lua_State *L)
{
    struct request *r = api_request(L);
    char text[LONGEST];
    struct slice name = check_name(L, text), value = SLICE_NONE;
    if (!lua_isnil(L, 3))
        value = coerce_text(L, 3);
    if (variable_set(r, name, value))
        return 0;
    if (!variable_is_builtin(name))
        return luaL_error(L,
                          "variable \"%s\" not found for writing; maybe "
                          "it is a built-in variable that is not "
                          "changeable or you forgot to use \"set $%s '';\" "
                          "in the config file to define it first",
                          lua_tostring(L, 2), lua_tostring(L, 2));
    return luaL_error(L, "variable \"%s\" not changeable", lua_tostring(L, 2));
}

void ngx_var_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg meta[] = { { "__index", f_get },
                                     { "__newindex", f_set },
                                     { NULL, NULL } };
    lua_newtable(L);
    lua_createtable(L, 0, 2);
    vm_register(vm, L, meta);
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "var");
}
