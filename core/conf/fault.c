/* fault.c -- what is wrong and where, in nginx's words. */
#include "conf/fault.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT = 640 }; /* so that the place fits behind it */

static enum err set_at(const char *file, unsigned line, const char *text)
{
    if (!file)
        return err_set(ERR_CONFIG, "%s", text);
    if (!line)
        return err_set(ERR_CONFIG, "%s in %s", text, file);
    return err_set(ERR_CONFIG, "%s in %s:%u", text, file, line);
}

enum err fault_at(const char *file, unsigned line, const char *format, ...)
{
    char text[TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return set_at(file, line, text);
}

enum err fault_errno(const char *file, unsigned line, int code,
                     const char *format, ...)
{
    char text[TEXT], whole[TEXT + 128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(whole, sizeof whole, "%s (%d: %s)", text, code, strerror(code));
    return set_at(file, line, whole);
}

enum err fault_memory(void)
{
    return err_set(ERR_NOMEM, "no memory");
}
