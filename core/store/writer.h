/* writer.h -- the one thread that writes: takes all that waits into one
 * transaction, commits once, answers each set by its conn's mailbox. */
#pragma once
#include "store/engine.h"

struct writer;

struct changes;

/* engine, db and changes outlive the writer. */
enum err writer_start(struct writer **out, const struct store_engine *engine,
                      void *db, struct changes *changes);

/* Any thread.  set comes back through reply with its result, as the message
 * that it is.  False: the writer has stopped, and set is the caller's. */
bool writer_post(struct writer *w, struct store_commit *set);

/* Any thread: waits until all that was posted before is answered. */
void writer_flush(struct writer *w);

/* Commits and answers what is there, then ends the thread.  Once. */
void writer_stop(struct writer *w);

/* After writer_stop. */
void writer_free(struct writer *w);

/* Any thread: fills all but engine, records and bytes. */
void writer_stat(struct writer *w, struct store_stat *out);

/* Why the last transaction failed. */
void writer_error(struct writer *w, char *out, size_t size);
