/* control.h -- `-s`: tells a running server what to do. */
#pragma once

struct options;

/* Sends the signal that o names to the process of the pid file.  The exit
 * status. */
int control_main(const struct options *o);
