/* server.h -- server_name, and which server of an address a Host means.
 *
 * nginx's order: exact; the longest *.suffix; the longest prefix.*; the
 * first regex; the default server. */
#pragma once
#include "conf/conf.h"

struct scope;

/* The server for a request's Host, in any case, with or without a port or a
 * final dot; empty where there is none.  ovector and pairs as in
 * location_find, for a regex name: offsets into host.  *name (may be NULL)
 * is the name that fitted, or NULL.  Any thread. */
const struct conf_server *server_find(const struct conf_listen *listen,
                                      struct slice host, size_t *ovector,
                                      unsigned *pairs,
                                      const struct conf_server_name **name);

/* A server block without names answers requests without a Host.  This and
 * the next: loader only. */
enum err server_unnamed(struct scope *s);

/* Builds what server_find searches, from the names of listen's
 * servers. */
enum err server_index(struct conf *conf, struct conf_listen *listen);
