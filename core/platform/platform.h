/* platform.h -- a mini-program platform as data.
 *
 * Each of its calls is a row: how it is made, how the answer is read, what
 * its error codes mean.  One engine (platform_call.h) runs them all; wechat.c
 * and douyin.c are tables, and a script's driver may fill the same structs. */
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
    PLATFORM_KEY_STALE, /* a signature by a session key that is over */
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

/* What a call is made of; each is what the caller gives, but a literal. */
enum platform_value {
    PLATFORM_LITERAL,
    PLATFORM_APPID,
    PLATFORM_SECRET,
    PLATFORM_CODE, /* a login's or a phone button's, as the row has it */
    PLATFORM_ANONYMOUS_CODE,
    PLATFORM_OPENID,
    PLATFORM_TOKEN,     /* the access token */
    PLATFORM_SIGNATURE, /* by the session key */
    PLATFORM_FORCE,     /* "true": a new token even so */
    PLATFORM_VALUES
};

enum platform_place {
    PLATFORM_AS_FORM, /* where the row's form puts parameters */
    PLATFORM_IN_URL,
    PLATFORM_IN_HEADER,
    PLATFORM_BARE /* JSON without quotes */
};

struct platform_param {
    const char *name; /* NULL ends a list */
    enum platform_value value;
    const char *text; /* of a PLATFORM_LITERAL */
    enum platform_place place;
};

/* Where the parameters travel; query is a GET, the others are POSTs. */
enum platform_form { PLATFORM_QUERY, PLATFORM_JSON, PLATFORM_FORM };

enum platform_kind {
    PLATFORM_TEXT,
    PLATFORM_NUMBER,   /* whole, or one in quotes */
    PLATFORM_KEY_TEXT, /* a session key: as it came, ... */
    PLATFORM_KEY_BASE64,
    PLATFORM_KEY_HEX,
    PLATFORM_PHONE,       /* {phoneNumber, ..., watermark} */
    PLATFORM_SEALED_PHONE /* the same in RSA and base64 */
};

enum { PLATFORM_ID = 128 }; /* bytes that an openid or unionid may have */

/* One thing that an answer holds.  A text that is empty counts as absent. */
struct platform_field {
    const char *name; /* ours: "openid", "key", ...; NULL ends a list */
    const char *path; /* theirs: "data.openid" */
    enum platform_kind kind;
    enum platform_value with; /* must be there where this was given ... */
    enum platform_value less; /* ... and this was not; 0: no such condition */
    size_t size; /* most bytes of a text (0: PLATFORM_ID); a key's bytes once
                    decoded (0: any) */
};

enum { PLATFORM_STATUS = 3 };

/* Paths of members; NULL: none.  An answer is a success where each status
 * member that is there equals ok; where ok is not 0, or it must say so, the
 * first must be there.  Otherwise its error code is the first that differs. */
struct platform_answer {
    const char *status[PLATFORM_STATUS]; /* the most precise first */
    long ok;
    bool must_say;
    const char *message[PLATFORM_STATUS]; /* the first that is there */
    const struct platform_field *fields;
};

enum platform_host {
    PLATFORM_APP,  /* the classic API */
    PLATFORM_OPEN, /* Douyin's open platform */
    PLATFORM_GAME, /* Douyin's mini-games */
    PLATFORM_HOSTS
};

/* How often a call may be made where its first answer was lost. */
enum platform_repeat {
    PLATFORM_REPEAT,      /* once more, which tells what became of it */
    PLATFORM_NEVER_REPEAT /* it costs, or cannot be undone: never, and after
                             an HTTP error neither */
};

/* Whom or what a call is about, and so whom its refusal may blame. */
enum platform_about {
    PLATFORM_ABOUT_LOGIN, /* a login code and the user behind it */
    PLATFORM_ABOUT_US,    /* our own appid and secret */
    PLATFORM_ABOUT_KEY,   /* a user's session key */
    PLATFORM_ABOUT_PHONE, /* a phone button's code and its user */
    PLATFORM_ABOUTS
};

struct platform_api {
    const char *name; /* metrics and scripts know it by this; NULL ends */
    enum platform_about about;
    const char *path;
    enum platform_form form;
    const struct platform_param *params; /* a value that is empty is left out */
    struct platform_answer answer;
    const char *token; /* the api that brings the access token it takes */
    enum platform_host host;
    enum platform_repeat repeat;
    const struct platform_error *errors; /* its own, before the platform's */
};

struct platform {
    const char *name;
    const char *hosts[PLATFORM_HOSTS]; /* base URLs; NULL: it has no such */
    const struct platform_api *apis;   /* the first is the login */
    const struct platform_error *errors;
    unsigned code_life; /* seconds that a login code lives */
    bool server_check;  /* our server can ask whether a key is still good */
};

extern const struct platform platform_wechat, platform_douyin;

/* A built-in platform, or NULL. */
const struct platform *platform_find(struct slice name);

/* A platform's row, or NULL. */
const struct platform_api *platform_api(const struct platform *p,
                                        struct slice name);

/* What code means in an answer of api, for its caller: a refusal of our own
 * credentials blames no user, whatever the tables say of the code elsewhere.  A
 * code that no table knows is a final PLATFORM_ERROR. */
struct platform_error platform_error(const struct platform *p,
                                     const struct platform_api *api, long code);

/* "code_invalid", "platform_busy", ...; "ok" for PLATFORM_OK. */
const char *platform_reason_name(enum platform_reason reason);

/* "app", "open", "game": how a policy's `api` names the host. */
const char *platform_host_name(enum platform_host host);
