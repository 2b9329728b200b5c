/* watch.h -- tells when files in a folder (and those below it) change. */
#pragma once
#include "base/err.h"
#include <uv.h>

struct watch;

/* on_change comes a moment after the last of a burst of changes. */
enum err watch_new(struct watch **out, uv_loop_t *loop,
                   void (*on_change)(void *user), void *user);

/* Watches this folder from now on; NULL: none.  A link to a folder that is
 * pointed elsewhere counts as a change.  Call it again after a change, so
 * that new folders are seen. */
void watch_folder(struct watch *w, const char *path);

/* The loop closes the handles and frees it.  NULL is fine. */
void watch_free(struct watch *w);
