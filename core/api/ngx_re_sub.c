/* ngx_re_sub.c -- ngx.re.sub and gsub with a replacement text: $1, ${1}, $0
 * for the whole match, $$ for a dollar. */
#include "api/ngx_log.h"
#include "api/ngx_re.h"

/* One part of a replacement: literal, or a group where that has no data. */
struct part {
    struct slice literal;
    size_t group;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* The number that *rest begins with; more groups than any pattern has count
 * as one that took no part. */
static size_t take_number(struct slice *rest)
{
    size_t n = 0;
    while (rest->len && is_digit(*rest->data)) {
        if (n < 1000000)
            n = n * 10 + (size_t)(*rest->data - '0');
        *rest = slice_from(*rest, 1);
    }
    return n;
}

enum fault { NONE, NO_NAME, NAMED, OPEN };

/* What follows a dollar. */
static enum fault take_group(struct slice *rest, struct part *p,
                             struct slice *name)
{
    bool braces = rest->len && *rest->data == '{';
    *rest = slice_from(*rest, braces);
    *name = *rest;
    if (!rest->len)
        return NO_NAME;
    bool numbered = is_digit(*rest->data);
    if (numbered)
        p->group = take_number(rest);
    else
        while (rest->len && is_word(*rest->data))
            *rest = slice_from(*rest, 1);
    name->len -= rest->len;
    if (braces && (!rest->len || *rest->data != '}'))
        return OPEN;
    *rest = slice_from(*rest, braces);
    if (!name->len)
        return NO_NAME;
    return numbered ? NONE : NAMED;
}

/* Takes the next part off *rest, which is not empty. */
static enum fault take_part(struct slice *rest, struct part *p,
                            struct slice *name)
{
    size_t len = slice_find(*rest, '$');
    *p = (struct part){ { rest->data, len }, 0 };
    *rest = slice_from(*rest, len ? len : 1);
    if (len)
        return NONE;
    if (rest->len && *rest->data == '$') {
        p->literal = (struct slice){ rest->data, 1 };
        *rest = slice_from(*rest, 1);
        return NONE;
    }
    p->literal = SLICE_NONE;
    return take_group(rest, p, name);
}

static void log_fault(lua_State *L, enum fault fault, struct slice name,
                      struct slice whole)
{
    struct vm *vm = vm_of(L);
    struct buf text = { 0 };
    if (fault == OPEN)
        buf_addf(&text, "the closing bracket in \"%.*s\" variable is missing",
                 SLICE_FMT(name));
    else if (fault == NAMED)
        buf_addf(&text,
                 "attempt to use named capturing variable \"%.*s\" (named "
                 "captures not supported yet)",
                 SLICE_FMT(name));
    else
        buf_addf(&text,
                 "lua script: invalid capturing variable name found in "
                 "\"%.*s\"",
                 SLICE_FMT(whole));
    ngx_log_write(api_request_or_null(L),
                  vm->running ? vm->running->context : "", LOG_ERR, &text);
    buf_free(&text);
}

static bool is_sound(lua_State *L, struct slice template)
{
    struct part p;
    struct slice rest = template, name = SLICE_NONE;
    while (rest.len) {
        enum fault fault = take_part(&rest, &p, &name);
        if (fault != NONE) {
            log_fault(L, fault, name, template);
            return false;
        }
    }
    return true;
}

static void add_replacement(struct buf *out, struct slice rest,
                            struct slice subject, const struct ngx_re_match *m)
{
    struct part p;
    struct slice name;
    while (rest.len) {
        take_part(&rest, &p, &name);
        size_t from = REGEX_UNSET;
        if (!p.literal.data && p.group < (size_t)m->found)
            from = m->pairs[2 * p.group];
        if (from != REGEX_UNSET)
            p.literal =
                SLICE_OF(subject.data + from, m->pairs[2 * p.group + 1] - from);
        buf_add(out, p.literal);
    }
}

/* Adds what comes of the subject and says how many matches there were; less
 * than 0: the fault's number. */
static int replace(struct buf *out, const struct ngx_re *re,
                   struct slice subject, struct slice template, bool once)
{
    int count = 0;
    size_t copied = 0;
    for (size_t at = 0; at <= subject.len;) {
        struct ngx_re_match m = ngx_re_search(re, subject, at);
        if (m.found == REGEX_NO_MATCH)
            break;
        if (m.found < 0)
            return m.found;
        count++;
        if (m.pairs[0] > copied)
            buf_add(out, SLICE_OF(subject.data + copied, m.pairs[0] - copied));
        add_replacement(out, template, subject, &m);
        copied = m.pairs[1];
        at = once ? subject.len + 1 : ngx_re_after(re, subject, &m);
    }
    if (count)
        buf_add(out, slice_from(subject, copied));
    return count;
}

static int fail(lua_State *L)
{
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, -3);
    return 3;
}

/* The text, how many replacements; or nil, nil, reason. */
static int substitute(lua_State *L, bool once)
{
    lua_settop(L, 4);
    struct slice subject = ngx_re_subject(L, 1);
    struct slice template = ngx_re_subject(L, 3);
    struct ngx_re *re = ngx_re_push(L, 2, 4);
    if (!re)
        return fail(L);
    if (!is_sound(L, template)) {
        ngx_re_done(re);
        lua_pushliteral(L, "failed to compile the replacement template");
        return fail(L);
    }
    struct buf out = { 0 };
    int count = replace(&out, re, subject, template, once);
    bool ok = buf_ok(&out);
    ngx_re_done(re);
    if (count < 0)
        ngx_re_push_fault(L, count);
    else if (!count)
        lua_pushvalue(L, 1);
    else if (ok)
        vm_push(L, buf_slice(&out));
    else
        lua_pushliteral(L, "no memory");
    buf_free(&out);
    if (count < 0 || !ok)
        return fail(L);
    lua_pushinteger(L, count);
    return 2;
}

static int f_sub(lua_State *L)
{
    return substitute(L, true);
}

static int f_gsub(lua_State *L)
{
    return substitute(L, false);
}

void ngx_re_sub_open(struct vm *vm, lua_State *L, int cache)
{
    static const luaL_Reg funcs[] = { { "sub", f_sub },
                                      { "gsub", f_gsub },
                                      { NULL, NULL } };
    ngx_re_register(vm, L, cache, funcs);
}
