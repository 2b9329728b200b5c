/* ngx_re_pattern.c -- the patterns of ngx.re: compiled, cached, matched. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "api/ngx_log.h"
#include "api/ngx_re.h"
#include <pcre2.h>

enum { KEEP = 1, JIT = 2, DFA = 4, LISTS = 8, UNCHECKED = 16 };

static const char class[] = "ngx.re";

static const struct flag {
    char letter;
    int flag;
    uint32_t options;
} flags[] = {
    { 'a', 0, PCRE2_ANCHORED },
    { 'd', DFA, 0 },
    { 'D', LISTS, PCRE2_DUPNAMES },
    { 'i', 0, PCRE2_CASELESS },
    { 'j', JIT, 0 },
    { 'J', 0,
      PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF | PCRE2_ALLOW_EMPTY_CLASS },
    { 'm', 0, PCRE2_MULTILINE },
    { 'o', KEEP, 0 },
    { 's', 0, PCRE2_DOTALL },
    { 'u', 0, PCRE2_UTF },
    { 'U', UNCHECKED, PCRE2_UTF },
    { 'x', 0, PCRE2_EXTENDED },
};

enum { FLAGS = sizeof flags / sizeof *flags };

/* A bit for each letter; the text of the flags is at index. */
static int read_flags(lua_State *L, int index)
{
    int set = 0;
    struct slice text = SLICE_NONE;
    if (!lua_isnoneornil(L, index))
        text = vm_check_slice(L, index);
    for (size_t i = 0; i < text.len; i++) {
        unsigned k = 0;
        while (k < FLAGS && flags[k].letter != text.data[i])
            k++;
        if (k == FLAGS)
            luaL_error(L, "unknown flag \"%c\" (flags \"%s\")", text.data[i],
                       text.data);
        set |= 1 << k;
    }
    return set;
}

static int modes_of(int set, uint32_t *options)
{
    int modes = 0;
    *options = 0;
    for (unsigned k = 0; k < FLAGS; k++) {
        if (!(set & 1 << k))
            continue;
        modes |= flags[k].flag;
        *options |= flags[k].options;
    }
    return modes;
}

/* ---- the cache ---------------------------------------------------------- */

static struct ngx_re_cache *cache_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(2));
}

static void unlink_pattern(struct ngx_re_cache *c, struct ngx_re *re)
{
    *(re->newer ? &re->newer->older : &c->newest) = re->older;
    *(re->older ? &re->older->newer : &c->oldest) = re->newer;
}

static void link_newest(struct ngx_re_cache *c, struct ngx_re *re)
{
    re->newer = NULL;
    re->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = re;
    c->newest = re;
}

/* Pushes the cached pattern, or pushes nothing and gives NULL. */
static struct ngx_re *find(lua_State *L, int text, int flags_index)
{
    struct ngx_re_cache *c = cache_of(L);
    lua_pushvalue(L, flags_index);
    lua_rawget(L, lua_upvalueindex(3));
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        return NULL;
    }
    lua_pushvalue(L, text);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    struct ngx_re *re = lua_touserdata(L, -1);
    if (!re) {
        lua_pop(L, 1);
        return NULL;
    }
    if (c->newest != re) {
        unlink_pattern(c, re);
        link_newest(c, re);
    }
    return re;
}

/* Whoever still uses it has it on its stack. */
static void drop_oldest(lua_State *L, struct ngx_re_cache *c)
{
    struct ngx_re *re = c->oldest;
    unlink_pattern(c, re);
    c->count--;
    vm_push(L, re->flags);
    lua_rawget(L, lua_upvalueindex(3));
    vm_push(L, re->text);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* Keeps the pattern that is at the top of L. */
static void keep(lua_State *L, int text, int flags_index, struct ngx_re *re)
{
    struct ngx_re_cache *c = cache_of(L);
    while (c->count >= c->max)
        drop_oldest(L, c);
    re->flags = vm_slice(L, flags_index);
    lua_pushvalue(L, flags_index);
    lua_rawget(L, lua_upvalueindex(3));
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, flags_index);
        lua_pushvalue(L, -2);
        lua_rawset(L, lua_upvalueindex(3));
    }
    lua_pushvalue(L, text);
    re->text = vm_slice(L, -1);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    link_newest(c, re);
    c->count++;
}

/* ---- compiling ---------------------------------------------------------- */

/* What PCRE said before PCRE2 found other words: scripts and their tests
 * compare. */
static const char *classic_words(const char *reason)
{
    static const char *const words[][2] = {
        { "missing closing parenthesis", "missing )" },
        { "unmatched closing parenthesis", "unmatched parentheses" },
        { "quantifier does not follow a repeatable item", "nothing to repeat" },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i][0], reason))
            return words[i][1];
    return reason;
}

static void push_fault(lua_State *L, struct slice text, size_t at)
{
    const char *reason = classic_words(err_text());
    if (at >= text.len)
        lua_pushfstring(L, "pcre_compile() failed: %s in \"%s\"", reason,
                        text.data);
    else
        lua_pushfstring(L, "pcre_compile() failed: %s in \"%s\" at \"%s\"",
                        reason, text.data, text.data + at);
}

static void log_jit(lua_State *L, const struct regex *regex)
{
    struct vm *vm = vm_of(L);
    struct buf text = { 0 };
    if (!log_enabled(LOG_DEBUG))
        return;
    buf_addf(&text, "pcre JIT compiling result: %d", regex_jit(regex));
    ngx_log_write(api_request_or_null(L),
                  vm->phase     ? vm->phase
                  : vm->running ? vm->running->context
                                : "",
                  LOG_DEBUG, &text);
    buf_free(&text);
}

/* Pushes the pattern; NULL: pushes why not. */
static struct ngx_re *compile(lua_State *L, struct slice text, int set)
{
    uint32_t options;
    size_t at = 0;
    int modes = modes_of(set, &options);
    bool jit = (modes & JIT) && !(modes & DFA);
    struct ngx_re *re = lua_newuserdata(L, sizeof *re);
    *re = (struct ngx_re){ .utf = options & PCRE2_UTF, .lists = modes & LISTS };
    luaL_getmetatable(L, class);
    lua_setmetatable(L, -2);
    if ((jit ? regex_compile : regex_compile_plain)(&re->regex, text, options,
                                                    &at) != OK) {
        push_fault(L, text, at);
        return NULL;
    }
    if (jit)
        log_jit(L, re->regex);
    re->how.limit = api_of(L)->conf->lua_regex_match_limit;
    re->how.options = modes & UNCHECKED ? PCRE2_NO_UTF_CHECK : 0;
    re->how.dfa = modes & DFA;
    re->groups = re->how.dfa ? 0 : regex_groups(re->regex);
    return re;
}

static int f_gc(lua_State *L)
{
    struct ngx_re *re = lua_touserdata(L, 1);
    regex_free(re->regex);
    re->regex = NULL;
    return 0;
}

struct ngx_re *ngx_re_push(lua_State *L, int text, int flags_index)
{
    struct slice pattern = vm_check_slice(L, text);
    struct ngx_re *re = find(L, text, flags_index);
    if (re)
        return re;
    uint32_t options;
    int set = read_flags(L, flags_index);
    bool kept = (modes_of(set, &options) & KEEP) && cache_of(L)->max;
    re = compile(L, pattern, set);
    if (re && kept)
        keep(L, text, flags_index, re);
    return re;
}

void ngx_re_done(struct ngx_re *re)
{
    if (re->text.data)
        return;
    regex_free(re->regex);
    re->regex = NULL;
}

/* ---- matching ----------------------------------------------------------- */

struct slice ngx_re_subject(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TSTRING) {
        luaL_checkany(L, index);
        lua_getglobal(L, "tostring");
        lua_pushvalue(L, index);
        lua_call(L, 1, 1);
        lua_replace(L, index);
    }
    return vm_slice(L, index);
}

struct ngx_re_match ngx_re_search(const struct ngx_re *re, struct slice subject,
                                  size_t at)
{
    struct ngx_re_match m;
    m.found = regex_search(re->regex, subject, at, &re->how, &m.pairs);
    if (m.found < 0)
        m.found = regex_classic_code(m.found);
    return m;
}

void ngx_re_push_fault(lua_State *L, int found)
{
    lua_pushfstring(L, "pcre_exec() failed: %d", found);
}

static void push_group(lua_State *L, struct slice subject,
                       const struct ngx_re_match *m, unsigned group)
{
    if (group >= (unsigned)m->found || m->pairs[2 * group] == REGEX_UNSET) {
        lua_pushboolean(L, false);
        return;
    }
    size_t from = m->pairs[2 * group], to = m->pairs[2 * group + 1];
    vm_push(L, SLICE_OF(subject.data + from, to > from ? to - from : 0));
}

/* t[name] gets one more; the group is at the top, and goes. */
static void add_to_list(lua_State *L, struct slice name)
{
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    vm_push(L, name);
    lua_pushvalue(L, -1);
    lua_rawget(L, -4); /* t group name list */
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_insert(L, -4);
        lua_rawset(L, -6); /* t group list name */
        lua_pop(L, 1);
    } else {
        lua_remove(L, -2);
    }
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
    lua_pop(L, 1);
}

static void collect_names(lua_State *L, const struct ngx_re *re,
                          struct slice subject, const struct ngx_re_match *m)
{
    struct slice name;
    for (unsigned i = 0, group; regex_next(re->regex, &i, &name, &group);) {
        if (group > re->groups)
            continue;
        push_group(L, subject, m, group);
        if (re->lists)
            add_to_list(L, name);
        else
            lua_setfield(L, -2, name.data);
    }
}

void ngx_re_collect(lua_State *L, const struct ngx_re *re, struct slice subject,
                    const struct ngx_re_match *m)
{
    for (unsigned i = 0; i <= re->groups; i++) {
        push_group(L, subject, m, i);
        lua_rawseti(L, -2, (int)i);
    }
    collect_names(L, re, subject, m);
}

void ngx_re_push_groups(lua_State *L, const struct ngx_re *re,
                        struct slice subject, const struct ngx_re_match *m)
{
    lua_createtable(L, (int)re->groups, 1);
    ngx_re_collect(L, re, subject, m);
}

size_t ngx_re_after(const struct ngx_re *re, struct slice subject,
                    const struct ngx_re_match *m)
{
    size_t at = m->pairs[1];
    if (m->pairs[0] != at)
        return at;
    at++;
    while (re->utf && at < subject.len &&
           ((unsigned char)subject.data[at] & 0xc0) == 0x80)
        at++; /* the rest of a character */
    return at;
}

void ngx_re_push_function(struct vm *vm, lua_State *L, int cache,
                          lua_CFunction f)
{
    lua_pushlightuserdata(L, vm);
    lua_pushvalue(L, cache);
    lua_pushvalue(L, cache + 1);
    lua_pushcclosure(L, f, 3);
}

void ngx_re_register(struct vm *vm, lua_State *L, int cache,
                     const luaL_Reg *funcs)
{
    if (luaL_newmetatable(L, class)) {
        vm_push_function(vm, L, f_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
    for (; funcs->name; funcs++) {
        ngx_re_push_function(vm, L, cache, funcs->func);
        lua_setfield(L, -2, funcs->name);
    }
}
