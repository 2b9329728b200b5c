/* watch.h -- tells when files in a folder (and those below it) change. */
#pragma once
#include "base/err.h"
#include "conf/conf.h"
#include <uv.h>

struct watch;

/* on_change comes a moment after the last of a burst of changes, and within a
 * second or so of its first. */
enum err watch_new(struct watch **out, uv_loop_t *loop,
                   void (*on_change)(void *user), void *user);

/* Watches this folder from now on; NULL: none.  A link to a folder that is
 * pointed elsewhere counts as a change.  since: when its files began to be read
 * (wall clock, ms); what changed later counts as a change of now. */
void watch_folder(struct watch *w, const char *path, enum conf_watch mode,
                  uint64_t since);

/* The loop closes the handles and frees it.  NULL is fine. */
void watch_free(struct watch *w);
