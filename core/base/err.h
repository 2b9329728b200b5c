/* err.h -- the one error vocabulary: a code to act on, a text for people.
 *
 * Functions return OK, PENDING (the callback will come) or why not.  The
 * text belongs to the thread that set it and lives until its next err_set. */
#pragma once

enum err {
    OK,
    PENDING,
    ERR_NOMEM,
    ERR_INVALID,   /* the input is wrong */
    ERR_NOT_FOUND, /* no such thing, or it has expired */
    ERR_CONFLICT,  /* someone else changed it meanwhile */
    ERR_TOO_LARGE,
    ERR_TIMEOUT,
    ERR_CONNECT, /* nothing was sent: safe to try again */
    ERR_CLOSED,
    ERR_CANCELED,
    ERR_REFUSED, /* a check said no */
    ERR_IO,
    ERR_STORE,
    ERR_CONFIG,
    ERR_SCRIPT,
    ERR_COUNT
};

/* A short lower-case word: "timeout", "not found". */
const char *err_name(enum err e);

/* Notes a text for err_text() and returns e. */
enum err err_set(enum err e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The last text set by this thread; "" where none was. */
const char *err_text(void);
