/* log.h -- the one way to log: nginx's lines, into a file or standard error.
 *
 *   2026/01/02 03:04:05 [error] 123#125: *7 text, client: 127.0.0.1, ...
 *
 * Any thread may log; a line is one write.  Nothing secret is ever passed
 * here (house rule; a test greps the logs for every secret it used). */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdint.h>

enum log_level { /* nginx's numbers, which are also ngx.ERR and so on */
                 LOG_STDERR,
                 LOG_EMERG,
                 LOG_ALERT,
                 LOG_CRIT,
                 LOG_ERR,
                 LOG_WARN,
                 LOG_NOTICE,
                 LOG_INFO,
                 LOG_DEBUG
};

/* Where lines go from now on.  path NULL or "stderr": standard error.
 * May be called again (reload, reopen): lines under way are not lost. */
enum err log_open(const char *path, enum log_level level);

/* Opens the same path again, after logrotate moved the file. */
enum err log_reopen(void);

bool log_enabled(enum log_level level);

/* "error", "warn", ... */
const char *log_level_name(enum log_level level);
bool log_level_parse(struct slice name, enum log_level *out);

/* A line outside any connection. */
void log_write(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A line of connection number conn (0: none), text then tail. */
void log_line(enum log_level level, uint64_t conn, struct slice text,
              struct slice tail);

/* Bytes as they are; safe in a signal's handler. */
void log_raw(struct slice bytes);

/* "latchkey: [emerg] text" to standard error, and to the log where that is
 * elsewhere: for what stops a start. */
void log_emerg(const char *format, ...) __attribute__((format(printf, 1, 2)));
