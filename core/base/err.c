/* err.c -- error names and the thread's last error text. */
#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>

static const char *const names[ERR_COUNT] = {
    [OK] = "ok",
    [PENDING] = "pending",
    [ERR_NOMEM] = "no memory",
    [ERR_INVALID] = "invalid",
    [ERR_NOT_FOUND] = "not found",
    [ERR_CONFLICT] = "conflict",
    [ERR_TOO_LARGE] = "too large",
    [ERR_TIMEOUT] = "timeout",
    [ERR_CONNECT] = "connect",
    [ERR_CLOSED] = "closed",
    [ERR_CANCELED] = "canceled",
    [ERR_REFUSED] = "refused",
    [ERR_IO] = "io error",
    [ERR_STORE] = "store error",
    [ERR_CONFIG] = "configuration error",
    [ERR_SCRIPT] = "script error",
};

static _Thread_local char text[1024];

const char *err_name(enum err e)
{
    return (unsigned)e < ERR_COUNT ? names[e] : "unknown error";
}

enum err err_set(enum err e, const char *format, ...)
{
    char next[sizeof text]; /* an argument may be err_text() itself */
    va_list args;
    va_start(args, format);
    vsnprintf(next, sizeof next, format, args);
    va_end(args);
    for (size_t i = 0; i < sizeof text; i++)
        if (!(text[i] = next[i]))
            break;
    return e;
}

const char *err_text(void)
{
    return text;
}
