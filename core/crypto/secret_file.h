/* secret_file.h -- files that hold a secret: made for their owner alone, and
 * judged before they are believed. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

/* Makes the file with this text, mode 0600, whole and on disk before this
 * returns.  A file that is there already, maybe made at the same time by
 * somebody else, stays.  ERR_IO or ERR_NOMEM. */
enum err secret_file_make(const char *path, struct slice text);

/* Appends the file's text to out, in room of max bytes; ERR_NOT_FOUND where
 * there is none, ERR_CONFIG where it is too long or secret_file_judge refuses
 * it, else ERR_IO or ERR_NOMEM.  err_text() names the file. */
enum err secret_file_read(const char *path, size_t max, struct buf *out);

/* Whether others leave the file alone: ERR_CONFIG where everybody may write to
 * it, as then anybody may have; a warning where everybody may read it or its
 * group may write to it.  What is no file is fine. */
enum err secret_file_judge(const char *path);
