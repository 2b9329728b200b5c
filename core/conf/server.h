/* server.h -- server_name, and which server of an address a Host means.
 *
 * nginx's order: exact; the longest *.suffix; the longest prefix.*; the
 * first regex; the default server. */
#pragma once
#include "conf/conf.h"

/* The server for a request's Host, in any case, with or without a port or a
 * final dot; empty where there is none.  ovector and pairs as in
 * location_find, for a regex name: offsets into host.  *name (may be NULL)
 * is the name that fitted, or NULL.  Any thread. */
const struct conf_server *server_find(const struct conf_listen *listen,
                                      struct slice host, size_t *ovector,
                                      unsigned *pairs,
                                      const struct conf_server_name **name);
