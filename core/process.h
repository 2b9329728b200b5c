/* process.h -- what all workers share: secrets, keys, the store. */
#pragma once
#include "api/api.h"
#include "base/arena.h"
#include "conf/conf.h"

/* Fills p as the configuration says, and on the way becomes its `user`: who
 * that is must own the store, and need not own the secrets.  What p points to
 * is of the arena, and outlives conf.  After a failure the process must end. */
enum err process_open(struct api_process *p, const struct conf *conf,
                      struct arena *arena);

/* Without a directive of ours and without policies it just runs scripts, and
 * needs neither secrets nor store. */
bool process_has_logins(const struct conf *conf);

/* Once no worker runs any more. */
void process_close(struct api_process *p);
