/* stream_scan.h -- finds in what a stream has brought the piece that a reader
 * wants: a line, so many bytes, all until a pattern.
 *
 * A scan is tried again whenever more has come and does not look at the same
 * bytes twice. */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdint.h>

enum stream_scan_kind {
    SCAN_LINE, /* until "\n", which is taken too */
    SCAN_SIZE, /* exactly size bytes */
    SCAN_ANY,  /* what is there, at most size bytes */
    SCAN_ALL,  /* until the end */
    SCAN_UNTIL /* until pattern; with size: in pieces of about that size */
};

/* A pattern and how far a match of it has got (Knuth, Morris and Pratt).
 * The text is the user's. */
struct stream_pattern {
    struct slice text;
    bool inclusive;
    bool ended;       /* its last piece was given out */
    size_t state;     /* so many bytes before the unseen ones match */
    uint32_t fails[]; /* where to go on after a mismatch */
};

struct stream_scan {
    enum stream_scan_kind kind;
    size_t size;
    struct stream_pattern *pattern;
    size_t seen; /* bytes of the input that need no second look */
    size_t out;  /* SCAN_UNTIL: bytes that are surely before the pattern */
};

/* The bytes that a pattern of len bytes needs. */
size_t stream_scan_pattern_size(size_t len);
void stream_scan_compile(struct stream_pattern *p, struct slice text,
                         bool inclusive);

/* in: all that has come and was not taken.  OK: found is the piece, and used
 * how many bytes it takes.  PENDING: more is needed, and the two are what an
 * error gives out as the part that has come. */
enum err stream_scan_try(struct stream_scan *scan, struct slice in,
                         struct slice *found, size_t *used);
