/* log_file.c -- files that lines are appended to. */
#define _GNU_SOURCE
#include "base/log_file.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct log_file {
    struct log_file *next;
    char *path;
    int fd;
};

static struct log_file *files; /* never freed: a path or two per process */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

static struct log_file *find(const char *path)
{
    struct log_file *f = files;
    while (f && strcmp(f->path, path))
        f = f->next;
    return f;
}

static struct log_file *add(const char *path)
{
    struct log_file *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->path = strdup(path);
    f->fd = f->path ? open_path(path) : -1;
    if (f->fd < 0) {
        err_set(ERR_IO, "open() \"%s\" failed (%d: %s)", path, errno,
                strerror(errno));
        free(f->path);
        free(f);
        return NULL;
    }
    f->next = files;
    return files = f;
}

enum err log_file_open(struct log_file **out, const char *path)
{
    pthread_mutex_lock(&lock);
    struct log_file *f = find(path);
    *out = f ? f : add(path);
    pthread_mutex_unlock(&lock);
    return *out ? OK : ERR_IO;
}

void log_file_write(struct log_file *f, struct slice line)
{
    while (line.len) {
        ssize_t n = write(f->fd, line.data, line.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        line = slice_from(line, (size_t)n);
    }
}

void log_file_reopen(void)
{
    pthread_mutex_lock(&lock);
    for (struct log_file *f = files; f; f = f->next) {
        int fd = open_path(f->path);
        if (fd < 0) {
            log_write(LOG_ALERT, "open() \"%s\" failed (%d: %s)", f->path,
                      errno, strerror(errno));
            continue;
        }
        dup3(fd, f->fd, O_CLOEXEC);
        close(fd);
    }
    pthread_mutex_unlock(&lock);
}
