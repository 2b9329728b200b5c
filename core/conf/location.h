/* location.h -- which location serves a URI.
 *
 * nginx's order: exact; else the longest prefix (then the locations nested
 * in it); unless that prefix says ^~, the first regex that matches. */
#pragma once
#include "conf/conf.h"

/* The location for a decoded and normalized path; server->root where none
 * fits.  ovector has room for *pairs pairs of offsets into uri: where a
 * regex decided, *pairs is how many it gave ($1 is the second), else 0.
 * Nothing is allocated.  Any thread. */
const struct conf_location *location_find(const struct conf_server *server,
                                          struct slice uri, size_t *ovector,
                                          unsigned *pairs);

/* The location named "@x", or NULL. */
const struct conf_location *location_named(const struct conf_server *server,
                                           struct slice name);

/* Sorts what location_find searches, for at and all below it.  Loader only.
 * ERR_CONFIG: a duplicate. */
enum err location_index(struct conf *conf, struct conf_location *at);
