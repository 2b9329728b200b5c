/* ngx_re.c -- ngx.re: match, find and gmatch; sub and gsub are in
 * ngx_re_sub.c, split and opt in ngx_re_module.c. */
#include "api/ngx_re.h"

/* ctx.pos counts from 1. */
static size_t read_position(lua_State *L, int ctx)
{
    if (lua_isnoneornil(L, ctx))
        return 0;
    luaL_checktype(L, ctx, LUA_TTABLE);
    lua_getfield(L, ctx, "pos");
    lua_Number pos = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return pos > 1 ? (size_t)pos - 1 : 0;
}

static void write_position(lua_State *L, int ctx, size_t at)
{
    if (lua_isnoneornil(L, ctx))
        return;
    lua_pushnumber(L, (lua_Number)at + 1);
    lua_setfield(L, ctx, "pos");
}

/* ngx.re.match(subject, regex, options, ctx, result): the groups; nil where
 * nothing matches; nil, reason. */
static int f_match(lua_State *L)
{
    lua_settop(L, 5);
    struct slice subject = ngx_re_subject(L, 1);
    struct ngx_re *re = ngx_re_push(L, 2, 3);
    if (!re) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    struct ngx_re_match m = ngx_re_search(re, subject, read_position(L, 4));
    if (m.found < 0) {
        ngx_re_done(re);
        lua_pushnil(L);
        if (m.found == REGEX_NO_MATCH)
            return 1;
        ngx_re_push_fault(L, m.found);
        return 2;
    }
    write_position(L, 4, m.pairs[1]);
    if (lua_istable(L, 5)) {
        lua_pushvalue(L, 5);
        ngx_re_collect(L, re, subject, &m);
    } else {
        ngx_re_push_groups(L, re, subject, &m);
    }
    ngx_re_done(re);
    return 1;
}

/* nil, nil and the reason that lies at the top. */
static int fail_find(lua_State *L)
{
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, -3);
    return 3;
}

static int push_bounds(lua_State *L, const struct ngx_re_match *m, unsigned nth)
{
    if (nth >= (unsigned)m->found || m->pairs[2 * nth] == REGEX_UNSET) {
        lua_pushnil(L);
        lua_pushnil(L);
    } else {
        lua_pushnumber(L, (lua_Number)m->pairs[2 * nth] + 1);
        lua_pushnumber(L, (lua_Number)m->pairs[2 * nth + 1]);
    }
    return 2;
}

/* ngx.re.find(subject, regex, options, ctx, nth): where the match, or its
 * group nth, begins and ends. */
static int f_find(lua_State *L)
{
    lua_settop(L, 5);
    struct slice subject = ngx_re_subject(L, 1);
    lua_Number nth = luaL_optnumber(L, 5, 0);
    struct ngx_re *re = ngx_re_push(L, 2, 3);
    if (!re)
        return fail_find(L);
    struct ngx_re_match m = ngx_re_search(re, subject, read_position(L, 4));
    unsigned groups = re->groups;
    ngx_re_done(re);
    if (m.found == REGEX_NO_MATCH) {
        lua_pushnil(L);
        return 1;
    }
    if (m.found < 0) {
        ngx_re_push_fault(L, m.found);
        return fail_find(L);
    }
    write_position(L, 4, m.pairs[1]);
    if (nth > groups) {
        lua_pushliteral(L, "nth out of bound");
        return fail_find(L);
    }
    return push_bounds(L, &m, nth > 0 ? (unsigned)nth : 0);
}

/* ---- gmatch ------------------------------------------------------------- */

/* An iterator's upvalues: the vm, the pattern, the subject, and where to look
 * on, -1 at the end.  They serve ngx.re.gmatch and, with the bounds, the
 * callbacks of sub and gsub. */
enum { PATTERN = 2, SUBJECT = 3, POSITION = 4 };

static void set_position(lua_State *L, lua_Number at)
{
    lua_pushnumber(L, at);
    lua_replace(L, lua_upvalueindex(POSITION));
}

/* Pushes the groups of the next match; 0: there is none, 2: nil, reason. */
static int iterate(lua_State *L, struct ngx_re_match *m)
{
    struct ngx_re *re = lua_touserdata(L, lua_upvalueindex(PATTERN));
    struct slice subject = vm_slice(L, lua_upvalueindex(SUBJECT));
    lua_Number at = lua_tonumber(L, lua_upvalueindex(POSITION));
    if (at < 0)
        return 0;
    *m = ngx_re_search(re, subject, (size_t)at);
    size_t next = m->found > 0 ? ngx_re_after(re, subject, m) : subject.len + 1;
    set_position(L, next > subject.len ? -1 : (lua_Number)next);
    if (m->found == REGEX_NO_MATCH)
        return 0;
    if (m->found < 0) {
        lua_pushnil(L);
        ngx_re_push_fault(L, m->found);
        return 2;
    }
    ngx_re_push_groups(L, re, subject, m);
    return 1;
}

static int f_next(lua_State *L)
{
    struct ngx_re_match m;
    int n = iterate(L, &m);
    if (!n)
        lua_pushnil(L);
    return n ? n : 1;
}

/* As f_next, with the first and the last byte after the groups. */
static int f_step(lua_State *L)
{
    struct ngx_re_match m;
    int n = iterate(L, &m);
    if (n != 1)
        return n;
    push_bounds(L, &m, 0);
    return 3;
}

static int push_iterator(lua_State *L, lua_CFunction next)
{
    lua_settop(L, 3);
    ngx_re_subject(L, 1);
    if (!ngx_re_push(L, 2, 3)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushlightuserdata(L, vm_of(L));
    lua_insert(L, -2);
    lua_pushvalue(L, 1);
    lua_pushnumber(L, 0);
    lua_pushcclosure(L, next, POSITION);
    return 1;
}

/* ngx.re.gmatch(subject, regex, options): an iterator. */
static int f_gmatch(lua_State *L)
{
    return push_iterator(L, f_next);
}

static int f_walk(lua_State *L)
{
    return push_iterator(L, f_step);
}

/* ---- callbacks ---------------------------------------------------------- */

/* sub and gsub with a function are Lua, so that the function may wait. */
static const char callbacks[] =
    "local walk, sub, gsub = ...\n"
    "local concat, cut, tostring, type = table.concat, string.sub, tostring, "
    "type\n"
    "local function replace(subject, regex, f, options, once)\n"
    "  local step, why = walk(subject, regex, options)\n"
    "  if not step then return nil, nil, why end\n"
    "  subject = tostring(subject)\n"
    "  local pieces, count, done = {}, 0, 0\n"
    "  repeat\n"
    "    local groups, from, to = step()\n"
    "    if groups then\n"
    "      pieces[2 * count + 1] = cut(subject, done + 1, from - 1)\n"
    "      pieces[2 * count + 2] = tostring(f(groups))\n"
    "      count, done = count + 1, to\n"
    "    elseif from then\n"
    "      return nil, nil, from\n"
    "    end\n"
    "  until once or not groups\n"
    "  if count == 0 then return subject, 0 end\n"
    "  pieces[2 * count + 1] = cut(subject, done + 1)\n"
    "  return concat(pieces), count\n"
    "end\n"
    "return function(subject, regex, by, options)\n"
    "  if type(by) ~= 'function' then\n"
    "    return sub(subject, regex, by, options)\n"
    "  end\n"
    "  return replace(subject, regex, by, options, true)\n"
    "end, function(subject, regex, by, options)\n"
    "  if type(by) ~= 'function' then\n"
    "    return gsub(subject, regex, by, options)\n"
    "  end\n"
    "  return replace(subject, regex, by, options)\n"
    "end\n";

/* Wraps sub and gsub of the table at index cache + 2. */
static void add_callbacks(struct vm *vm, lua_State *L, int cache)
{
    int re = cache + 2;
    struct slice code = { callbacks, sizeof callbacks - 1 };
    if (vm_load(vm, code, "=ngx.re") != OK)
        return;
    ngx_re_push_function(vm, L, cache, f_walk);
    lua_getfield(L, re, "sub");
    lua_getfield(L, re, "gsub");
    if (vm_call(vm, 3, 2) != OK)
        return;
    lua_setfield(L, re, "gsub");
    lua_setfield(L, re, "sub");
}

void ngx_re_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = {
        { "match", f_match },
        { "find", f_find },
        { "gmatch", f_gmatch },
        { NULL, NULL },
    };
    const struct api *api = vm->host;
    struct ngx_re_cache *c = lua_newuserdata(L, sizeof *c);
    *c = (struct ngx_re_cache){ .max = api->conf->lua_regex_cache_max_entries };
    lua_newtable(L);
    int cache = lua_gettop(L) - 1;
    lua_createtable(L, 0, 8);
    ngx_re_register(vm, L, cache, funcs);
    ngx_re_sub_open(vm, L, cache);
    add_callbacks(vm, L, cache);
    ngx_re_module_open(vm, L, cache);
    lua_setfield(L, cache - 1, "re");
    lua_settop(L, cache - 1);
}
