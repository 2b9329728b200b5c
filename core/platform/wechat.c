/* wechat.c -- WeChat mini-programs: code2Session and the error codes. */
#include "platform/platform.h"

static const struct platform_param params[] = {
    { "appid", PLATFORM_APPID, NULL },
    { "secret", PLATFORM_SECRET, NULL },
    { "js_code", PLATFORM_CODE, NULL },
    { "grant_type", PLATFORM_LITERAL, "authorization_code" },
    { NULL, 0, NULL },
};

/* The general return-code table, code2Session's own, and what was observed:
 * 40163, 40164 and 50002 are in neither. */
static const struct platform_error errors[] = {
    { -1, PLATFORM_BUSY, PLATFORM_AGAIN },
    { 40029, PLATFORM_CODE_INVALID, PLATFORM_FINAL },
    { 40163, PLATFORM_CODE_USED, PLATFORM_FINAL },
    { 45009, PLATFORM_RATE_LIMITED, PLATFORM_FINAL }, /* day's quota */
    { 45011, PLATFORM_RATE_LIMITED, PLATFORM_FINAL }, /* minute's */
    { 40226, PLATFORM_USER_BLOCKED, PLATFORM_FINAL },
    { 50002, PLATFORM_USER_BLOCKED, PLATFORM_FINAL },
    { 40002, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* grant_type */
    { 40013, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* appid */
    { 40125, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* secret */
    { 40164, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* our address */
    { 40243, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* secret frozen */
    { 41002, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* no appid */
    { 41004, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* no secret */
    { 50004, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* not ours to call */
    { 50007, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* account frozen */
    { 89501, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* address, again: */
    { 89503, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* to be confirmed */
    { 89506, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* refused, a day */
    { 89507, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* an hour */
    /* Of an access token; where a secret was sent, 40001 is about that. */
    { 40001, PLATFORM_MISCONFIGURED, PLATFORM_REFRESH },
    { 40014, PLATFORM_ERROR, PLATFORM_REFRESH },
    { 41001, PLATFORM_ERROR, PLATFORM_REFRESH },
    { 42001, PLATFORM_ERROR, PLATFORM_REFRESH },
    { 0, PLATFORM_OK, PLATFORM_FINAL },
};

const struct platform platform_wechat = {
    .name = "wechat",
    .base = "https://api.weixin.qq.com",
    .login = { "/sns/jscode2session", PLATFORM_QUERY, params },
    .answer = {
        .status = { "errcode" }, /* left out on success, since 2020 */
        .message = { "errmsg" },
        .openid = "openid",
        .unionid = "unionid",
        .session_key = "session_key",
        .key = PLATFORM_KEY_BASE64,
        .key_size = 16,
    },
    .errors = errors,
    .code_life = 300,
    .server_check = true,
};
