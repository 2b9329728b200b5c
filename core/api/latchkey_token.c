/* latchkey_token.c -- `require "latchkey.token"`: session tokens. */
#include "api/api.h"
#include "crypto/secret.h"
#include "login/token.h"

static void push_hash(lua_State *L, const uint8_t hash[TOKEN_HASH])
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * TOKEN_HASH];
    for (size_t i = 0; i < TOKEN_HASH; i++) {
        hex[2 * i] = digits[hash[i] >> 4];
        hex[2 * i + 1] = digits[hash[i] & 15];
    }
    lua_pushlstring(L, hex, sizeof hex);
}

/* token.new() -> token, its hash (SHA-256 in hex: what is stored); nil,
 * reason. */
static int f_new(lua_State *L)
{
    char text[TOKEN_LEN + 1];
    uint8_t hash[TOKEN_HASH];
    if (!token_make(text) || !token_parse(SLICE_OF(text, TOKEN_LEN), hash))
        return vm_fail(L, "no randomness");
    lua_pushlstring(L, text, TOKEN_LEN);
    push_hash(L, hash);
    secret_wipe(text, sizeof text);
    return 2;
}

/* token.hash(text) -> hash, or nil where its form is wrong. */
static int f_hash(lua_State *L)
{
    uint8_t hash[TOKEN_HASH];
    if (lua_type(L, 1) == LUA_TSTRING && token_parse(vm_slice(L, 1), hash))
        push_hash(L, hash);
    else
        lua_pushnil(L);
    return 1;
}

void latchkey_token_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "new", f_new },
                                      { "hash", f_hash },
                                      { NULL, NULL } };
    (void)L;
    api_preload(vm, "latchkey.token", funcs);
}
