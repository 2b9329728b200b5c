/* wechat.c -- WeChat mini-programs: the calls and the error codes. */
#include "platform/platform.h"

static const struct platform_param login_params[] = {
    { "appid", PLATFORM_APPID, NULL, 0 },
    { "secret", PLATFORM_SECRET, NULL, 0 },
    { "js_code", PLATFORM_CODE, NULL, 0 },
    { "grant_type", PLATFORM_LITERAL, "authorization_code", 0 },
    { NULL, 0, NULL, 0 },
};

static const struct platform_field login_fields[] = {
    { "openid", "openid", PLATFORM_TEXT, PLATFORM_APPID, 0, 0 },
    { "unionid", "unionid", PLATFORM_TEXT, 0, 0, 0 },
    { "key", "session_key", PLATFORM_KEY_BASE64, PLATFORM_APPID, 0, 16 },
    { NULL, NULL, 0, 0, 0, 0 },
};

static const struct platform_param stable_token_params[] = {
    { "grant_type", PLATFORM_LITERAL, "client_credential", 0 },
    { "appid", PLATFORM_APPID, NULL, 0 },
    { "secret", PLATFORM_SECRET, NULL, 0 },
    { "force_refresh", PLATFORM_FORCE, NULL, PLATFORM_BARE },
    { NULL, 0, NULL, 0 },
};

static const struct platform_param token_params[] = {
    { "grant_type", PLATFORM_LITERAL, "client_credential", 0 },
    { "appid", PLATFORM_APPID, NULL, 0 },
    { "secret", PLATFORM_SECRET, NULL, 0 },
    { NULL, 0, NULL, 0 },
};

static const struct platform_field token_fields[] = {
    { "access_token", "access_token", PLATFORM_TEXT, PLATFORM_APPID, 0, 1024 },
    { "expires_in", "expires_in", PLATFORM_NUMBER, PLATFORM_APPID, 0, 0 },
    { NULL, NULL, 0, 0, 0, 0 },
};

/* In the query, as the example and the SDKs have it; the table of the
 * documentation says "body".  Signed is the empty string. */
static const struct platform_param signed_params[] = {
    { "access_token", PLATFORM_TOKEN, NULL, 0 },
    { "openid", PLATFORM_OPENID, NULL, 0 },
    { "signature", PLATFORM_SIGNATURE, NULL, 0 },
    { "sig_method", PLATFORM_LITERAL, "hmac_sha256", 0 },
    { NULL, 0, NULL, 0 },
};

static const struct platform_field reset_fields[] = {
    { "openid", "openid", PLATFORM_TEXT, 0, 0, 0 },
    { "key", "session_key", PLATFORM_KEY_BASE64, PLATFORM_APPID, 0, 16 },
    { NULL, NULL, 0, 0, 0, 0 },
};

static const struct platform_param phone_params[] = {
    { "access_token", PLATFORM_TOKEN, NULL, PLATFORM_IN_URL },
    { "code", PLATFORM_CODE, NULL, 0 },
    { "openid", PLATFORM_OPENID, NULL, 0 },
    { NULL, 0, NULL, 0 },
};

static const struct platform_field phone_fields[] = {
    { "phone", "phone_info", PLATFORM_PHONE, PLATFORM_APPID, 0, 0 },
    { NULL, NULL, 0, 0, 0, 0 },
};

/* Here 40001 is about the token, not about a secret. */
static const struct platform_error token_errors[] = {
    { 40001, PLATFORM_ERROR, PLATFORM_REFRESH },
    { 0, PLATFORM_OK, PLATFORM_FINAL },
};

/* A login's code, a used one and another app's are all no phone code; 40003
 * says that it is another user's. */
static const struct platform_error phone_errors[] = {
    { 40001, PLATFORM_ERROR, PLATFORM_REFRESH },
    { 40003, PLATFORM_PHONE_CODE_INVALID, PLATFORM_FINAL },
    { 40013, PLATFORM_PHONE_CODE_INVALID, PLATFORM_FINAL },
    { 0, PLATFORM_OK, PLATFORM_FINAL },
};

/* errcode is left out on success, since 2020, but where must_say. */
#define SAYS .status = { "errcode" }, .message = { "errmsg" }

static const struct platform_api apis[] = {
    { .name = "code2session",
      .path = "/sns/jscode2session",
      .form = PLATFORM_QUERY,
      .params = login_params,
      .answer = { SAYS, .fields = login_fields } },
    { .name = "stable_token",
      .about = PLATFORM_ABOUT_US,
      .path = "/cgi-bin/stable_token",
      .form = PLATFORM_JSON,
      .params = stable_token_params,
      .answer = { SAYS, .fields = token_fields } },
    { .name = "token",
      .about = PLATFORM_ABOUT_US,
      .path = "/cgi-bin/token",
      .form = PLATFORM_QUERY,
      .params = token_params,
      .answer = { SAYS, .fields = token_fields } },
    { .name = "check_session",
      .about = PLATFORM_ABOUT_KEY,
      .path = "/wxa/checksession",
      .form = PLATFORM_QUERY,
      .params = signed_params,
      .answer = { SAYS, .must_say = true },
      .token = "stable_token",
      .errors = token_errors },
    { .name = "reset_session_key",
      .about = PLATFORM_ABOUT_KEY,
      .path = "/wxa/resetusersessionkey",
      .form = PLATFORM_QUERY,
      .params = signed_params,
      .answer = { SAYS, .fields = reset_fields },
      .token = "stable_token",
      .repeat = PLATFORM_NEVER_REPEAT,
      .errors = token_errors },
    { .name = "phone_number",
      .about = PLATFORM_ABOUT_PHONE,
      .path = "/wxa/business/getuserphonenumber",
      .form = PLATFORM_JSON,
      .params = phone_params,
      .answer = { SAYS, .fields = phone_fields },
      .token = "stable_token",
      .repeat = PLATFORM_NEVER_REPEAT,
      .errors = phone_errors },
    { .name = NULL },
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
    { 48001, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* no permission */
    { 48004, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* permission taken */
    { 50001, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* not authorized */
    { 50004, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* not ours to call */
    { 50007, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* account frozen */
    { 89501, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* address, again: */
    { 89503, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* to be confirmed */
    { 89506, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* refused, a day */
    { 89507, PLATFORM_MISCONFIGURED, PLATFORM_FINAL }, /* an hour */
    { 87009, PLATFORM_KEY_STALE, PLATFORM_FINAL },     /* signature */
    /* Of an access token; where a secret was sent, 40001 is about that. */
    { 40001, PLATFORM_MISCONFIGURED, PLATFORM_REFRESH },
    { 40014, PLATFORM_ERROR, PLATFORM_REFRESH },
    { 41001, PLATFORM_ERROR, PLATFORM_REFRESH },
    { 42001, PLATFORM_ERROR, PLATFORM_REFRESH },
    { 0, PLATFORM_OK, PLATFORM_FINAL },
};

const struct platform platform_wechat = {
    .name = "wechat",
    .hosts = { [PLATFORM_APP] = "https://api.weixin.qq.com" },
    .apis = apis,
    .errors = errors,
    .code_life = 300,
    .server_check = true,
};
