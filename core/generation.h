/* generation.h -- one configuration with its policies, as all workers serve
 * it.  Made and checked by the main thread, shared by reference. */
#pragma once
#include "api/api.h"

struct options;

struct generation {
    struct api_generation api;     /* what bindings see */
    struct conf *conf;             /* the same, to be freed */
    struct generation *conf_owner; /* whose conf this is; NULL: our own */
    struct arena arena;
    atomic_uint refs;
};

/* A new generation: the configuration read again, or, where keep is given,
 * that one's; the policies read from their folder.  A policy whose text does
 * not load keeps the text of `last` (NULL: an error).  Everything is loaded
 * once into a scratch vm on this thread (scratch: its worker).
 * ERR_CONFIG or ERR_SCRIPT: err_text() says what, with file and line. */
enum err generation_new(struct generation **out, const struct options *o,
                        struct generation *keep, struct generation *last,
                        struct api_worker *scratch, uint64_t number);

/* One without policies, from an empty configuration or -c: for `run`. */
enum err generation_new_bare(struct generation **out, const struct options *o);

struct generation *generation_ref(struct generation *g);
void generation_unref(struct generation *g);
