/* capture.h -- subrequests whose answers a script waits for. */
#pragma once
#include "api/request.h"

struct capture {
    struct task *task; /* who waits */
    struct capture *next;
    unsigned count, pending;
    struct request *subs[];
};

/* For count subrequests of r, to be put into subs; raises without memory. */
struct capture *capture_new(lua_State *L, struct request *r, unsigned count);

/* Whether t waits for subrequests. */
bool capture_waits(const struct task *t);

/* Waits in t, runs them and resumes t with their results. */
int capture_run(struct task *t, struct request *r, struct capture *c);
