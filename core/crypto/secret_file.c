/* secret_file.c -- files that hold a secret. */
#include "crypto/secret_file.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A name in a folder is on disk once the folder is. */
static bool sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : NULL;
    int fd = open(folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* Written whole under another name and linked, so that nobody ever reads
 * half a secret and a file that is there is never replaced. */
static bool write_linked(const char *path, char *temporary, struct slice text)
{
    int fd = mkstemp(temporary); /* mode 0600 */
    if (fd < 0)
        return false;
    bool ok = write(fd, text.data, text.len) == (ssize_t)text.len &&
              fsync(fd) == 0 && (link(temporary, path) == 0 || errno == EEXIST);
    int why = errno;
    close(fd);
    unlink(temporary);
    errno = why;
    return ok && sync_folder(path);
}

enum err secret_file_make(const char *path, struct slice text)
{
    struct buf temporary = { 0 };
    enum err e = OK;
    buf_addf(&temporary, "%s.XXXXXX", path);
    if (!buf_str(&temporary))
        e = ERR_NOMEM;
    else if (!write_linked(path, temporary.data, text))
        e = err_set(ERR_IO, "\"%s\" cannot be made (%d: %s)", path, errno,
                    strerror(errno));
    buf_free(&temporary);
    return e;
}

static enum err judge(const struct stat *st, const char *path)
{
    unsigned mode = st->st_mode & 07777;
    if (!S_ISREG(st->st_mode))
        return OK;
    if (mode & S_IWOTH)
        return err_set(ERR_CONFIG,
                       "\"%s\" holds a secret and everybody may write to it "
                       "(mode %04o): make it anew, with mode 0600",
                       path, mode);
    if (mode & (S_IROTH | S_IWGRP))
        log_write(LOG_WARN,
                  "\"%s\" holds a secret and others may %s it (mode %04o): "
                  "chmod 600 it",
                  path, mode & S_IROTH ? "read" : "write", mode);
    return OK;
}

enum err secret_file_judge(const char *path)
{
    struct stat st;
    return stat(path, &st) ? OK : judge(&st, path);
}

static enum err read_all(int fd, const char *path, size_t max, struct buf *out)
{
    ssize_t n = 1;
    if (!buf_reserve(out, max)) /* at once: growth would leave copies */
        return ERR_NOMEM;
    while (max && (n = read(fd, out->data + out->len, max)) > 0) {
        out->len += (size_t)n;
        max -= (size_t)n;
    }
    if (n < 0)
        return err_set(ERR_IO, "read() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    if (n > 0)
        return err_set(ERR_CONFIG, "\"%s\" is too long for a secret", path);
    return OK;
}

enum err secret_file_read(const char *path, size_t max, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
                       "open() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    struct stat st;
    enum err e = fstat(fd, &st) ? OK : judge(&st, path);
    if (e == OK)
        e = read_all(fd, path, max, out);
    close(fd);
    return e;
}
