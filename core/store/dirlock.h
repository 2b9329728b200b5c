/* dirlock.h -- a directory that one process holds at a time. */
#pragma once
#include "base/err.h"

/* Makes path and its parents where they are absent (mode 0700), takes the
 * lock on path/lock and gives its descriptor: close() lets go, and so does
 * the end of the process.  ERR_STORE; err_text() names the path. */
enum err dirlock_take(const char *path, int *fd);

/* Whether nobody holds the lock now; makes nothing. */
enum err dirlock_check(const char *path);
