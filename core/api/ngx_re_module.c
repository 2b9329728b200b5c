/* ngx_re_module.c -- require "ngx.re": split and opt. */
#include "api/ngx_re.h"

/* One split: the results go into the table at index out. */
struct split {
    lua_State *L;
    const struct ngx_re *re;
    struct slice subject;
    size_t start; /* of the piece at hand */
    size_t at;    /* where to look for the next separator */
    int out, count;
};

enum { CTX = 4, MAX = 5, RESULT = 6 };

static void add_piece(struct split *s, size_t from, size_t to)
{
    vm_push(s->L, SLICE_OF(s->subject.data + from, to - from));
    lua_rawseti(s->L, s->out, ++s->count);
}

/* An empty separator where the piece begins separates nothing. */
static void add_pieces(struct split *s, const struct ngx_re_match *m)
{
    const size_t *p = m->pairs;
    if (p[0] == p[1] && p[0] <= s->start)
        return;
    add_piece(s, s->start, p[0]);
    s->start = p[1];
    if (m->found > 1 && p[2] != REGEX_UNSET)
        add_piece(s, p[2], p[3]);
}

/* REGEX_NO_MATCH where all is done, or the fault's number. */
static int run(struct split *s, lua_Number max)
{
    lua_Number pieces = 1;
    while (s->at <= s->subject.len && (max <= 0 || pieces < max)) {
        struct ngx_re_match m = ngx_re_search(s->re, s->subject, s->at);
        if (m.found < 0)
            return m.found;
        int before = s->count;
        s->at = ngx_re_after(s->re, s->subject, &m);
        add_pieces(s, &m);
        pieces += s->count > before;
        if (s->start >= s->subject.len)
            break;
    }
    return REGEX_NO_MATCH;
}

/* The rest is the last piece; without a limit, empty pieces at the end go. */
static void end_pieces(struct split *s, lua_Number max)
{
    lua_State *L = s->L;
    if (max > 0 || s->start < s->subject.len) {
        add_piece(s, s->start, s->subject.len);
    } else {
        for (; s->count; s->count--) {
            lua_rawgeti(L, s->out, s->count);
            bool empty = !lua_objlen(L, -1);
            lua_pop(L, 1);
            if (!empty)
                break;
            lua_pushnil(L);
            lua_rawseti(L, s->out, s->count);
        }
    }
    lua_pushnil(L);
    lua_rawseti(L, s->out, s->count + 1);
}

/* Puts the position into ctx, if there is one. */
static void tell_position(const struct split *s)
{
    if (lua_isnil(s->L, CTX))
        return;
    lua_pushnumber(s->L, (lua_Number)s->at);
    lua_setfield(s->L, CTX, "pos");
}

static void check_tables(lua_State *L)
{
    lua_settop(L, RESULT);
    if (lua_isnil(L, RESULT)) {
        lua_newtable(L);
        lua_replace(L, RESULT);
    } else if (!lua_istable(L, RESULT)) {
        luaL_error(L, "res is not a table");
    }
    if (!lua_isnil(L, CTX))
        luaL_checktype(L, CTX, LUA_TTABLE);
}

static size_t first_position(lua_State *L)
{
    if (lua_isnil(L, CTX))
        return 0;
    lua_getfield(L, CTX, "pos");
    lua_Number pos = luaL_optnumber(L, -1, 1);
    lua_pop(L, 1);
    return pos > 1 ? (size_t)pos - 1 : 0;
}

/* split(subject, regex, options, ctx, max, result): the pieces between
 * matches, and what the first group of each match caught. */
static int f_split(lua_State *L)
{
    check_tables(L);
    struct split s = { .L = L, .out = RESULT };
    s.subject = ngx_re_subject(L, 1);
    s.start = s.at = first_position(L);
    lua_Number max = luaL_optnumber(L, MAX, 0);
    if (s.at >= s.subject.len) {
        lua_pushnil(L);
        lua_rawseti(L, RESULT, 1);
        lua_pushvalue(L, RESULT);
        return 1;
    }
    struct ngx_re *re = ngx_re_push(L, 2, 3);
    if (!re) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    s.re = re;
    int fault = run(&s, max);
    ngx_re_done(re);
    if (fault != REGEX_NO_MATCH) {
        lua_pushnil(L);
        ngx_re_push_fault(L, fault);
        return 2;
    }
    end_pieces(&s, max);
    tell_position(&s);
    lua_pushvalue(L, RESULT);
    return 1;
}

/* opt("jit_stack_size", bytes), before any pattern is cached. */
static int f_opt(lua_State *L)
{
    const struct ngx_re_cache *c = lua_touserdata(L, lua_upvalueindex(2));
    if (!slice_eq(vm_slice(L, 1), SLICE("jit_stack_size")))
        return luaL_error(L, "unrecognized option name");
    lua_Number size = luaL_checknumber(L, 2);
    if (c->count)
        return luaL_error(L, "changing jit stack size is not allowed when "
                             "some regexs have already been compiled and "
                             "cached");
    if (regex_jit_stack(size > 0 && size < 1e9 ? (size_t)size : 0) != OK)
        return luaL_error(L, "%s", err_text());
    return 0;
}

void ngx_re_module_open(struct vm *vm, lua_State *L, int cache)
{
    static const luaL_Reg funcs[] = { { "split", f_split },
                                      { "opt", f_opt },
                                      { NULL, NULL } };
    static const luaL_Reg none[] = { { NULL, NULL } };
    api_preload(vm, "ngx.re", none);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, "ngx.re");
    ngx_re_register(vm, L, cache, funcs);
    lua_pop(L, 2);
}
