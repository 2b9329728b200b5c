/* douyin.c -- Douyin mini-apps: the calls and the error codes. */
#include "platform/platform.h"

/* code2Session, version 2 */
static const struct platform_param login_params[] = {
    { "appid", PLATFORM_APPID, NULL, 0 },
    { "secret", PLATFORM_SECRET, NULL, 0 },
    { "code", PLATFORM_CODE, NULL, 0 },
    { "anonymous_code", PLATFORM_ANONYMOUS_CODE, NULL, 0 },
    { NULL, 0, NULL, 0 },
};

/* A key that comes with an anonymous login is kept: the documentation says
 * that there is none, one SDK's test wants one. */
static const struct platform_field login_fields[] = {
    { "openid", "data.openid", PLATFORM_TEXT, PLATFORM_CODE, 0, 0 },
    { "unionid", "data.unionid", PLATFORM_TEXT, 0, 0, 0 },
    { "anonymous_openid", "data.anonymous_openid", PLATFORM_TEXT,
      PLATFORM_ANONYMOUS_CODE, PLATFORM_CODE, 0 },
    { "key", "data.session_key", PLATFORM_KEY_BASE64, PLATFORM_CODE, 0, 16 },
    { NULL, NULL, 0, 0, 0, 0 },
};

static const struct platform_param token_params[] = {
    { "appid", PLATFORM_APPID, NULL, 0 },
    { "secret", PLATFORM_SECRET, NULL, 0 },
    { "grant_type", PLATFORM_LITERAL, "client_credential", 0 },
    { NULL, 0, NULL, 0 },
};

static const struct platform_param client_token_params[] = {
    { "client_key", PLATFORM_APPID, NULL, 0 },
    { "client_secret", PLATFORM_SECRET, NULL, 0 },
    { "grant_type", PLATFORM_LITERAL, "client_credential", 0 },
    { NULL, 0, NULL, 0 },
};

static const struct platform_field token_fields[] = {
    { "access_token", "data.access_token", PLATFORM_TEXT, PLATFORM_APPID, 0,
      1024 },
    { "expires_in", "data.expires_in", PLATFORM_NUMBER, PLATFORM_APPID, 0, 0 },
    { NULL, NULL, 0, 0, 0, 0 },
};

static const struct platform_param phone_params[] = {
    { "access-token", PLATFORM_TOKEN, NULL, PLATFORM_IN_HEADER },
    { "code", PLATFORM_CODE, NULL, 0 },
    { NULL, 0, NULL, 0 },
};

static const struct platform_field phone_fields[] = {
    { "phone", "data", PLATFORM_SEALED_PHONE, PLATFORM_APPID, 0, 0 },
    { NULL, NULL, 0, 0, 0, 0 },
};

/* 28001007, a bad parameter: the code is all that may be bad. */
static const struct platform_error phone_errors[] = {
    { 28001007, PLATFORM_PHONE_CODE_INVALID, PLATFORM_FINAL },
    { 0, PLATFORM_OK, PLATFORM_FINAL },
};

/* Of mini-games only; what is signed is the empty string, as the official
 * examples suggest. */
static const struct platform_param signed_params[] = {
    { "access_token", PLATFORM_TOKEN, NULL, 0 },
    { "openid", PLATFORM_OPENID, NULL, 0 },
    { "sig_method", PLATFORM_LITERAL, "hmac_sha256", 0 },
    { "signature", PLATFORM_SIGNATURE, NULL, 0 },
    { NULL, 0, NULL, 0 },
};

static const struct platform_field reset_fields[] = {
    { "openid", "openid", PLATFORM_TEXT, 0, 0, 0 },
    { "key", "session_key", PLATFORM_KEY_BASE64, PLATFORM_APPID, 0, 16 },
    { NULL, NULL, 0, 0, 0, 0 },
};

#define SAYS .status = { "err_no" }, .message = { "err_tips", "err_msg" }

static const struct platform_api apis[] = {
    { .name = "code2session",
      .path = "/api/apps/v2/jscode2session",
      .form = PLATFORM_JSON,
      .params = login_params,
      .answer = { SAYS, .fields = login_fields } },
    { .name = "token",
      .about = PLATFORM_ABOUT_US,
      .path = "/api/apps/v2/token",
      .form = PLATFORM_JSON,
      .params = token_params,
      .answer = { SAYS, .fields = token_fields } },
    { .name = "client_token",
      .about = PLATFORM_ABOUT_US,
      .path = "/oauth/client_token/",
      .form = PLATFORM_JSON,
      .params = client_token_params,
      .answer = { .status = { "data.error_code" },
                  .message = { "data.description", "message" },
                  .fields = token_fields },
      .host = PLATFORM_OPEN },
    { .name = "phone_number",
      .about = PLATFORM_ABOUT_PHONE,
      .path = "/api/apps/v1/get_phonenumber_info/",
      .form = PLATFORM_JSON,
      .params = phone_params,
      .answer = { SAYS, .fields = phone_fields },
      .token = "client_token",
      .host = PLATFORM_OPEN,
      .repeat = PLATFORM_NEVER_REPEAT,
      .errors = phone_errors },
    { .name = "check_session",
      .about = PLATFORM_ABOUT_KEY,
      .path = "/mgplatform/api/apps/check_session_key",
      .form = PLATFORM_QUERY,
      .params = signed_params,
      .answer = { SAYS, .must_say = true },
      .token = "token",
      .host = PLATFORM_GAME },
    { .name = "reset_session_key",
      .about = PLATFORM_ABOUT_KEY,
      .path = "/mgplatform/api/apps/reset_session_key",
      .form = PLATFORM_JSON,
      .params = signed_params,
      .answer = { SAYS, .fields = reset_fields },
      .token = "token",
      .host = PLATFORM_GAME,
      .repeat = PLATFORM_NEVER_REPEAT },
    { .name = NULL },
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
    { 28001039, PLATFORM_KEY_STALE, PLATFORM_FINAL }, /* signature */
    { 28005187, PLATFORM_PHONE_CODE_INVALID, PLATFORM_FINAL },
    { 0, PLATFORM_OK, PLATFORM_FINAL },
};

const struct platform platform_douyin = {
    .name = "douyin",
    .hosts = { [PLATFORM_APP] = "https://developer.toutiao.com",
               [PLATFORM_OPEN] = "https://open.douyin.com",
               [PLATFORM_GAME] = "https://minigame.zijieapi.com" },
    .apis = apis,
    .errors = errors,
    .code_life = 180, /* older pages say 3 minutes, newer ones 5 */
    .server_check = false,
};
