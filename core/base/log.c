/* log.c -- nginx's log lines, into a file or standard error. */
#define _GNU_SOURCE
#include "base/log.h"
#include "base/buf.h"
#include "base/log_capture.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = { "stderr", "emerg", "alert",
                                           "crit",   "error", "warn",
                                           "notice", "info",  "debug" };

/* The process has one log.  A new file is put in the place of the old
 * descriptor (dup3), so that a writer on another thread never meets a closed
 * one. */
static _Atomic int log_fd = STDERR_FILENO;
static _Atomic int log_max = LOG_WARN; /* until a configuration says */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char *log_path;

static enum err open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_set(ERR_IO, "open() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    int old = atomic_load(&log_fd);
    if (old == STDERR_FILENO) {
        atomic_store(&log_fd, fd);
        return OK;
    }
    dup3(fd, old, O_CLOEXEC);
    close(fd);
    return OK;
}

enum err log_open(const char *path, enum log_level level)
{
    enum err e = OK;
    pthread_mutex_lock(&log_lock);
    bool to_stderr = !path || !strcmp(path, "stderr");
    if (to_stderr)
        atomic_store(&log_fd, STDERR_FILENO);
    else
        e = open_file(path);
    if (e == OK) {
        char *copy = to_stderr ? NULL : strdup(path);
        free(log_path);
        log_path = copy;
        atomic_store(&log_max, (int)level);
    }
    pthread_mutex_unlock(&log_lock);
    return e;
}

enum err log_reopen(void)
{
    pthread_mutex_lock(&log_lock);
    enum err e = log_path ? open_file(log_path) : OK;
    pthread_mutex_unlock(&log_lock);
    return e;
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_max, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return (unsigned)level <= LOG_DEBUG ? level_names[level] : "unknown";
}

bool log_level_parse(struct slice name, enum log_level *out)
{
    for (int i = LOG_EMERG; i <= LOG_DEBUG; i++) {
        if (slice_eq(name, slice_str(level_names[i]))) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void add_head(struct buf *line, enum log_level level, uint64_t conn)
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm t;
    localtime_r(&now, &t);
    strftime(stamp, sizeof stamp, "%Y/%m/%d %H:%M:%S", &t);
    buf_addf(line, "%s [%s] %d#%d: ", stamp,
             level == LOG_STDERR ? "" : log_level_name(level), (int)getpid(),
             (int)gettid());
    if (conn)
        buf_addf(line, "*%llu ", (unsigned long long)conn);
}

static void put(int fd, struct slice s)
{
    while (s.len) {
        ssize_t n = write(fd, s.data, s.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* a full disk must not stop the server */
        s = slice_from(s, (size_t)n);
    }
}

void log_raw(struct slice bytes)
{
    put(atomic_load(&log_fd), bytes);
}

static bool is_plain(unsigned char c)
{
    return (c >= ' ' && c != 0x7f) || c == '\t';
}

static void add_escaped_byte(struct buf *out, unsigned char c, bool tab_follows)
{
    if (c == '\n')
        buf_add(out, tab_follows ? SLICE("\n") : SLICE("\n\t"));
    else
        buf_addf(out, "\\x%02X", c);
}

/* Adds a message so that it forges no other line and steers no terminal:
 * control bytes as \xHH, and lines after the first begin with a tab. */
static void add_escaped(struct buf *out, struct slice text)
{
    while (text.len) {
        size_t n = 0;
        while (n < text.len && is_plain((unsigned char)text.data[n]))
            n++;
        buf_add(out, (struct slice){ text.data, n });
        text = slice_from(text, n);
        if (!text.len)
            return;
        add_escaped_byte(out, (unsigned char)text.data[0],
                         text.len > 1 && text.data[1] == '\t');
        text = slice_from(text, 1);
    }
}

/* A script reads its messages as they were. */
static void capture(enum log_level level, uint64_t conn, struct slice text,
                    struct slice tail)
{
    struct buf line = { 0 };
    add_head(&line, level, conn);
    buf_add(&line, text);
    buf_add(&line, tail);
    log_capture_add(level, buf_slice(&line));
    buf_free(&line);
}

void log_line(enum log_level level, uint64_t conn, struct slice text,
              struct slice tail)
{
    if (!log_enabled(level))
        return;
    struct buf line = { 0 };
    if (log_capture_is_open())
        capture(level, conn, text, tail);
    add_head(&line, level, conn);
    add_escaped(&line, text);
    add_escaped(&line, tail);
    buf_add_char(&line, '\n');
    put(atomic_load(&log_fd), buf_slice(&line));
    buf_free(&line);
}

/* On the heap; NULL: no memory. */
__attribute__((format(printf, 1, 0))) static char *compose(const char *format,
                                                           va_list args)
{
    char *text;
    return vasprintf(&text, format, args) < 0 ? NULL : text;
}

void log_write(enum log_level level, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    va_list args;
    va_start(args, format);
    char *text = compose(format, args);
    va_end(args);
    if (!text)
        return;
    log_line(level, 0, slice_str(text), SLICE_NONE);
    free(text);
}

void log_emerg(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = compose(format, args);
    va_end(args);
    if (!text)
        return;
    fprintf(stderr, "latchkey: [emerg] %s\n", text);
    if (atomic_load(&log_fd) != STDERR_FILENO)
        log_line(LOG_EMERG, 0, slice_str(text), SLICE_NONE);
    free(text);
}
