/* latchkey_crypto.c -- require "latchkey.crypto": chance, hashes, AES-CBC and
 * comparing, for policies and routes. */
#include "api/api.h"
#include "base/text.h"
#include "crypto/cipher.h"
#include "crypto/digest.h"
#include "crypto/rsa.h"
#include "crypto/secret.h"

enum { RANDOM_MAX = 1024 * 1024 };

static int push_bytes(lua_State *L, const uint8_t *bytes, size_t len)
{
    lua_pushlstring(L, (const char *)bytes, len);
    return 1;
}

/* random(n): n bytes that nobody can guess. */
static int f_random(lua_State *L)
{
    lua_Integer n = luaL_checkinteger(L, 1);
    luaL_argcheck(L, n >= 0 && n <= RANDOM_MAX, 1, "out of range");
    void *bytes = lua_newuserdata(L, (size_t)n);
    if (!secret_random(bytes, (size_t)n))
        return vm_fail(L, "no random numbers");
    push_bytes(L, bytes, (size_t)n);
    secret_wipe(bytes, (size_t)n);
    return 1;
}

static int f_md5(lua_State *L)
{
    uint8_t sum[DIGEST_MD5];
    digest_md5(vm_check_slice(L, 1), sum);
    return push_bytes(L, sum, sizeof sum);
}

static int f_sha1(lua_State *L)
{
    uint8_t sum[DIGEST_SHA1];
    digest_sha1(vm_check_slice(L, 1), sum);
    return push_bytes(L, sum, sizeof sum);
}

static int f_sha256(lua_State *L)
{
    uint8_t sum[DIGEST_SHA256];
    digest_sha256(vm_check_slice(L, 1), sum);
    return push_bytes(L, sum, sizeof sum);
}

static int f_hmac_sha256(lua_State *L)
{
    uint8_t sum[DIGEST_SHA256];
    struct slice key = vm_check_slice(L, 1), text = vm_check_slice(L, 2);
    digest_hmac_sha256(key, text, sum);
    return push_bytes(L, sum, sizeof sum);
}

/* equal(a, b): how long it takes says nothing about where they differ. */
static int f_equal(lua_State *L)
{
    struct slice a = vm_check_slice(L, 1), b = vm_check_slice(L, 2);
    lua_pushboolean(L, secret_equal(a, b));
    return 1;
}

/* ---- texts -------------------------------------------------------------- */

/* A buffer of room bytes that Lua collects, so that nothing leaks where Lua
 * raises.  What is put into it must fit: it cannot grow. */
static struct buf new_room(lua_State *L, size_t room)
{
    return (struct buf){ lua_newuserdata(L, room + 1), 0, room + 1, false };
}

/* Pushes what room holds, or nil and the reason, and wipes it. */
static int push_room(lua_State *L, struct buf *room, const char *fault)
{
    if (!fault)
        vm_push(L, buf_slice(room));
    secret_wipe(room->data, room->cap);
    return fault ? vm_fail(L, fault) : 1;
}

static int f_hex(lua_State *L)
{
    struct slice s = vm_check_slice(L, 1);
    struct buf out = new_room(L, s.len * 2);
    text_hex(&out, s);
    return push_room(L, &out, NULL);
}

static int f_unhex(lua_State *L)
{
    struct slice s = vm_check_slice(L, 1);
    struct buf out = new_room(L, s.len / 2);
    bool ok = text_unhex(&out, s);
    return push_room(L, &out, ok ? NULL : "invalid hex");
}

static int f_base64url(lua_State *L)
{
    struct slice s = vm_check_slice(L, 1);
    struct buf out = new_room(L, (s.len + 2) / 3 * 4);
    text_base64url(&out, s);
    return push_room(L, &out, NULL);
}

static int f_unbase64url(lua_State *L)
{
    struct slice s = vm_check_slice(L, 1);
    struct buf out = new_room(L, s.len / 4 * 3 + 3);
    bool ok = text_unbase64url(&out, s);
    return push_room(L, &out, ok ? NULL : "invalid base64url");
}

/* ---- AES-CBC ------------------------------------------------------------ */

static const char *fault_of(enum err e)
{
    switch (e) {
    case OK:
        return NULL;
    case ERR_REFUSED:
        return "bad padding";
    case ERR_INVALID:
        return "invalid length";
    case ERR_TOO_LARGE:
        return "too large";
    default:
        return "no memory";
    }
}

/* (key, iv, data).  The key's length chooses AES-128, -192 or -256. */
static int run_cbc(lua_State *L, enum err (*run)(struct slice, const uint8_t *,
                                                 struct slice, struct buf *))
{
    struct slice key = vm_check_slice(L, 1), iv = vm_check_slice(L, 2);
    struct slice data = vm_check_slice(L, 3);
    if (!cipher_key_fits(key.len))
        return vm_fail(L, "invalid key");
    if (iv.len != CIPHER_BLOCK)
        return vm_fail(L, "invalid iv");
    struct buf out = new_room(L, data.len + CIPHER_BLOCK);
    enum err e = run(key, (const uint8_t *)iv.data, data, &out);
    return push_room(L, &out, fault_of(e));
}

static int f_aes_cbc_encrypt(lua_State *L)
{
    return run_cbc(L, cipher_cbc_encrypt);
}

static int f_aes_cbc_decrypt(lua_State *L)
{
    return run_cbc(L, cipher_cbc_decrypt);
}

/* rsa_seal(public key in PEM, text) -> bytes; nil, why.  PKCS#1 v1.5. */
static int f_rsa_seal(lua_State *L)
{
    struct slice pem = vm_check_slice(L, 1), text = vm_check_slice(L, 2);
    struct buf out = { 0 };
    luaL_argcheck(L, text.len <= RSA_SEALED_MAX, 2, "too long");
    enum err e = rsa_seal(pem, text, &out);
    if (e == OK)
        vm_push(L, buf_slice(&out));
    buf_free(&out);
    return e == OK ? 1 : vm_fail(L, err_text());
}

void latchkey_crypto_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "random", f_random },
                                      { "md5", f_md5 },
                                      { "sha1", f_sha1 },
                                      { "sha256", f_sha256 },
                                      { "hmac_sha256", f_hmac_sha256 },
                                      { "equal", f_equal },
                                      { "hex", f_hex },
                                      { "unhex", f_unhex },
                                      { "base64url", f_base64url },
                                      { "unbase64url", f_unbase64url },
                                      { "aes_cbc_encrypt", f_aes_cbc_encrypt },
                                      { "aes_cbc_decrypt", f_aes_cbc_decrypt },
                                      { "rsa_seal", f_rsa_seal },
                                      { NULL, NULL } };
    (void)L;
    api_preload(vm, "latchkey.crypto", funcs);
}
