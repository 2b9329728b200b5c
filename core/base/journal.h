/* journal.h -- what happened last, for operators: numbered texts, of which
 * the oldest fall out.
 *
 * Journals go by name and live as long as the process.  Any thread. */
#pragma once
#include "base/buf.h"
#include <stdint.h>

enum { JOURNAL_ENTRIES = 512, JOURNAL_TEXT = 8192, JOURNALS_MAX = 1024 };

struct journal;

/* The journal of that name, made where there is none.  NULL: no memory, or
 * too many. */
struct journal *journal_named(struct slice name);

/* Copies a text of at most JOURNAL_TEXT bytes; its number (1 and on), or 0. */
uint64_t journal_add(struct journal *j, struct slice text);

/* The first entry beyond number *at: sets *at to its number and text to its
 * bytes.  False: there is none. */
bool journal_next(struct journal *j, uint64_t *at, struct buf *text);

/* Takes an entry out, if it is still there. */
void journal_drop(struct journal *j, uint64_t number);

/* The number of the latest entry that there ever was. */
uint64_t journal_last(struct journal *j);

/* Whether anyone reads along: said again from time to time, so that nobody
 * need say that he is gone. */
void journal_watch(struct journal *j, uint64_t msec);
bool journal_watched(struct journal *j);
