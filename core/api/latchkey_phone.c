/* latchkey_phone.c -- the phone number in a platform's answer. */
#include "api/latchkey_phone.h"
#include "api/latchkey_keyring.h"
#include "base/text.h"
#include "crypto/rsa.h"
#include "platform/platform_answer.h"

/* The text that is sealed: data itself, or its encrypted_data (one SDK knows
 * such answers). */
static struct slice sealed_text(const json_t *data)
{
    const char *text = json_string_value(data);
    if (!text)
        text = json_string_value(json_object_get(data, "encrypted_data"));
    return slice_str(text);
}

/* The object inside, the caller's; NULL for every fault alike. */
static json_t *unseal(const json_t *data, struct slice private_key)
{
    struct buf sealed = { 0 }, plain = { 0 };
    json_t *object = NULL;
    if (text_unbase64(&sealed, sealed_text(data)) &&
        buf_reserve(&plain, sealed.len) &&
        rsa_open(private_key, buf_slice(&sealed), &plain) == OK)
        object = opendata_parse(buf_slice(&plain));
    buf_free(&sealed);
    buf_wipe(&plain);
    return object;
}

/* The platform answers us, by our token: only a watermark that names another
 * app says that it is not ours. */
static bool is_ours(const json_t *object, struct slice appid)
{
    const json_t *mark = json_object_get(object, "watermark");
    const json_t *theirs = json_object_get(mark, "appid");
    return !json_is_string(theirs) ||
           slice_eq(
               SLICE_OF(json_string_value(theirs), json_string_length(theirs)),
               appid);
}

/* A number of another app is told as a code that is none of ours. */
static bool refuse(struct platform_call *call, enum platform_reason reason,
                   const char *why)
{
    platform_answer_reject(call, why);
    call->reason = reason;
    return false;
}

static bool set_phone(lua_State *L, struct platform_call *call,
                      const json_t *object)
{
    struct opendata_phone phone;
    if (opendata_phone(object, &phone) != OK)
        return refuse(call, PLATFORM_ERROR, "no phone number in the answer");
    if (!is_ours(object, call->values[PLATFORM_APPID]))
        return refuse(call, PLATFORM_PHONE_CODE_INVALID,
                      "the number's watermark is of another app");
    lua_pushstring(L, phone.number);
    lua_setfield(L, -2, "number");
    latchkey_keyring_push_phone(L, &phone);
    lua_setfield(L, -2, "json");
    return true;
}

bool latchkey_phone_set(lua_State *L, struct platform_call *call,
                        const struct platform_field *field,
                        struct slice private_key)
{
    const json_t *data = platform_answer_json(call, field->name);
    if (field->kind == PLATFORM_PHONE)
        return set_phone(L, call, data);
    json_t *object = unseal(data, private_key);
    if (!object)
        return refuse(call, PLATFORM_ERROR,
                      "the number does not open with the private_key");
    bool set = set_phone(L, call, object);
    json_decref(object);
    return set;
}
