/* traceback.h -- where a task failed, as OpenResty's log shows it. */
#pragma once
#include "base/buf.h"
#include "vm/task.h"

/* Appends "runtime error: " and the error at the top of t->co; then "stack
 * traceback:" and the frames of each coroutine, from the one where it was
 * raised up to the root's.  For on_done. */
void traceback_add(struct task *t, struct buf *out);
