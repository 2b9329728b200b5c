/* redis_key.h -- what Redis calls our keys, and where a cluster has them.
 *
 * "user/shop/0a1b" is "latchkey:user/{shop/0a1b}": all records of one user
 * share what is in braces, so that a cluster keeps them together. */
#pragma once
#include "base/buf.h"
#include <stdint.h>

enum { REDIS_KEY_SLOTS = 16384 };

/* Appends the name. */
void redis_key_name(struct slice key, struct buf *out);

/* Appends the key that has this name; false: it is not one of ours. */
bool redis_key_read(struct slice name, struct buf *out);

uint16_t redis_key_slot(struct slice name);
