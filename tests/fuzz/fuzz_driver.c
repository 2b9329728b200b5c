/* fuzz_driver.c -- whatever is said to a script's driver, which has fields of
 * all kinds: they are as its row wants them, or there is no answer.
 *
 * The first byte says what the row asks, the others are the answer. */
#include "platform/platform_answer.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct platform_field fields[] = {
    { .name = "openid", .path = "data.user.openid", .with = PLATFORM_CODE },
    { .name = "unionid", .path = "unionid", .size = 4 },
    { .name = "life", .path = "data.life", .kind = PLATFORM_NUMBER },
    { .name = "plain", .path = "a.b.c.d.e.f", .kind = PLATFORM_KEY_TEXT },
    { .name = "key", .path = "key", .kind = PLATFORM_KEY_BASE64, .size = 16 },
    { .name = "hex", .path = "hex", .kind = PLATFORM_KEY_HEX },
    { .name = "phone", .path = "phone", .kind = PLATFORM_PHONE },
    { .name = "sealed", .path = "sealed", .kind = PLATFORM_SEALED_PHONE },
    { .name = NULL }
};
static const struct platform_error errors[] = {
    { 7, PLATFORM_CODE_USED, PLATFORM_FINAL },
    { -1, PLATFORM_BUSY, PLATFORM_AGAIN },
    { 0 }
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_answer(const struct platform_call *call)
{
    size_t openid = strlen(platform_answer_text(call, "openid"));
    check(openid <= PLATFORM_ID);
    check(openid || !call->values[PLATFORM_CODE].len);
    check(strlen(platform_answer_text(call, "unionid")) <= 4);
    platform_answer_number(call, "life");
    platform_answer_number(call, "openid");
    platform_answer_text(call, "phone");
    const json_t *phone = platform_answer_json(call, "phone");
    check(!phone || json_is_object(phone));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t how = size ? data[0] : 0;
    struct platform_api apis[] = {
        { .name = "login",
          .about = (enum platform_about)(how % PLATFORM_ABOUTS),
          .answer = { .status = { "data.code", how & 16 ? "error" : NULL },
                      .ok = how & 32 ? 1 : 0,
                      .must_say = how & 64,
                      .message = { "msg", "data.msg" },
                      .fields = fields } },
        { .name = NULL }
    };
    const struct platform driver = { .name = "mine",
                                     .apis = apis,
                                     .errors = errors };
    struct platform_call call = { .platform = &driver, .api = apis };
    if (how & 128)
        call.values[PLATFORM_CODE] = SLICE("c");
    platform_answer_read(&call, slice_from(SLICE_OF(data, size), 1));
    check((call.reason == PLATFORM_OK) == (call.answer != NULL));
    check(strlen(call.errmsg) < sizeof call.errmsg);
    if (call.answer)
        check_answer(&call);
    platform_answer_drop(&call);
    return 0;
}
