/* worker.h -- a thread with a loop, its connections and its vm.
 *
 * The main thread starts workers and tells them things by messages; all else
 * in here happens on the worker's own thread. */
#pragma once
#include "api/api.h"
#include "generation.h"
#include "net/http.h"

struct worker;

struct worker_socket { /* for each worker its own, the address shared */
    int fd;
    struct api_socket api; /* lives as long as the process */
    struct http_limits limits;
};

/* Called on the main thread, through the mailbox given to worker_start. */
struct worker_events {
    /* It serves generation g now, or could not (why: its text). */
    void (*on_generation)(void *user, struct generation *g, bool ok,
                          const char *why);
    /* Its thread has ended; worker_join is due. */
    void (*on_ended)(void *user, struct worker *w);
};

/* Starts the thread with its first generation (a reference is taken). */
enum err worker_start(struct worker **out, unsigned id,
                      struct api_process *process, struct generation *g,
                      const struct worker_socket *sockets, unsigned count,
                      struct mailbox *main_mailbox,
                      const struct worker_events *events, void *user);

/* From the main thread: serve this generation from now on. */
void worker_switch(struct worker *w, struct generation *g);

/* From the main thread: stop at once, or once all that was accepted is
 * answered. */
void worker_stop(struct worker *w, bool graceful);

/* Waits for the thread and frees w. */
void worker_join(struct worker *w);

/* Whether it has not come back to its loop for seconds; once in that time the
 * log tells of its requests.  Main thread. */
bool worker_is_stuck(struct worker *w);
