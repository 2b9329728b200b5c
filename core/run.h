/* run.h -- `latchkey run FILE`: a Lua script with the whole API. */
#pragma once

struct options;

/* Runs argv[o->rest] with what follows as arguments.  The exit status. */
int run_main(const struct options *o, int argc, char **argv);
