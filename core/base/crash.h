/* crash.h -- what the log says when the process dies of a fault.
 *
 * A script may do anything through FFI.  The line names the signal, the thread
 * and the requests that it had under way; then the signal takes its course. */
#pragma once
#include "base/slice.h"
#include <pthread.h>

enum { CRASH_NOTES = 32 /* a thread's; more are not noted */ };

/* Catches the signals of faults that nobody else catches (a sanitizer does).
 * Main thread, before others start. */
void crash_catch(void);

/* A stack for the handler: each thread that runs scripts, once. */
void crash_thread(void);

/* Has a thread say in the log, whatever it does, which requests it has under
 * way: it has been busy for so long.  After crash_catch. */
void crash_ask(pthread_t thread);

/* Notes a request that this thread has under way; its number for
 * crash_forget, 0 where there is no room.  The text is copied. */
unsigned crash_note(struct slice id);
void crash_forget(unsigned number);
