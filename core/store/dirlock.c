/* dirlock.c -- a directory that one process holds at a time. */
#include "store/dirlock.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err make_dirs(const char *path)
{
    char part[PATH_MAX];
    for (size_t i = 1; path[i - 1]; i++) {
        if (path[i] && path[i] != '/')
            continue;
        if (i >= sizeof part)
            return err_set(ERR_STORE, "store directory: the path is too long");
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0700) && errno != EEXIST)
            return err_set(ERR_STORE, "store directory %s cannot be made: %s",
                           part, strerror(errno));
    }
    return OK;
}

/* What is there may come from a backup or another hand than ours. */
static void close_to_others(const char *folder, const char *name)
{
    enum { OTHERS = S_IWGRP | S_IRWXO };
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s%s", folder, name);
    if (stat(path, &st) || !(st.st_mode & OTHERS))
        return;
    if (!chmod(path, st.st_mode & S_IRWXU))
        log_write(LOG_NOTICE, "store: \"%s\" (mode %04o) is closed to others",
                  path, st.st_mode & 07777);
    else
        log_write(LOG_WARN,
                  "store: others may open \"%s\" (mode %04o), and it cannot "
                  "be closed to them (%d: %s)",
                  path, st.st_mode & 07777, errno, strerror(errno));
}

static void close_all_to_others(const char *folder)
{
    static const char *const names[] = { "", "/data.mdb", "/lock.mdb",
                                         "/lock" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        close_to_others(folder, names[i]);
}

enum err dirlock_take(const char *path, int *fd)
{
    char file[PATH_MAX];
    enum err e = make_dirs(path);
    if (e)
        return e;
    if (snprintf(file, sizeof file, "%s/lock", path) >= (int)sizeof file)
        return err_set(ERR_STORE, "store directory: the path is too long");
    *fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0 && (errno == EROFS || errno == EACCES)) {
        int why = errno; /* for reading only, if it is there */
        *fd = open(file, O_RDONLY | O_CLOEXEC);
        errno = why;
    }
    if (*fd < 0)
        return err_set(ERR_STORE, "store directory %s is not writable: %s",
                       path, strerror(errno));
    if (!flock(*fd, LOCK_EX | LOCK_NB)) {
        close_all_to_others(path);
        return OK;
    }
    int why = errno;
    close(*fd);
    return why == EWOULDBLOCK
               ? err_set(ERR_STORE,
                         "store directory %s is in use by another process",
                         path)
               : err_set(ERR_STORE, "store directory %s: flock: %s", path,
                         strerror(why));
}

enum err dirlock_check(const char *path)
{
    char file[PATH_MAX];
    snprintf(file, sizeof file, "%s/lock", path);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return OK;
    bool held = flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
    close(fd);
    return held ? err_set(ERR_STORE,
                          "store directory %s is in use by another process",
                          path)
                : OK;
}
