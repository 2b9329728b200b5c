/* log_file.h -- files that lines are appended to: access logs.
 *
 * One descriptor for each path in the process, opened once and kept; any
 * thread may write. */
#pragma once
#include "base/err.h"
#include "base/slice.h"

struct log_file;

/* The file at path, opened now or earlier. */
enum err log_file_open(struct log_file **out, const char *path);

/* One write; line has its newline. */
void log_file_write(struct log_file *f, struct slice line);

/* Opens every path again, after logrotate moved the files. */
void log_file_reopen(void);
