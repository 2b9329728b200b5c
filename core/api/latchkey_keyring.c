/* latchkey_keyring.c -- `require "latchkey.keyring"`: a user's session keys
 * as a handle that opens, signs and verifies, and never shows a key. */
#include "api/latchkey_keyring.h"
#include "api/api.h"
#include "api/json.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/secret.h"
#include "login/opendata.h"
#include "login/signature.h"

static const char ring_class[] = "latchkey.keyring";
#define KEY "latchkey.session_key"
#define RULES "latchkey.opendata_rules"

struct keyring *latchkey_keyring_push(lua_State *L)
{
    struct keyring *ring = lua_newuserdata(L, sizeof *ring);
    *ring = (struct keyring){ 0 };
    luaL_getmetatable(L, ring_class);
    lua_setmetatable(L, -2);
    return ring;
}

struct keyring *latchkey_keyring_test(lua_State *L, int index)
{
    return vm_test(L, index, ring_class);
}

struct keyring *latchkey_keyring_check(lua_State *L, int index)
{
    struct keyring *ring = latchkey_keyring_test(L, index);
    return ring ? ring : luaL_checkudata(L, index, ring_class);
}

void latchkey_keyring_push_key(lua_State *L, struct slice text)
{
    struct session_key *key = lua_newuserdata(L, sizeof *key);
    *key = (struct session_key){ 0 };
    if (text.len <= KEYRING_TEXT) {
        memcpy(key->text, text.data, text.len);
        key->len = (uint8_t)text.len;
    }
    luaL_getmetatable(L, KEY);
    lua_setmetatable(L, -2);
}

struct session_key *latchkey_keyring_newest(lua_State *L, int index)
{
    struct keyring *ring = latchkey_keyring_test(L, index);
    if (ring)
        return ring->count ? &ring->keys[0] : NULL;
    return luaL_testudata(L, index, KEY);
}

static int f_key_gc(lua_State *L)
{
    secret_wipe(lua_touserdata(L, 1), sizeof(struct session_key));
    return 0;
}

static int f_gc(lua_State *L)
{
    keyring_wipe(latchkey_keyring_check(L, 1));
    return 0;
}

/* keyring.new() -> an empty ring */
static int f_new(lua_State *L)
{
    latchkey_keyring_push(L);
    return 1;
}

static int f_len(lua_State *L)
{
    lua_pushinteger(L, latchkey_keyring_check(L, 1)->count);
    return 1;
}

static uint64_t check_time(lua_State *L, int index)
{
    lua_Number n = luaL_checknumber(L, index);
    luaL_argcheck(L, n >= 0 && n < 1e15, index, "not a time");
    return (uint64_t)n;
}

/* ring:push(key, now) -> true; the key comes in front. */
static int f_push(lua_State *L)
{
    struct keyring *ring = latchkey_keyring_check(L, 1);
    struct session_key *key = luaL_checkudata(L, 2, KEY);
    lua_pushboolean(L, keyring_push(ring, keyring_text(key), check_time(L, 3)));
    return 1;
}

/* ring:trim(keep, window, now): what the policy lets it hold. */
static int f_trim(lua_State *L)
{
    struct keyring *ring = latchkey_keyring_check(L, 1);
    lua_Integer keep = luaL_checkinteger(L, 2);
    luaL_argcheck(L, keep >= 1, 2, "at least 1");
    keyring_trim(ring, check_time(L, 4), (unsigned)keep, check_time(L, 3));
    return 0;
}

static struct slice field_slice(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name); /* the table keeps it alive */
    struct slice s = vm_slice(L, -1);
    lua_pop(L, 1);
    return s;
}

static uint64_t field_number(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    lua_Number n = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return n > 0 ? (uint64_t)n : 0;
}

static bool field_bool(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    bool b = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return b;
}

/* keyring.rules{appid, max_age, skew, keep, window, phone, watermark, hex} ->
 * what ring:open asks of data and keys, as a handle: a policy has the same all
 * day.  Seconds. */
static int f_rules(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    struct slice appid = field_slice(L, 1, "appid");
    struct opendata_rules *rules =
        lua_newuserdata(L, sizeof *rules + appid.len);
    char *copy = (char *)(rules + 1);
    if (appid.len)
        memcpy(copy, appid.data, appid.len);
    *rules = (struct opendata_rules){
        .appid = SLICE_OF(copy, appid.len),
        .max_age = field_number(L, 1, "max_age"),
        .skew = field_number(L, 1, "skew"),
        .window = field_number(L, 1, "window"),
        .keep = (unsigned)field_number(L, 1, "keep"),
        .need_phone = field_bool(L, 1, "phone"),
        .need_watermark = field_bool(L, 1, "watermark"),
        .hex = field_bool(L, 1, "hex"),
    };
    luaL_getmetatable(L, RULES);
    lua_setmetatable(L, -2);
    return 1;
}

/* The object; a phone's countryCode is a string, whatever came. */
static void push_object(lua_State *L, const json_t *object)
{
    struct opendata_phone phone;
    json_push(L, object);
    if (json_is_number(json_object_get(object, "countryCode")) &&
        opendata_phone(object, &phone) == OK) {
        lua_pushstring(L, phone.country);
        lua_setfield(L, -2, "countryCode");
    }
}

static void add_member(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, "\"%s\":\"", name);
    text_json_escape(out, slice_str(value));
    buf_add_char(out, '"');
}

void latchkey_keyring_push_phone(lua_State *L,
                                 const struct opendata_phone *phone)
{
    struct buf json = { 0 };
    buf_add_char(&json, '{');
    add_member(&json, "phoneNumber", phone->number);
    buf_add_char(&json, ',');
    add_member(&json, "purePhoneNumber", phone->pure);
    buf_add_char(&json, ',');
    add_member(&json, "countryCode", phone->country);
    buf_add_char(&json, '}');
    vm_push(L, buf_slice(&json));
    buf_wipe(&json);
}

/* What was asked for, or the refusal. */
static int push_opened(lua_State *L, enum err e, bool phone,
                       struct opendata *opened)
{
    struct opendata_phone found;
    if (e == OK && phone && opendata_phone(opened->object, &found) == OK) {
        lua_pushstring(L, found.number);
        lua_pushinteger(L, opened->rank);
        latchkey_keyring_push_phone(L, &found);
        return 3;
    }
    if (e == OK) {
        push_object(L, opened->object);
        lua_pushinteger(L, opened->rank);
        return 2;
    }
    lua_pushnil(L);
    if (e == ERR_REFUSED) {
        lua_pushstring(L, opendata_cause_name(opened->cause));
        return 2;
    }
    lua_pushstring(L, e == ERR_INVALID ? "malformed" : err_name(e));
    lua_pushstring(L, err_text());
    return 3;
}

/* ring:open(rules, data, iv, openid or nil, now) -> object, rank; under rules
 * of a phone: the number, rank, {phoneNumber, purePhoneNumber, countryCode}
 * as JSON; nil, cause; nil, "malformed", which field and how. */
static int f_open(lua_State *L)
{
    struct keyring *ring = latchkey_keyring_check(L, 1);
    struct opendata_rules rules =
        *(struct opendata_rules *)luaL_checkudata(L, 2, RULES);
    struct slice data = vm_slice(L, 3), iv = vm_slice(L, 4);
    rules.openid = vm_slice(L, 5);
    rules.now = check_time(L, 6);
    struct opendata opened;
    enum err e = opendata_open(ring, data, iv, &rules, &opened);
    int n = push_opened(L, e, rules.need_phone, &opened);
    json_decref(opened.object);
    return n;
}

/* ring:signed(rawData, signature) -> rank of the key that signed it, or nil */
static int f_signed(lua_State *L)
{
    int rank = signature_rank(latchkey_keyring_check(L, 1),
                              vm_check_slice(L, 2), vm_check_slice(L, 3));
    if (rank >= 0)
        lua_pushinteger(L, rank);
    else
        lua_pushnil(L);
    return 1;
}

/* ring:hmac(message) -> hex HMAC-SHA256 with the newest key's text, as
 * WeChat's signed calls want it; nil where the ring is empty. */
static int f_hmac(lua_State *L)
{
    struct keyring *ring = latchkey_keyring_check(L, 1);
    struct slice message = vm_check_slice(L, 2);
    char hex[SIGNATURE_HMAC];
    if (!ring->count)
        return vm_fail(L, "no key");
    signature_hmac(keyring_text(&ring->keys[0]), message, hex);
    lua_pushstring(L, hex);
    return 1;
}

static unsigned check_rank(lua_State *L, const struct keyring *ring, int index)
{
    lua_Integer rank = luaL_checkinteger(L, index);
    luaL_argcheck(L, rank >= 0 && rank < (lua_Integer)ring->count, index,
                  "no such key");
    return (unsigned)rank;
}

/* ring:checked(now): the platform has been asked about the newest key. */
static int f_checked(lua_State *L)
{
    struct keyring *ring = latchkey_keyring_check(L, 1);
    keyring_checked(ring, check_time(L, 2));
    return 0;
}

/* ring:unchecked(now) -> seconds since a login brought the newest key or the
 * platform was asked about it; nil where there is none. */
static int f_unchecked(lua_State *L)
{
    const struct keyring *ring = latchkey_keyring_check(L, 1);
    uint64_t now = check_time(L, 2);
    if (!ring->count)
        return 0;
    const struct session_key *key = &ring->keys[0];
    uint64_t last = key->checked > key->learnt ? key->checked : key->learnt;
    lua_pushinteger(L, now > last ? (lua_Integer)(now - last) : 0);
    return 1;
}

/* ring:same(other) -> whether both have the same newest key */
static int f_same(lua_State *L)
{
    const struct keyring *ring = latchkey_keyring_check(L, 1);
    const struct keyring *other = latchkey_keyring_check(L, 2);
    lua_pushboolean(L, ring->count && other->count &&
                           secret_equal(keyring_text(&ring->keys[0]),
                                        keyring_text(&other->keys[0])));
    return 1;
}

/* ring:used(rank, now) */
static int f_used(lua_State *L)
{
    struct keyring *ring = latchkey_keyring_check(L, 1);
    keyring_used(ring, check_rank(L, ring, 2), check_time(L, 3));
    return 0;
}

/* ring:judge(verdict, now): "good" or "stale", of the newest key. */
static int f_judge(lua_State *L)
{
    static const char *const verdicts[] = { "unknown", "good", "stale", NULL };
    struct keyring *ring = latchkey_keyring_check(L, 1);
    int verdict = luaL_checkoption(L, 2, NULL, verdicts);
    if (ring->count)
        keyring_judge(ring, 0, (enum keyring_verdict)verdict, check_time(L, 3));
    return 0;
}

static void push_age(lua_State *L, uint64_t now, uint64_t when)
{
    if (when)
        lua_pushinteger(L, now > when ? (lua_Integer)(now - when) : 0);
    else
        lua_pushnil(L);
}

/* ring:info(now) -> verdict, age, verified_ago (seconds or nil) of the newest
 * key; nil where there is none. */
static int f_info(lua_State *L)
{
    const struct keyring *ring = latchkey_keyring_check(L, 1);
    uint64_t now = check_time(L, 2);
    if (!ring->count)
        return 0;
    const struct session_key *key = &ring->keys[0];
    vm_push_word(
        L, slice_str(keyring_verdict_name((enum keyring_verdict)key->verdict)));
    push_age(L, now, key->learnt);
    push_age(L, now, key->verified);
    return 3;
}

/* Names a key without telling anything of it: 128 random bits behind 32 of a
 * hash. */
static void push_id(lua_State *L, const struct session_key *key)
{
    enum { ID = 4 };
    uint8_t hash[DIGEST_SHA256];
    struct buf hex = { 0 };
    digest_sha256(keyring_text(key), hash);
    text_hex(&hex, SLICE_OF(hash, ID));
    vm_push(L, buf_slice(&hex));
    buf_free(&hex);
}

/* ring:id(rank) -> a name of that key for operators; nil: no such key */
static int f_id(lua_State *L)
{
    const struct keyring *ring = latchkey_keyring_check(L, 1);
    lua_Integer rank = luaL_checkinteger(L, 2);
    if (rank < 0 || rank >= (lua_Integer)ring->count)
        return 0;
    push_id(L, &ring->keys[rank]);
    return 1;
}

/* ring:list(now) -> {{id, age, used_ago, verified_ago, verdict}, ...}, the
 * newest first. */
static int f_list(lua_State *L)
{
    const struct keyring *ring = latchkey_keyring_check(L, 1);
    uint64_t now = check_time(L, 2);
    lua_createtable(L, (int)ring->count, 0);
    for (unsigned i = 0; i < ring->count; i++) {
        const struct session_key *key = &ring->keys[i];
        lua_createtable(L, 0, 5);
        push_id(L, key);
        lua_setfield(L, -2, "id");
        push_age(L, now, key->learnt);
        lua_setfield(L, -2, "age");
        push_age(L, now, key->used);
        lua_setfield(L, -2, "used_ago");
        push_age(L, now, key->verified);
        lua_setfield(L, -2, "verified_ago");
        lua_pushstring(
            L, keyring_verdict_name((enum keyring_verdict)key->verdict));
        lua_setfield(L, -2, "verdict");
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

/* keyring.repair(text) -> text with '+' for blanks, whether there were any */
static int f_repair(lua_State *L)
{
    struct slice text = vm_check_slice(L, 1);
    struct buf out = { 0 };
    bool repaired = opendata_repair(text, &out);
    vm_push(L, repaired ? buf_slice(&out) : text);
    buf_free(&out);
    lua_pushboolean(L, repaired);
    return 2;
}

void latchkey_keyring_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "new", f_new },
                                      { "rules", f_rules },
                                      { "repair", f_repair },
                                      { NULL, NULL } };
    static const luaL_Reg methods[] = {
        { "push", f_push },   { "trim", f_trim },
        { "open", f_open },   { "signed", f_signed },
        { "hmac", f_hmac },   { "used", f_used },
        { "judge", f_judge }, { "info", f_info },
        { "id", f_id },       { "list", f_list },
        { "same", f_same },   { "checked", f_checked },
        { "__len", f_len },   { "unchecked", f_unchecked },
        { "__gc", f_gc },     { NULL, NULL }
    };
    static const luaL_Reg key_methods[] = { { "__gc", f_key_gc },
                                            { NULL, NULL } };
    (void)L;
    vm_class(vm, ring_class, methods);
    vm_class(vm, KEY, key_methods);
    luaL_newmetatable(vm->L, RULES);
    lua_pop(vm->L, 1);
    api_preload(vm, "latchkey.keyring", funcs);
}
