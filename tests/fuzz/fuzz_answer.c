/* fuzz_answer.c -- whatever a platform says, its fields are whole or none.
 *
 * The first byte chooses the call, the others are the answer. */
#include "platform/platform_answer.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static const struct platform_api *choose(struct platform_call *call, uint8_t n)
{
    static const struct platform *const all[] = { &platform_wechat,
                                                  &platform_douyin };
    call->platform = all[n % 2];
    const struct platform_api *api = call->platform->apis;
    for (n /= 2; n && api[1].name; n--)
        api++;
    return api;
}

static void check_field(const struct platform_call *call,
                        const struct platform_field *field)
{
    size_t len = strlen(platform_answer_text(call, field->name));
    if (field->kind == PLATFORM_TEXT)
        check(len <= (field->size ? field->size : PLATFORM_ID));
    if (field->with && call->values[field->with].len &&
        !call->values[field->less].len)
        check(platform_answer_json(call, field->name) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct platform_call call = { .values = { [PLATFORM_APPID] = SLICE("a"),
                                              [PLATFORM_SECRET] = SLICE("s"),
                                              [PLATFORM_CODE] = SLICE("c") } };
    if (!size)
        return 0;
    call.api = choose(&call, *data);
    platform_answer_read(&call, SLICE_OF(data + 1, size - 1));
    check((call.reason == PLATFORM_OK) == (call.answer != NULL));
    check(strlen(call.errmsg) < sizeof call.errmsg);
    const struct platform_field *field = call.api->answer.fields;
    for (; call.answer && field && field->name; field++)
        check_field(&call, field);
    platform_answer_drop(&call);
    return 0;
}
