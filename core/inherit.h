/* inherit.h -- listening sockets that outlive a process: those that systemd
 * opened for us, and ours in the hands of the binary that follows.
 *
 * Both pass them as descriptors from 3 on, with LISTEN_FDS and LISTEN_PID in
 * the environment (sd_listen_fds(3)).  Main thread. */
#pragma once
#include "conf/conf.h"

/* Once, before anything is opened: notes what was passed and cleans the
 * environment. */
void inherit_find(void);

/* Whether a socket of this address was passed. */
bool inherit_has(const struct conf_listen *l);

/* The nth passed socket of this address, or -1; the caller's from now on. */
int inherit_take(const struct conf_listen *l, unsigned nth);

/* Closes what nobody took, with a line in the log for each. */
void inherit_close_rest(void);

/* Becomes argv[0], with these sockets as what it inherits.  Returns only where
 * that fails. */
void inherit_exec(char **argv, int *fds, unsigned count);
