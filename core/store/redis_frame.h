/* redis_frame.h -- bounds on what a Redis says, before hiredis believes it.
 *
 * hiredis makes room for as many elements as an answer announces, and waits
 * for a text of any length.  Here answers are counted as they come. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    REDIS_FRAME_DEPTH = 6,          /* arrays in arrays, hiredis has 7 */
    REDIS_FRAME_ELEMENTS = 1 << 17, /* of one answer */
    REDIS_FRAME_LINE = 4096,        /* of a status or an error */
    REDIS_FRAME_BULK = 4 << 20,     /* of a text */
    REDIS_FRAME_BYTES = 64 << 20,   /* of one answer */
};

struct redis_frame { /* zeroed: before the first byte */
    unsigned depth;
    uint32_t left[REDIS_FRAME_DEPTH]; /* elements to come, for each array */
    uint32_t elements;
    size_t bytes; /* of this answer so far */
    size_t skip;  /* of a text's, with its CRLF */
    char line[24], last;
    size_t length; /* of the line so far; line has its beginning */
};

/* Takes what came next.  False: no answer of Redis's, or one beyond all
 * bounds; then for good. */
bool redis_frame_take(struct redis_frame *f, struct slice bytes);
