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

const struct platform_error *platform_error(const struct platform *p,
                                            const struct platform_api *api,
                                            long code)
{
    static const struct platform_error unknown = { 0, PLATFORM_ERROR,
                                                   PLATFORM_FINAL };
    const struct platform_error *e = api ? find_error(api->errors, code) : NULL;
    if (!e)
        e = find_error(p->errors, code);
    return e ? e : &unknown;
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
