/* faults.h -- records that are there and cannot be read: told, by their kind
 * and a hash of their key, never by what is in them. */
#pragma once
#include "base/err.h"
#include "base/slice.h"

/* Any thread.  why: a damaged record is ERR_STORE, one that no key of ours
 * opens ERR_CONFIG.  Counts it, and logs a line unless there were many of
 * late. */
void faults_note(struct slice key, enum err why);
