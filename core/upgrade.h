/* upgrade.h -- the same process goes on as a newer binary, without a refused
 * connection.
 *
 * First the newer binary tests the configuration.  Then this one drains as it
 * does for QUIT, but keeps its listening sockets, where connections queue
 * meanwhile; when the store is closed, it becomes the newer binary.  Main
 * thread. */
#pragma once
#include "base/err.h"
#include "worker.h"
#include <uv.h>

struct upgrade;

/* Starts the test: on_tested comes once, with whether it passed.  NULL: it
 * did not start, and err_text() says why. */
struct upgrade *upgrade_new(uv_loop_t *loop, char **argv,
                            void (*on_tested)(void *user, bool ok), void *user);

/* Keeps these sockets open, whoever closes them.  Before they drain. */
enum err upgrade_keep(struct upgrade *u, const struct worker_socket *sockets,
                      unsigned count);

/* After all is closed; returns only where it fails. */
void upgrade_exec(struct upgrade *u);

/* After on_tested; NULL is fine. */
void upgrade_free(struct upgrade *u);
