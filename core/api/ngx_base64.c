/* ngx_base64.c -- ngx.encode_base64, decode_base64, decode_base64mime, and
 * require "ngx.base64" for the URL's alphabet. */
#include "api/api.h"
#include "api/coerce.h"
#include "base/text.h"

enum alphabet { PLAIN, URL, MIME };

static int f_encode_base64(lua_State *L)
{
    struct slice s = coerce_text(L, 1);
    bool bare = lua_toboolean(L, 2);
    if (bare && !lua_isboolean(L, 2))
        return luaL_error(L, "bad no_padding: boolean expected, got %s",
                          luaL_typename(L, 2));
    size_t room = (s.len + 2) / 3 * 4;
    struct buf out = { lua_newuserdata(L, room), 0, room, false };
    text_base64(&out, s); /* fills the room exactly */
    while (bare && out.len && out.data[out.len - 1] == '=')
        out.len--;
    vm_push(L, buf_slice(&out));
    return 1;
}

static int value_of(char c, enum alphabet in)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (in == URL)
        return c == '-' ? 62 : c == '_' ? 63 : -1;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* nginx's decoder, which is not strict: it stops at the first '=', wants no
 * padding and does not look at spare bits.  MIME's leaves out whatever is
 * not of the alphabet. */
static bool decode(struct slice s, enum alphabet in, char *to, size_t *len)
{
    unsigned bits = 0, have = 0, count = 0;
    s.len = slice_find(s, '=');
    for (size_t i = 0; i < s.len; i++) {
        int v = value_of(s.data[i], in);
        if (v < 0 && in == MIME)
            continue;
        if (v < 0)
            return false;
        bits = (bits << 6 | (unsigned)v) & 0xffff;
        have += 6;
        count++;
        if (have >= 8) {
            have -= 8;
            to[(*len)++] = (char)(bits >> have & 255);
        }
    }
    return count % 4 != 1;
}

/* Pushes what the string at 1 stands for; false: it is none, and nothing is
 * pushed. */
static bool push_decoded(lua_State *L, enum alphabet in)
{
    size_t len = 0;
    struct slice s = vm_slice(L, 1);
    char *to = lua_newuserdata(L, s.len / 4 * 3 + 3);
    bool ok = decode(s, in, to, &len);
    if (ok)
        lua_pushlstring(L, to, len);
    return ok;
}

static int decode_string(lua_State *L, enum alphabet in)
{
    if (lua_type(L, 1) != LUA_TSTRING)
        return luaL_error(L, "string argument only");
    if (!push_decoded(L, in))
        lua_pushnil(L);
    return 1;
}

static int f_decode_base64(lua_State *L)
{
    return decode_string(L, PLAIN);
}

static int f_decode_base64mime(lua_State *L)
{
    return decode_string(L, MIME);
}

/* ---- require "ngx.base64" ----------------------------------------------- */

static int f_encode_base64url(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING)
        return vm_fail(L, "must provide a string");
    struct slice s = vm_slice(L, 1);
    size_t room = (s.len + 2) / 3 * 4;
    struct buf out = { lua_newuserdata(L, room), 0, room, false };
    text_base64url(&out, s);
    vm_push(L, buf_slice(&out));
    return 1;
}

static int f_decode_base64url(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING)
        return vm_fail(L, "must provide a string");
    return push_decoded(L, URL) ? 1 : vm_fail(L, "invalid input");
}

void ngx_base64_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "encode_base64", f_encode_base64 },
                                      { "decode_base64", f_decode_base64 },
                                      { "decode_base64mime",
                                        f_decode_base64mime },
                                      { NULL, NULL } };
    static const luaL_Reg module[] = {
        { "encode_base64url", f_encode_base64url },
        { "decode_base64url", f_decode_base64url },
        { NULL, NULL }
    };
    vm_register(vm, L, funcs);
    api_preload(vm, "ngx.base64", module);
}
