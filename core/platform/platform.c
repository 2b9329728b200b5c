/* platform.c -- which platforms there are, and what their codes mean. */
#include "platform/platform.h"

static const char *const reasons[PLATFORM_REASONS] = {
    [PLATFORM_OK] = "ok",
    [PLATFORM_CODE_INVALID] = "code_invalid",
    [PLATFORM_CODE_USED] = "code_used",
    [PLATFORM_PHONE_CODE_INVALID] = "phone_code_invalid",
    [PLATFORM_USER_BLOCKED] = "user_blocked",
    [PLATFORM_RATE_LIMITED] = "rate_limited",
    [PLATFORM_MISCONFIGURED] = "misconfigured",
    [PLATFORM_BUSY] = "platform_busy",
    [PLATFORM_ERROR] = "platform_error",
    [PLATFORM_TIMEOUT] = "platform_timeout",
    [PLATFORM_KEY_STALE] = "key_stale",
};

const struct platform *platform_find(struct slice name)
{
    static const struct platform *const all[] = { &platform_wechat,
                                                  &platform_douyin };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (slice_eq(name, slice_str(all[i]->name)))
            return all[i];
    return NULL;
}

const struct platform_api *platform_api(const struct platform *p,
                                        struct slice name)
{
    for (const struct platform_api *api = p->apis; api->name; api++)
        if (slice_eq(name, slice_str(api->name)))
            return api;
    return NULL;
}

static const struct platform_error *find_error(const struct platform_error *e,
                                               long code)
{
    for (; e && e->code; e++)
        if (e->code == code)
            return e;
    return NULL;
}

/* What a reason comes down to in a call about something else; those that are
 * absent stay as they are. */
static const enum platform_reason
    reasons_about[PLATFORM_ABOUTS][PLATFORM_REASONS] = {
        [PLATFORM_ABOUT_LOGIN] =
            {
                [PLATFORM_PHONE_CODE_INVALID] = PLATFORM_CODE_INVALID,
                [PLATFORM_KEY_STALE] = PLATFORM_ERROR,
            },
        [PLATFORM_ABOUT_US] =
            {
                [PLATFORM_CODE_INVALID] = PLATFORM_ERROR,
                [PLATFORM_CODE_USED] = PLATFORM_ERROR,
                [PLATFORM_PHONE_CODE_INVALID] = PLATFORM_ERROR,
                [PLATFORM_KEY_STALE] = PLATFORM_ERROR,
                [PLATFORM_USER_BLOCKED] = PLATFORM_MISCONFIGURED,
            },
        [PLATFORM_ABOUT_KEY] =
            {
                [PLATFORM_CODE_INVALID] = PLATFORM_ERROR,
                [PLATFORM_CODE_USED] = PLATFORM_ERROR,
                [PLATFORM_PHONE_CODE_INVALID] = PLATFORM_ERROR,
            },
        [PLATFORM_ABOUT_PHONE] =
            {
                [PLATFORM_CODE_INVALID] = PLATFORM_PHONE_CODE_INVALID,
                [PLATFORM_CODE_USED] = PLATFORM_PHONE_CODE_INVALID,
                [PLATFORM_KEY_STALE] = PLATFORM_ERROR,
            },
    };

struct platform_error platform_error(const struct platform *p,
                                     const struct platform_api *api, long code)
{
    struct platform_error found = { code, PLATFORM_ERROR, PLATFORM_FINAL };
    const struct platform_error *e = find_error(api->errors, code);
    if (!e)
        e = find_error(p->errors, code);
    if (e)
        found = *e;
    enum platform_reason other = reasons_about[api->about][found.reason];
    if (other != PLATFORM_OK)
        found.reason = other;
    if (!api->token && found.retry == PLATFORM_REFRESH)
        found.retry = PLATFORM_FINAL; /* it took no access token */
    return found;
}

const char *platform_reason_name(enum platform_reason reason)
{
    return (unsigned)reason < PLATFORM_REASONS ? reasons[reason] : "unknown";
}

const char *platform_host_name(enum platform_host host)
{
    static const char *const names[PLATFORM_HOSTS] = {
        [PLATFORM_APP] = "app",
        [PLATFORM_OPEN] = "open",
        [PLATFORM_GAME] = "game",
    };
    return names[host];
}
