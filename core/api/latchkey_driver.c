/* latchkey_driver.c -- `require "latchkey.driver"`: a platform described by a
 * script, for the engine that runs the built-in ones. */
#include "api/latchkey_driver.h"
#include "api/api.h"
#include <math.h>
#include <stdlib.h>

#define DRIVER "latchkey.driver"
/* In the registry, name -> driver.  None is ever taken out or replaced: calls
 * under way point to them. */
#define DRIVERS "latchkey.drivers"

enum { MOST = 256 }; /* parameters, or errors */
enum { FIELDS = 4 }; /* of an answer */

struct driver {
    struct platform platform;
    struct platform_api apis[1 + 1]; /* the login */
    struct platform_field fields[FIELDS + 1];
    struct arena arena; /* of all that platform points to */
};

/* Reads the table on top of the stack; raises where it is wrong. */
struct reader {
    lua_State *L;
    struct arena *arena;
    const char *where; /* that table's name and a dot, or "" */
};

static void fail(const struct reader *r, const char *name, const char *what)
{
    luaL_error(r->L, "%s%s: %s", r->where, name, what);
}

static void *take(const struct reader *r, size_t size)
{
    void *p = arena_alloc(r->arena, size);
    if (!p)
        luaL_error(r->L, "no memory");
    return p;
}

/* Pops the value on top: a copy of its text; NULL for nil. */
static const char *pop_text(const struct reader *r, const char *name)
{
    const char *copy = NULL;
    if (!lua_isnil(r->L, -1)) {
        bool is_text = lua_type(r->L, -1) == LUA_TSTRING;
        struct slice s = is_text ? vm_slice(r->L, -1) : SLICE_NONE;
        if (!s.len || slice_find(s, '\0') != s.len)
            fail(r, name, "a text is wanted");
        copy = arena_dup(r->arena, s).data;
        if (!copy)
            luaL_error(r->L, "no memory");
    }
    lua_pop(r->L, 1);
    return copy;
}

static const char *text(const struct reader *r, const char *name)
{
    lua_getfield(r->L, -1, name);
    return pop_text(r, name);
}

static const char *needed(const struct reader *r, const char *name,
                          const char *start)
{
    const char *s = text(r, name);
    if (!s || strncmp(s, start, strlen(start)) != 0)
        luaL_error(r->L, "%s%s: a text%s%s is wanted", r->where, name,
                   *start ? " that begins with " : "", start);
    return s;
}

/* One text, or a list of up to PLATFORM_STATUS. */
static void texts(const struct reader *r, const char *name, const char **out)
{
    lua_getfield(r->L, -1, name);
    if (!lua_istable(r->L, -1)) {
        out[0] = pop_text(r, name);
        return;
    }
    if (lua_objlen(r->L, -1) > PLATFORM_STATUS)
        fail(r, name, "too many");
    for (int i = 0; i < PLATFORM_STATUS; i++) {
        lua_rawgeti(r->L, -1, i + 1);
        out[i] = pop_text(r, name);
    }
    lua_pop(r->L, 1);
}

static long whole(const struct reader *r, const char *name, long by_default)
{
    lua_getfield(r->L, -1, name);
    lua_Number n =
        lua_isnil(r->L, -1) ? (lua_Number)by_default : lua_tonumber(r->L, -1);
    if ((!lua_isnil(r->L, -1) && lua_type(r->L, -1) != LUA_TNUMBER) ||
        floor(n) != n || fabs(n) > 1e15)
        fail(r, name, "a whole number is wanted");
    lua_pop(r->L, 1);
    return (long)n;
}

/* The place of a word in choices; the first is the default. */
static int choice(const struct reader *r, const char *name,
                  const char *const *choices)
{
    const char *word = text(r, name);
    for (int i = 0; choices[i]; i++)
        if (!word || strcmp(word, choices[i]) == 0)
            return i;
    fail(r, name, "no such choice");
    return 0;
}

/* No name but these, so that a slip of the pen is not overlooked. */
static void only(const struct reader *r, const char *const *names)
{
    for (lua_pushnil(r->L); lua_next(r->L, -2); lua_pop(r->L, 1)) {
        const char *const *known = names;
        const char *name = lua_type(r->L, -2) == LUA_TSTRING
                               ? lua_tostring(r->L, -2)
                               : "a list's entry";
        while (*known && strcmp(*known, name) != 0)
            known++;
        if (!*known)
            fail(r, name, "no such field");
    }
}

/* Pushes the table of that name; lua_pop leaves it. */
static struct reader enter(const struct reader *r, const char *name,
                           const char *where)
{
    lua_getfield(r->L, -1, name);
    if (!lua_istable(r->L, -1))
        fail(r, name, "a table is wanted");
    return (struct reader){ r->L, r->arena, where };
}

static size_t count(const struct reader *r)
{
    size_t n = 0;
    for (lua_pushnil(r->L); lua_next(r->L, -2); lua_pop(r->L, 1))
        n++;
    if (n > MOST)
        luaL_error(r->L, "%s too many", r->where);
    return n;
}

/* --- the parts of a description --- */

/* "{code}" stands for what the caller gives, anything else for itself. */
static void read_param(const struct reader *r, struct platform_param *out)
{
    static const char *const values[PLATFORM_VALUES] = {
        [PLATFORM_APPID] = "{appid}",
        [PLATFORM_SECRET] = "{secret}",
        [PLATFORM_CODE] = "{code}",
        [PLATFORM_ANONYMOUS_CODE] = "{anonymous_code}",
    };
    lua_pushvalue(r->L, -2);
    out->name = pop_text(r, "a name");
    lua_pushvalue(r->L, -1);
    out->text = pop_text(r, out->name);
    for (int i = 0; i < PLATFORM_VALUES; i++)
        if (values[i] && strcmp(values[i], out->text) == 0)
            out->value = (enum platform_value)i;
    if (out->value == PLATFORM_LITERAL && *out->text == '{')
        fail(r, out->name, "no such value");
}

static int by_name(const void *a, const void *b)
{
    const struct platform_param *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static const struct platform_param *read_params(const struct reader *request)
{
    struct reader r = enter(request, "params", "request.params.");
    size_t n = count(&r), i = 0;
    struct platform_param *params = take(&r, (n + 1) * sizeof *params);
    for (lua_pushnil(r.L); lua_next(r.L, -2); lua_pop(r.L, 1))
        read_param(&r, &params[i++]);
    qsort(params, n, sizeof *params, by_name); /* tables have no order */
    lua_pop(r.L, 1);
    return params;
}

static void read_request(const struct reader *top, struct platform_api *call)
{
    static const char *const names[] = { "path", "as", "params", NULL };
    static const char *const forms[] = { [PLATFORM_QUERY] = "query",
                                         [PLATFORM_JSON] = "json",
                                         [PLATFORM_FORM] = "form",
                                         NULL };
    struct reader r = enter(top, "request", "request.");
    only(&r, names);
    call->path = needed(&r, "path", "/");
    call->form = (enum platform_form)choice(&r, "as", forms);
    call->params = read_params(&r);
    lua_pop(r.L, 1);
}

/* A field that the description names; its envelope's name goes before. */
static void add_field(const struct reader *r, struct driver *d,
                      struct platform_field field, const char *envelope)
{
    struct platform_field *out = d->fields;
    if (!field.path)
        return;
    if (envelope)
        field.path = arena_printf(r->arena, "%s.%s", envelope, field.path);
    if (!field.path)
        luaL_error(r->L, "no memory");
    while (out->name)
        out++;
    *out = field;
}

static void read_fields(const struct reader *r, struct driver *d,
                        struct platform_field key)
{
    const char *envelope = text(r, "envelope");
    const struct platform_field
        openid = { "openid",
                   needed(r, "openid", ""),
                   PLATFORM_TEXT,
                   PLATFORM_CODE,
                   0,
                   0 },
        unionid = { "unionid", text(r, "unionid"), PLATFORM_TEXT, 0, 0, 0 },
        anonymous = { "anonymous_openid", text(r, "anonymous_openid"),
                      PLATFORM_TEXT,      PLATFORM_ANONYMOUS_CODE,
                      PLATFORM_CODE,      0 };
    key.path = text(r, "session_key");
    if (key.with && !key.path)
        fail(r, "session_key", "a text is wanted, or no cipher");
    add_field(r, d, openid, envelope);
    add_field(r, d, unionid, envelope);
    add_field(r, d, anonymous, envelope);
    add_field(r, d, key, envelope);
}

static void read_answer(const struct reader *top, struct driver *d,
                        struct platform_field key)
{
    struct platform_answer *out = &d->apis[0].answer;
    static const char *const names[] = {
        "status",  "ok",          "message",          "envelope", "openid",
        "unionid", "session_key", "anonymous_openid", NULL
    };
    struct reader r = enter(top, "answer", "answer.");
    only(&r, names);
    texts(&r, "status", out->status);
    if (!out->status[0])
        fail(&r, "status", "a text is wanted");
    out->ok = whole(&r, "ok", 0);
    texts(&r, "message", out->message);
    read_fields(&r, d, key);
    out->fields = d->fields;
    lua_pop(r.L, 1);
}

static enum platform_reason reason_of(const struct reader *r, const char *word)
{
    for (int i = PLATFORM_OK + 1; i < PLATFORM_KEY_STALE; i++)
        if (strcmp(word, platform_reason_name((enum platform_reason)i)) == 0)
            return (enum platform_reason)i;
    fail(r, word, "no such reason");
    return PLATFORM_ERROR;
}

static const struct platform_error *read_errors(const struct reader *top)
{
    struct reader r = enter(top, "errors", "errors.");
    size_t n = count(&r);
    struct platform_error *errors = take(&r, (n + 1) * sizeof *errors);
    struct platform_error *e = errors;
    for (lua_pushnil(r.L); lua_next(r.L, -2); lua_pop(r.L, 1), e++) {
        if (lua_type(r.L, -2) != LUA_TNUMBER || !lua_tointeger(r.L, -2))
            fail(&r, "a code", "a number is wanted, and not 0");
        e->code = (long)lua_tointeger(r.L, -2);
        lua_pushvalue(r.L, -1);
        e->reason = reason_of(&r, pop_text(&r, "a reason"));
        e->retry = e->reason == PLATFORM_BUSY ? PLATFORM_AGAIN : PLATFORM_FINAL;
    }
    lua_pop(r.L, 1);
    return errors;
}

/* Without a cipher a key that comes is kept as it is. */
static struct platform_field read_key(const struct reader *r)
{
    static const char *const keys[] = { "base64", "hex", NULL };
    static const char *const ciphers[] = { "aes-128-cbc", "aes-192-cbc",
                                           "aes-256-cbc", "none", NULL };
    int cipher = choice(r, "cipher", ciphers);
    struct platform_field key = { .name = "key", .kind = PLATFORM_KEY_TEXT };
    if (!ciphers[cipher + 1])
        return key;
    key.kind = choice(r, "key", keys) ? PLATFORM_KEY_HEX : PLATFORM_KEY_BASE64;
    key.size = 16 + 8 * (size_t)cipher;
    key.with = PLATFORM_CODE;
    return key;
}

static void read_driver(const struct reader *r, struct driver *d)
{
    struct platform *p = &d->platform;
    static const char *const names[] = { "endpoint",  "request",   "answer",
                                         "errors",    "key",       "cipher",
                                         "watermark", "code_life", "rotates",
                                         NULL };
    only(r, names);
    p->hosts[PLATFORM_APP] = needed(r, "endpoint", "http");
    p->apis = d->apis;
    d->apis[0].name = "code2session";
    read_request(r, &d->apis[0]);
    read_answer(r, d, read_key(r));
    p->errors = read_errors(r);
    long life = whole(r, "code_life", 300);
    if (life < 1 || life > 86400)
        fail(r, "code_life", "seconds are wanted");
    p->code_life = (unsigned)life;
}

/* --- what scripts and others call --- */

static int f_gc(lua_State *L)
{
    struct driver *d = lua_touserdata(L, 1);
    arena_free(&d->arena);
    return 0;
}

/* driver.define(name, description): makes a platform of that name known.
 * Raises where the description is wrong, or the name is taken. */
static int f_define(lua_State *L)
{
    struct slice name = vm_check_slice(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    luaL_argcheck(L, !latchkey_driver_find(L, name), 1, "is there already");
    lua_getfield(L, LUA_REGISTRYINDEX, DRIVERS);
    struct driver *d = lua_newuserdata(L, sizeof *d);
    *d = (struct driver){ 0 };
    luaL_getmetatable(L, DRIVER);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, 1);
    struct reader r = { L, &d->arena, "" };
    d->platform.name = pop_text(&r, "name");
    lua_pushvalue(L, 2);
    read_driver(&r, d);
    lua_pop(L, 1);
    lua_setfield(L, -2, d->platform.name);
    return 0;
}

const struct platform *latchkey_driver_find(lua_State *L, struct slice name)
{
    const struct platform *built_in = platform_find(name);
    if (built_in)
        return built_in;
    lua_getfield(L, LUA_REGISTRYINDEX, DRIVERS);
    vm_push(L, name);
    lua_rawget(L, -2);
    const struct driver *d = lua_touserdata(L, -1);
    lua_pop(L, 2);
    return d ? &d->platform : NULL;
}

void latchkey_driver_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "define", f_define }, { NULL, NULL } };
    static const luaL_Reg methods[] = { { "__gc", f_gc }, { NULL, NULL } };
    vm_class(vm, DRIVER, methods);
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, DRIVERS);
    api_preload(vm, "latchkey.driver", funcs);
}
