/* ngx_digest.c -- ngx.md5, ngx.sha1_bin, ngx.hmac_sha1, ngx.crc32_short. */
#include "api/api.h"
#include "api/coerce.h"
#include "crypto/digest.h"

static int push_bytes(lua_State *L, const uint8_t *bytes, size_t len)
{
    lua_pushlstring(L, (const char *)bytes, len);
    return 1;
}

static int f_md5_bin(lua_State *L)
{
    uint8_t sum[DIGEST_MD5];
    digest_md5(coerce_text(L, 1), sum);
    return push_bytes(L, sum, sizeof sum);
}

static int f_md5(lua_State *L)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t sum[DIGEST_MD5], hex[2 * DIGEST_MD5];
    digest_md5(coerce_text(L, 1), sum);
    for (size_t i = 0; i < sizeof sum; i++) {
        hex[2 * i] = (uint8_t)digits[sum[i] >> 4];
        hex[2 * i + 1] = (uint8_t)digits[sum[i] & 15];
    }
    return push_bytes(L, hex, sizeof hex);
}

static int f_sha1_bin(lua_State *L)
{
    uint8_t sum[DIGEST_SHA1];
    digest_sha1(coerce_text(L, 1), sum);
    return push_bytes(L, sum, sizeof sum);
}

static int f_hmac_sha1(lua_State *L)
{
    uint8_t sum[DIGEST_SHA1];
    if (lua_gettop(L) != 2)
        return luaL_error(L, "expecting 2 arguments, but got %d",
                          lua_gettop(L));
    struct slice key = vm_check_slice(L, 1), text = vm_check_slice(L, 2);
    digest_hmac_sha1(key, text, sum);
    return push_bytes(L, sum, sizeof sum);
}

/* The polynomial of zlib and Ethernet, reversed, half a byte at a time. */
static uint32_t crc32(struct slice s)
{
    static const uint32_t steps[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c
    };
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < s.len; i++) {
        crc ^= (uint8_t)s.data[i];
        crc = steps[crc & 15] ^ crc >> 4;
        crc = steps[crc & 15] ^ crc >> 4;
    }
    return ~crc;
}

static int f_crc32(lua_State *L)
{
    lua_pushnumber(L, crc32(coerce_text(L, 1)));
    return 1;
}

void ngx_digest_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = {
        { "md5", f_md5 },           { "md5_bin", f_md5_bin },
        { "sha1_bin", f_sha1_bin }, { "hmac_sha1", f_hmac_sha1 },
        { "crc32_short", f_crc32 }, /* nginx has two tables for one sum */
        { "crc32_long", f_crc32 },  { NULL, NULL }
    };
    vm_register(vm, L, funcs);
}
