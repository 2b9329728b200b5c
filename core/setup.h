/* setup.h -- what a start needs from the system: folders, secrets, sockets,
 * limits, the daemon's fork, the pid file. */
#pragma once
#include "base/arena.h"
#include "conf/conf.h"
#include "worker.h"

/* Makes the folders that path's last part lies in, mode 0755. */
enum err setup_folders(const char *path);

/* A secret's text, without blanks around.  make: a file that is absent is
 * made with a random one, mode 0600.  Data NULL: none is configured. */
enum err setup_secret(struct arena *arena, const struct conf_secret *from,
                      bool make, struct slice *out);

/* Whether the address is free; leaves nothing behind.  errno says why not. */
enum err setup_probe(const struct conf_listen *l);

/* Binds every address once for each worker: sockets[worker * count + i]. */
enum err setup_sockets(const struct conf *conf, struct arena *arena,
                       struct worker_socket **sockets, unsigned *count);

/* No core dumps: secrets would be in them. */
void setup_no_core(void);

/* Whether the process may open as many files as these take at a start; raises
 * the soft limit where the hard one lets it. */
enum err setup_descriptors(unsigned workers, unsigned listens);

/* env, worker_rlimit_nofile; ERR_CONFIG where that is too little. */
enum err setup_limits(const struct conf *conf);

/* user: for who is root, after the sockets are bound. */
enum err setup_user(const struct conf *conf);

/* Goes into the background.  The parent waits for setup_ready and exits with
 * what it is told; only the child returns. */
enum err setup_daemon(int *ready);

/* Tells the waiting parent how the start went. */
void setup_ready(int ready, int status);

enum err setup_pid_file(const char *path);
