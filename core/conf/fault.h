/* fault.h -- what is wrong and where, in nginx's words. */
#pragma once
#include "base/err.h"

/* The place of text given with -g: it has no lines. */
#define FAULT_COMMAND_LINE "command line"

/* Sets "TEXT in FILE:LINE" ("TEXT in FILE" where line is 0) and returns
 * ERR_CONFIG. */
enum err fault_at(const char *file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "TEXT (2: No such file or directory)", then the place; file may be NULL
 * for none. */
enum err fault_errno(const char *file, unsigned line, int code,
                     const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "no memory", and ERR_NOMEM. */
enum err fault_memory(void);
