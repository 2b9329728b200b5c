/* ndk.c -- ndk.set_var.NAME(value): the functions that nginx's set_misc module
 * has as directives, as far as lua-resty libraries and scripts call them. */
#include "api/api.h"
#include "base/text.h"

static void escape_uri(struct buf *out, struct slice s)
{
    text_escape_uri(out, s);
}

static void unescape_uri(struct buf *out, struct slice s)
{
    text_unescape_uri(out, s, true);
}

static void decode_base64(struct buf *out, struct slice s)
{
    text_unbase64(out, s);
}

static void decode_hex(struct buf *out, struct slice s)
{
    text_unhex(out, s);
}

/* RFC 4648's base32hex in lower case, without padding. */
static void encode_base32(struct buf *out, struct slice s)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < s.len; i++) {
        bits = bits << 8 | (unsigned char)s.data[i];
        for (have += 8; have >= 5; have -= 5)
            buf_add_char(out, digits[bits >> (have - 5) & 31]);
        bits &= (1u << have) - 1;
    }
    if (have)
        buf_add_char(out, digits[bits << (5 - have) & 31]);
}

static void quote_json_str(struct buf *out, struct slice s)
{
    buf_add_char(out, '"');
    text_json_escape(out, s);
    buf_add_char(out, '"');
}

static const struct function {
    const char *name;
    void (*make)(struct buf *out, struct slice s);
    const char *same_as; /* of ngx, where make is NULL */
} functions[] = {
    { "set_escape_uri", escape_uri, NULL },
    { "set_unescape_uri", unescape_uri, NULL },
    { "set_encode_base64", text_base64, NULL },
    { "set_decode_base64", decode_base64, NULL },
    { "set_encode_base32", encode_base32, NULL },
    { "set_encode_hex", text_hex, NULL },
    { "set_decode_hex", decode_hex, NULL },
    { "set_quote_json_str", quote_json_str, NULL },
    { "set_quote_sql_str", NULL, "quote_sql_str" },
    { "set_md5", NULL, "md5" },
};

static const struct function *find(struct slice name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (slice_eq(name, slice_str(functions[i].name)))
            return &functions[i];
    return NULL;
}

static int f_call(lua_State *L)
{
    const struct function *f = lua_touserdata(L, lua_upvalueindex(2));
    struct slice s = lua_isnoneornil(L, 1) ? SLICE("") : vm_check_slice(L, 1);
    struct buf out = { 0 };
    f->make(&out, s);
    vm_push(L, buf_slice(&out));
    buf_free(&out);
    return 1;
}

static int f_index(lua_State *L)
{
    struct slice name = vm_check_slice(L, 2);
    const struct function *f = find(name);
    if (!f)
        return luaL_error(L,
                          "ndk.set_var: directive \"%s\" not found or does "
                          "not use ndk_set_var_value",
                          name.data);
    if (!f->make) {
        lua_getglobal(L, "ngx");
        lua_getfield(L, -1, f->same_as);
        return 1;
    }
    lua_pushlightuserdata(L, vm_of(L));
    lua_pushlightuserdata(L, (void *)(uintptr_t)f);
    lua_pushcclosure(L, f_call, 2);
    return 1;
}

static int f_newindex(lua_State *L)
{
    return luaL_error(L, "not allowed");
}

/* Not under ngx: `ndk` is a global and a module of its own. */
void ndk_open(struct vm *vm, lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    vm_push_function(vm, L, f_index);
    lua_setfield(L, -2, "__index");
    vm_push_function(vm, L, f_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "set_var");
    lua_pushvalue(L, -1);
    lua_setglobal(L, "ndk");
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaded");
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "ndk");
    lua_pop(L, 3);
}
