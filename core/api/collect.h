/* collect.h -- tables of names that may come more than once: headers, and
 * arguments of a query. */
#pragma once
#include "api/request.h"

/* t[name] = value, of which a second makes a table of all.  t is at index,
 * name and value are on top, and go. */
void collect_put(lua_State *L, int index);

/* Pushes a table of count headers, found under any spelling where raw does
 * not keep theirs: at most max (0: all), and then "truncated" where there
 * are more.  Returns how many values it pushed. */
int collect_headers(lua_State *L, const struct http_header *headers,
                    unsigned count, unsigned max, bool raw);

/* The max argument at index: 100 where there is none, 0 for no limit. */
unsigned collect_max(lua_State *L, int index);

/* A line for whoever debugs: more came than max. */
void collect_warn(const struct request *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
