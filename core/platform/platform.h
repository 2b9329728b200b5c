/* platform.h -- a mini-program platform as data.
 *
 * How its login call is made, how the answer is read, what its error codes
 * mean.  One engine (platform_login.h) runs them all; wechat.c and douyin.c
 * are tables, and a script's driver may fill the same struct. */
#pragma once
#include "base/slice.h"

/* Why a platform refused, as the API words it (platform_reason_name). */
enum platform_reason {
    PLATFORM_OK,
    PLATFORM_CODE_INVALID,
    PLATFORM_CODE_USED,
    PLATFORM_PHONE_CODE_INVALID,
    PLATFORM_USER_BLOCKED,
    PLATFORM_RATE_LIMITED,
    PLATFORM_MISCONFIGURED,
    PLATFORM_BUSY,
    PLATFORM_ERROR,
    PLATFORM_TIMEOUT,
    PLATFORM_REASONS
};

/* What may be done about an error code by the one who made the call. */
enum platform_retry {
    PLATFORM_FINAL,   /* nothing */
    PLATFORM_AGAIN,   /* the same call, a little later */
    PLATFORM_REFRESH, /* a new access token, then the same call, once */
};

struct platform_error {
    long code; /* 0 ends a table */
    enum platform_reason reason;
    enum platform_retry retry;
};

enum platform_value {
    PLATFORM_LITERAL,
    PLATFORM_APPID,
    PLATFORM_SECRET,
    PLATFORM_CODE,
    PLATFORM_ANONYMOUS_CODE,
    PLATFORM_VALUES
};

struct platform_param {
    const char *name; /* NULL ends a list */
    enum platform_value value;
    const char *text; /* of a PLATFORM_LITERAL */
};

/* Where the parameters travel; query is a GET, the others are POSTs. */
enum platform_form { PLATFORM_QUERY, PLATFORM_JSON, PLATFORM_FORM };

struct platform_call {
    const char *path;
    enum platform_form form;
    const struct platform_param *params; /* a value that is empty is left out */
};

enum platform_key {
    PLATFORM_KEY_NONE, /* none is expected; a text that comes is kept */
    PLATFORM_KEY_BASE64,
    PLATFORM_KEY_HEX
};

enum { PLATFORM_STATUS = 3 };

/* Member names; NULL: this platform has no such member.  An answer is a
 * success where each status member that is there equals ok; unless ok is 0
 * the first must be there.  Otherwise its error code is the first that
 * differs.  Identities are in the envelope, where there is one. */
struct platform_answer {
    const char *status[PLATFORM_STATUS]; /* the most precise first */
    long ok;
    const char *message[PLATFORM_STATUS]; /* the first that is there */
    const char *envelope;
    const char *openid, *unionid, *session_key, *anonymous_openid;
    enum platform_key key;
    size_t key_size; /* bytes that a key's text decodes to; 0: any */
};

struct platform {
    const char *name;
    const char *base; /* default base URL */
    struct platform_call login;
    struct platform_answer answer;
    const struct platform_error *errors;
    unsigned code_life; /* seconds that a login code lives */
    bool server_check;  /* our server can ask whether a key is still good */
};

extern const struct platform platform_wechat, platform_douyin;

/* A built-in platform, or NULL. */
const struct platform *platform_find(struct slice name);

/* What code means.  Never NULL: a code that the table does not know is a
 * final PLATFORM_ERROR. */
const struct platform_error *platform_error(const struct platform *p,
                                            long code);

/* "code_invalid", "platform_busy", ...; "ok" for PLATFORM_OK. */
const char *platform_reason_name(enum platform_reason reason);
