/* log_capture.h -- a thread's latest log lines, for its scripts to read. */
#pragma once
#include "base/log.h"

struct log_captured {
    enum log_level level;
    uint64_t msec;     /* when */
    struct slice text; /* the line; up to the next call of anything here */
};

/* Keeps so many bytes of this thread's lines from now on, the latest; 0: none
 * any more. */
void log_capture_open(size_t size);

bool log_capture_is_open(void);

/* Only lines of that level and above; all, where this is not called. */
void log_capture_filter(enum log_level level);

/* Takes the oldest out; false: there is none. */
bool log_capture_take(struct log_captured *out);

/* For log.c. */
void log_capture_add(enum log_level level, struct slice line);
