/* capture.h -- subrequests whose answers a script waits for. */
#pragma once
#include "api/request.h"

struct capture {
    struct task *task; /* who waits; NULL: nobody (yet) */
    struct capture *next;
    unsigned count, pending;
    bool dropped;
    struct request *subs[];
};

/* For count subrequests of r, to be put into subs; raises without memory. */
struct capture *capture_new(lua_State *L, struct request *r, unsigned count);

/* Runs them and returns their results as a binding does, or waits in t. */
int capture_run(lua_State *L, struct task *t, struct request *r,
                struct capture *c);
