/* header_text.c -- names and values of headers as scripts give them. */
#include "api/header_text.h"

static bool is_token(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_safe(unsigned char c, bool is_name)
{
    return is_name ? is_token(c) : (c >= 0x20 && c != 0x7f) || c == '\t';
}

struct slice header_text_escape(struct arena *arena, struct slice s,
                                bool is_name)
{
    size_t i = 0;
    while (i < s.len && is_safe((unsigned char)s.data[i], is_name))
        i++;
    if (i == s.len)
        return s;
    struct buf out = { 0 };
    for (i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (is_safe(c, is_name))
            buf_add_char(&out, s.data[i]);
        else
            buf_addf(&out, "%%%02X", c);
    }
    struct slice own = arena_dup(arena, buf_slice(&out));
    buf_free(&out);
    return own;
}

struct slice header_text_at(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TSTRING) {
        lua_getglobal(L, "tostring");
        lua_pushvalue(L, index);
        lua_call(L, 1, 1);
        lua_replace(L, index);
    }
    return vm_slice(L, index);
}
