/* clock.c -- what time it is, and how HTTP writes it. */
#define _GNU_SOURCE
#include "base/clock.h"
#include <stdatomic.h>
#include <stdio.h>

static const char days[][4] = {
    "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"
};
static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

uint64_t clock_msec(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

double clock_now(void)
{
    return (double)clock_msec() / 1000;
}

uint64_t clock_ticks(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t clock_settled(void)
{
    static _Atomic int64_t
        offset; /* of the wall clock to the ticks; 0: unset */
    static _Atomic uint64_t jumped; /* when a jump was first seen; 0: none */
    int64_t ticks = (int64_t)clock_ticks();
    int64_t now = (int64_t)clock_msec() - ticks, known = atomic_load(&offset);
    if (known && (now - known > CLOCK_JUMP || known - now > CLOCK_JUMP)) {
        uint64_t none = 0, since = (uint64_t)ticks;
        if (!atomic_compare_exchange_strong(&jumped, &none, since))
            since = none;
        if ((uint64_t)ticks - since < CLOCK_SETTLES)
            return (uint64_t)(known + ticks) / 1000;
    }
    if (atomic_load_explicit(&jumped, memory_order_relaxed))
        atomic_store(&jumped, 0);
    if (known != now)
        atomic_store_explicit(&offset, now, memory_order_relaxed);
    return (uint64_t)(now + ticks) / 1000;
}

/* Only years of four digits fit (and a script may ask for any time): what
 * lies beyond them, or within a day of their end, is taken as the end. */
static time_t within_calendar(time_t when)
{
    static const time_t first = -30610137600; /* 1000-01-02 */
    static const time_t last = 253402214400;  /* 9999-12-31 */
    return when < first ? first : when > last ? last : when;
}

static struct tm universal(time_t when)
{
    struct tm t;
    when = within_calendar(when);
    gmtime_r(&when, &t);
    return t;
}

void clock_http(time_t when, char out[CLOCK_HTTP])
{
    struct tm t = universal(when);
    snprintf(out, CLOCK_HTTP, "%s, %02u %s %04u %02u:%02u:%02u GMT",
             days[t.tm_wday], (unsigned)t.tm_mday % 100, months[t.tm_mon],
             (unsigned)(t.tm_year + 1900) % 10000, (unsigned)t.tm_hour % 100,
             (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
}

/* Years up to 2037 are written with two digits, as old browsers want. */
void clock_cookie(time_t when, char out[CLOCK_COOKIE])
{
    struct tm t = universal(when);
    unsigned year = (unsigned)(t.tm_year + 1900) % 10000;
    snprintf(out, CLOCK_COOKIE,
             year > 2037 ? "%s, %02u-%s-%04u %02u:%02u:%02u GMT"
                         : "%s, %02u-%s-%02u %02u:%02u:%02u GMT",
             days[t.tm_wday], (unsigned)t.tm_mday % 100, months[t.tm_mon],
             year > 2037 ? year : year % 100, (unsigned)t.tm_hour % 100,
             (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
}

void clock_local(time_t when, bool utc, char out[CLOCK_LOCAL])
{
    struct tm t;
    when = within_calendar(when);
    if (utc)
        gmtime_r(&when, &t);
    else
        localtime_r(&when, &t);
    strftime(out, CLOCK_LOCAL, "%Y-%m-%d %H:%M:%S", &t);
}

bool clock_parse_http(struct slice text, time_t *out)
{
    char copy[CLOCK_HTTP], again[CLOCK_HTTP];
    if (text.len != CLOCK_HTTP - 1)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    struct tm t = { 0 };
    const char *end = strptime(copy, "%a, %d %b %Y %H:%M:%S GMT", &t);
    if (!end || *end)
        return false;
    *out = timegm(&t);
    clock_http(*out, again); /* strptime takes 31 Feb and any week day */
    return !strcmp(copy, again);
}
