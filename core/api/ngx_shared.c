/* ngx_shared.c -- ngx.shared.NAME: dictionaries that all workers share.
 *
 * A dictionary is a table {pointer}, as OpenResty has it: type() says
 * "table", and methods are found through its metatable. */
#include "api/api.h"
#include "api/coerce.h"
#include "base/buf.h"
#include "store/shdict.h"

enum { KEYS_MAX = 1024 };

/* Values on their way out of a dictionary.  One per thread: nothing that a
 * script does comes between filling and pushing it.  Freed with each vm. */
static _Thread_local struct buf value_text;

/* Any table can be passed for a dictionary, so its pointer is looked for
 * among those that there are. */
static struct shdict *check_dict(lua_State *L)
{
    const struct api_generation *g = api_of(L)->generation;
    if (lua_istable(L, 1)) {
        lua_rawgeti(L, 1, 1);
        const void *p = lua_touserdata(L, -1);
        lua_pop(L, 1);
        const struct conf_shared_dict *d = g->conf->shared_dicts;
        for (unsigned i = 0; p && d; d = d->next, i++)
            if (g->dicts[i] == p)
                return g->dicts[i];
    }
    luaL_error(L, "bad \"zone\" argument");
    return NULL;
}

/* The key at index 2, or why it is none. */
static const char *take_key(lua_State *L, struct slice *key)
{
    if (lua_isnoneornil(L, 2))
        return "nil key";
    if (lua_type(L, 2) == LUA_TBOOLEAN) { /* coerce_text makes false "" */
        lua_pushstring(L, lua_toboolean(L, 2) ? "true" : "false");
        lua_replace(L, 2);
    }
    *key = coerce_text(L, 2);
    return !key->len                   ? "empty key"
           : key->len > SHDICT_KEY_MAX ? "key too long"
                                       : NULL;
}

/* Seconds to whole milliseconds. */
static uint64_t to_msec(lua_Number sec)
{
    double msec = sec * 1000;
    return msec >= 9e15 ? (uint64_t)9e15 : (uint64_t)msec;
}

/* ---- reading ------------------------------------------------------------ */

static void push_value(lua_State *L, const struct shdict_value *v)
{
    if (v->type == SHDICT_STRING)
        vm_push(L, v->string);
    else if (v->type == SHDICT_NUMBER)
        lua_pushnumber(L, v->number);
    else if (v->type == SHDICT_BOOLEAN)
        lua_pushboolean(L, v->boolean);
    else
        lua_pushnil(L);
}

/* What an unusually large value took is given back. */
static void spare_memory(void)
{
    enum { KEEP = 64 * 1024 };
    if (value_text.cap > KEEP)
        buf_free(&value_text);
}

/* Pushes the value and tells how many results there are so far: the fault's
 * two, nil, or the value alone (1, and *found). */
static int read_value(lua_State *L, struct shdict_value *v, bool *stale,
                      bool *found)
{
    struct slice key;
    struct shdict *dict = check_dict(L);
    const char *fault = take_key(L, &key);
    if (fault)
        return vm_fail(L, fault);
    enum err e = stale ? shdict_get_stale(dict, key, v, stale, &value_text)
                       : shdict_get(dict, key, v, &value_text);
    if (e != OK && e != ERR_NOT_FOUND)
        return vm_fail(L, err_text());
    *found = e == OK;
    if (*found)
        push_value(L, v);
    else
        lua_pushnil(L);
    spare_memory();
    return 1;
}

static int f_get(lua_State *L)
{
    struct shdict_value v;
    bool found = false;
    int n = read_value(L, &v, NULL, &found);
    if (!found || !v.flags)
        return n;
    lua_pushnumber(L, v.flags);
    return 2;
}

static int f_get_stale(lua_State *L)
{
    struct shdict_value v;
    bool stale, found = false;
    int n = read_value(L, &v, &stale, &found);
    if (!found)
        return n;
    if (v.flags)
        lua_pushnumber(L, v.flags);
    else
        lua_pushnil(L);
    lua_pushboolean(L, stale);
    return 3;
}

static int f_ttl(lua_State *L)
{
    struct slice key;
    int64_t ttl;
    struct shdict *dict = check_dict(L);
    const char *fault = take_key(L, &key);
    if (fault)
        return vm_fail(L, fault);
    if (shdict_ttl(dict, key, &ttl) != OK)
        return vm_fail(L, "not found");
    lua_pushnumber(L, (lua_Number)ttl / 1000);
    return 1;
}

/* ---- writing ------------------------------------------------------------ */

/* Seconds at index, absent: 0. */
static lua_Number check_exptime(lua_State *L, int index)
{
    if (!lua_toboolean(L, index))
        return 0;
    lua_Number sec = luaL_checknumber(L, index);
    if (!(sec >= 0))
        luaL_error(L, "bad \"exptime\" argument");
    return sec;
}

static bool take_value(lua_State *L, int index, struct shdict_value *v)
{
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        v->type = SHDICT_STRING;
        v->string = vm_slice(L, index);
        return true;
    case LUA_TNUMBER:
        v->type = SHDICT_NUMBER;
        v->number = lua_tonumber(L, index);
        return true;
    case LUA_TBOOLEAN:
        v->type = SHDICT_BOOLEAN;
        v->boolean = lua_toboolean(L, index);
        return true;
    case LUA_TNIL:
    case LUA_TNONE:
        v->type = SHDICT_NIL;
        return true;
    default:
        return false;
    }
}

/* dict:set(key, value, exptime, flags) and its like. */
static int store(lua_State *L, unsigned how)
{
    struct slice key;
    struct shdict_value v = { .flags = 0 };
    bool forcible = false;
    struct shdict *dict = check_dict(L);
    lua_settop(L, 5);
    lua_Number sec = check_exptime(L, 4);
    v.flags = (uint32_t)(int64_t)luaL_optnumber(L, 5, 0);
    const char *fault = take_key(L, &key);
    if (!fault && !take_value(L, 3, &v))
        fault = "bad value type";
    if (fault)
        return vm_fail(L, fault);
    enum err e = shdict_store(dict, how, key, &v, to_msec(sec), &forcible);
    lua_pushboolean(L, e == OK);
    if (e == OK)
        lua_pushnil(L);
    else
        lua_pushstring(L, err_text());
    lua_pushboolean(L, forcible);
    return 3;
}

static int f_set(lua_State *L)
{
    return store(L, SHDICT_SET);
}

static int f_safe_set(lua_State *L)
{
    return store(L, SHDICT_SET | SHDICT_SAFE);
}

static int f_add(lua_State *L)
{
    return store(L, SHDICT_ADD);
}

static int f_safe_add(lua_State *L)
{
    return store(L, SHDICT_ADD | SHDICT_SAFE);
}

static int f_replace(lua_State *L)
{
    return store(L, SHDICT_REPLACE);
}

static int f_delete(lua_State *L)
{
    lua_settop(L, 2);
    return store(L, SHDICT_SET); /* of nil */
}

/* A number at index, or a text that reads as one. */
static lua_Number check_init(lua_State *L, int index, const char *name)
{
    if (!lua_isnumber(L, index))
        luaL_error(L, "bad %s arg: number expected, got %s", name,
                   luaL_typename(L, index));
    return lua_tonumber(L, index);
}

static lua_Number check_init_ttl(lua_State *L, bool has_init)
{
    if (lua_isnoneornil(L, 5))
        return 0;
    lua_Number ttl = check_init(L, 5, "init_ttl");
    if (!(ttl >= 0))
        luaL_error(L, "bad \"init_ttl\" argument");
    if (!has_init)
        luaL_error(L, "must provide \"init\" when providing \"init_ttl\"");
    return ttl;
}

/* dict:incr(key, value, init, init_ttl) */
static int f_incr(lua_State *L)
{
    struct slice key;
    double sum;
    bool forcible = false;
    struct shdict *dict = check_dict(L);
    lua_settop(L, 5);
    const char *fault = take_key(L, &key);
    if (fault)
        return vm_fail(L, fault);
    if (!lua_isnumber(L, 3))
        return luaL_error(L, "cannot convert 'nil' to 'double'");
    bool has_init = lua_toboolean(L, 4);
    double init = has_init ? check_init(L, 4, "init") : 0;
    lua_Number ttl = check_init_ttl(L, has_init);
    enum err e =
        shdict_incr(dict, key, lua_tonumber(L, 3), has_init ? &init : NULL,
                    to_msec(ttl), &sum, &forcible);
    if (e != OK)
        return vm_fail(L, err_text());
    lua_pushnumber(L, sum);
    if (!has_init)
        return 1;
    lua_pushnil(L);
    lua_pushboolean(L, forcible);
    return 3;
}

static int f_expire(lua_State *L)
{
    struct slice key;
    struct shdict *dict = check_dict(L);
    if (!lua_toboolean(L, 3))
        return luaL_error(L, "bad \"exptime\" argument");
    lua_Number sec = check_exptime(L, 3);
    const char *fault = take_key(L, &key);
    if (fault)
        return vm_fail(L, fault);
    if (shdict_expire(dict, key, to_msec(sec)) != OK)
        return vm_fail(L, "not found");
    lua_pushboolean(L, true);
    return 1;
}

/* ---- lists -------------------------------------------------------------- */

static int push(lua_State *L, bool front)
{
    struct slice key;
    size_t length;
    struct shdict_value v = { .flags = 0 };
    struct shdict *dict = check_dict(L);
    lua_settop(L, 3);
    const char *fault = take_key(L, &key);
    if (!fault && (!take_value(L, 3, &v) ||
                   (v.type != SHDICT_STRING && v.type != SHDICT_NUMBER)))
        fault = "bad value type";
    if (!fault && shdict_push(dict, key, &v, front, &length) != OK)
        fault = err_text();
    if (fault)
        return vm_fail(L, fault);
    lua_pushnumber(L, (lua_Number)length);
    return 1;
}

/* dict:lpush(key, value): the new length. */
static int f_lpush(lua_State *L)
{
    return push(L, true);
}

static int f_rpush(lua_State *L)
{
    return push(L, false);
}

static int pop(lua_State *L, bool front)
{
    struct slice key;
    struct shdict_value v = { .type = SHDICT_NIL };
    struct shdict *dict = check_dict(L);
    const char *fault = take_key(L, &key);
    if (fault)
        return vm_fail(L, fault);
    enum err e = shdict_pop(dict, key, front, &v, &value_text);
    if (e != OK && e != ERR_NOT_FOUND)
        return vm_fail(L, err_text());
    push_value(L, &v);
    spare_memory();
    return 1;
}

static int f_lpop(lua_State *L)
{
    return pop(L, true);
}

static int f_rpop(lua_State *L)
{
    return pop(L, false);
}

static int f_llen(lua_State *L)
{
    struct slice key;
    size_t length;
    struct shdict *dict = check_dict(L);
    const char *fault = take_key(L, &key);
    if (!fault && shdict_length(dict, key, &length) != OK)
        fault = err_text();
    if (fault)
        return vm_fail(L, fault);
    lua_pushnumber(L, (lua_Number)length);
    return 1;
}

/* ---- the whole dictionary ----------------------------------------------- */

static size_t check_max(lua_State *L, lua_Integer otherwise)
{
    int n = lua_gettop(L);
    if (n != 1 && n != 2)
        luaL_error(L, "expecting 1 or 2 argument(s), but saw %d", n);
    lua_Integer max = n == 2 ? luaL_checkinteger(L, 2) : otherwise;
    return max < 0 ? 0 : (size_t)max;
}

static int f_get_keys(lua_State *L)
{
    struct shdict *dict = check_dict(L);
    size_t max = check_max(L, KEYS_MAX);
    if (shdict_keys(dict, max, (buf_clear(&value_text), &value_text)) != OK)
        return vm_fail(L, err_text());
    struct slice rest = buf_slice(&value_text), key;
    lua_newtable(L);
    for (int i = 1; shdict_key_next(&rest, &key); i++) {
        vm_push(L, key);
        lua_rawseti(L, -2, i);
    }
    spare_memory();
    return 1;
}

static int f_flush_all(lua_State *L)
{
    shdict_flush_all(check_dict(L));
    return 0;
}

static int f_flush_expired(lua_State *L)
{
    struct shdict *dict = check_dict(L);
    lua_pushnumber(L, (lua_Number)shdict_flush_expired(dict, check_max(L, 0)));
    return 1;
}

static int f_capacity(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)shdict_capacity(check_dict(L)));
    return 1;
}

static int f_free_space(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)shdict_free_space(check_dict(L)));
    return 1;
}

static int f_free_text(lua_State *L)
{
    (void)L;
    buf_free(&value_text);
    return 0;
}

/* Something to be collected when the state is closed. */
static void watch_close(struct vm *vm, lua_State *L)
{
    lua_newuserdata(L, 0);
    lua_newtable(L);
    vm_push_function(vm, L, f_free_text);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    luaL_ref(L, LUA_REGISTRYINDEX);
}

static const luaL_Reg methods[] = { { "get", f_get },
                                    { "get_stale", f_get_stale },
                                    { "ttl", f_ttl },
                                    { "set", f_set },
                                    { "safe_set", f_safe_set },
                                    { "add", f_add },
                                    { "safe_add", f_safe_add },
                                    { "replace", f_replace },
                                    { "delete", f_delete },
                                    { "incr", f_incr },
                                    { "expire", f_expire },
                                    { "lpush", f_lpush },
                                    { "rpush", f_rpush },
                                    { "lpop", f_lpop },
                                    { "rpop", f_rpop },
                                    { "llen", f_llen },
                                    { "get_keys", f_get_keys },
                                    { "flush_all", f_flush_all },
                                    { "flush_expired", f_flush_expired },
                                    { "capacity", f_capacity },
                                    { "free_space", f_free_space },
                                    { NULL, NULL } };

void ngx_shared_open(struct vm *vm, lua_State *L)
{
    static const char class[] = "ngx.shared";
    const struct api *api = vm->host;
    const struct conf_shared_dict *d = api->conf->shared_dicts;
    vm_class(vm, class, methods);
    watch_close(vm, L);
    lua_newtable(L);
    for (unsigned i = 0; d; d = d->next, i++) {
        lua_createtable(L, 1, 0);
        lua_pushlightuserdata(L, api->generation->dicts[i]);
        lua_rawseti(L, -2, 1);
        luaL_getmetatable(L, class);
        lua_setmetatable(L, -2);
        lua_setfield(L, -2, d->name.data);
    }
    lua_setfield(L, -2, "shared");
}
