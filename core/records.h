/* records.h -- `latchkey store`: the records by hand.
 *
 *   dump [FILE|-]     all records, sealed, into a new file or standard output
 *   load [FILE|-]     a dump into the store, over what is there
 *   verify [FILE|-]   whether each record of the store, or a dump, opens
 *   stat              how many there are, of which kind, sealed by which key
 *   reseal            what an older master key sealed, by the newest
 *
 * The store is the configuration's.  dump, verify and stat go on beside a
 * server.  load and reseal write: over LMDB the server must not run. */
#pragma once
#include "options.h"

/* Returns the exit status, 0 or 1.  Main thread. */
int records_main(const struct options *o, int argc, char **argv);
