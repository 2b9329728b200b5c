/* uri.h -- a request's path, decoded and normalized as nginx does it. */
#pragma once
#include "base/buf.h"

/* Splits "/a/b?x=1#f" into path and query (without '?'; data NULL where that
 * is empty).  A fragment is dropped; "http://host/a" gives "/a". */
void uri_split(struct slice raw, struct slice *path, struct slice *query);

/* Whether uri_normalize would change nothing: most paths. */
bool uri_is_plain(struct slice path);

/* Appends path with %XX decoded, "//" merged, "." and ".." resolved.
 * ERR_INVALID: it leaves the root, has a broken escape or a NUL, or does not
 * begin with a slash. */
enum err uri_normalize(struct buf *out, struct slice path);
