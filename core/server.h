/* server.h -- the main thread: start, signals, reloads, end. */
#pragma once

struct options;

/* Serves until it is told to stop.  The process's exit status. */
int server_main(const struct options *o);

/* -t and -T. */
int server_test(const struct options *o);
