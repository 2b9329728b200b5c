/* douyin.c -- Douyin mini-apps: code2Session v2 and the error codes. */
#include "platform/platform.h"

static const struct platform_param params[] = {
    { "appid", PLATFORM_APPID, NULL },
    { "secret", PLATFORM_SECRET, NULL },
    { "code", PLATFORM_CODE, NULL },
    { "anonymous_code", PLATFORM_ANONYMOUS_CODE, NULL },
    { NULL, 0, NULL },
};

/* Those of code2Session (five digits), of client_token (10xxx), and of the
 * newer open API (eight digits). */
static const struct platform_error errors[] = {
    { -1, PLATFORM_BUSY, PLATFORM_AGAIN },
    { 40018, PLATFORM_CODE_INVALID, PLATFORM_FINAL },  /* used ones too */
    { 40019, PLATFORM_CODE_INVALID, PLATFORM_FINAL },  /* anonymous_code */
    { 40014, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* what is missing */
    { 40015, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* appid */
    { 40017, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* secret */
    { 40020, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* grant_type */
    { 10002, PLATFORM_MISCONFIGURED, PLATFORM_FINAL },
    { 10003, PLATFORM_MISCONFIGURED, PLATFORM_FINAL },
    { 10013, PLATFORM_MISCONFIGURED, PLATFORM_FINAL },
    { 10020, PLATFORM_RATE_LIMITED, PLATFORM_FINAL },
    { 40002, PLATFORM_ERROR, PLATFORM_REFRESH }, /* access token */
    { 28001003, PLATFORM_ERROR, PLATFORM_REFRESH },
    { 28001008, PLATFORM_ERROR, PLATFORM_REFRESH },
    { 28001005, PLATFORM_BUSY, PLATFORM_AGAIN },
    { 28001006, PLATFORM_BUSY, PLATFORM_AGAIN },
    { 28001014, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* not granted */
    { 28001016, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* app banned */
    { 28001018, PLATFORM_MISCONFIGURED, PLATFORM_FINAL },
    { 28001019, PLATFORM_MISCONFIGURED, PLATFORM_FINAL },
    { 28003017, PLATFORM_RATE_LIMITED, PLATFORM_FINAL }, /* quota */
    { 28003018, PLATFORM_RATE_LIMITED, PLATFORM_FINAL },
    { 28005139, PLATFORM_RATE_LIMITED, PLATFORM_FINAL },
    { 28005187, PLATFORM_PHONE_CODE_INVALID, PLATFORM_FINAL },
    { 0, PLATFORM_OK, PLATFORM_FINAL },
};

const struct platform platform_douyin = {
    .name = "douyin",
    .base = "https://developer.toutiao.com",
    .login = { "/api/apps/v2/jscode2session", PLATFORM_JSON, params },
    .answer = {
        .status = { "err_no" },
        .message = { "err_tips" },
        .envelope = "data",
        .openid = "openid",
        .unionid = "unionid",
        .session_key = "session_key",
        .anonymous_openid = "anonymous_openid",
        .key = PLATFORM_KEY_BASE64,
        .key_size = 16,
    },
    .errors = errors,
    .code_life = 180, /* older pages say 3 minutes, newer ones 5 */
    .server_check = false,
};
