/* unsafe.c -- control characters in what a script gives for a URI. */
#include "api/unsafe.h"
#include <stdio.h>

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* Pushes uri as a log may show it. */
static const char *push_escaped(lua_State *L, struct slice uri)
{
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    for (size_t i = 0; i < uri.len; i++) {
        unsigned char c = (unsigned char)uri.data[i];
        char escaped[5];
        snprintf(escaped, sizeof escaped, "\\x%02X", c);
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            luaL_addstring(&text, escaped);
        else
            luaL_addchar(&text, (char)c);
    }
    luaL_pushresult(&text);
    return lua_tostring(L, -1);
}

void unsafe_refuse(lua_State *L, struct slice uri, const char *what,
                   const char *hint)
{
    size_t i = 0;
    while (i < uri.len && !is_control(uri.data[i]))
        i++;
    if (i == uri.len)
        return;
    char byte[8];
    snprintf(byte, sizeof byte, "0x%02x", (unsigned char)uri.data[i]);
    luaL_error(L, "unsafe byte \"%s\" in %s \"%s\"%s", byte, what,
               push_escaped(L, uri), hint);
}
