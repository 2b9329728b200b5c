/* resolver.h -- host names looked up at given nameservers, by c-ares inside a
 * libuv loop.  Everything on the loop's thread. */
#pragma once
#include "net/address.h"
#include <stdint.h>
#include <uv.h>

struct resolver;
struct resolver_query;

/* code: 0, or nginx's number for what went wrong (resolver_reason). */
typedef void resolver_done(void *user, int code, const struct address *found);

/* servers: "192.0.2.1:53,[::1]:5353".  ERR_CONFIG: err_text() says why. */
enum err resolver_new(struct resolver **out, uv_loop_t *loop,
                      const char *servers, bool ipv6);

/* done comes from the loop, at the latest after msec milliseconds, unless the
 * query is cancelled first.  found is one of the name's addresses.  NULL: no
 * memory. */
struct resolver_query *resolver_start(struct resolver *r, const char *name,
                                      uint64_t msec, resolver_done *done,
                                      void *user);
void resolver_cancel(struct resolver_query *query);

/* "Host not found" for 3. */
const char *resolver_reason(int code);

/* No query is wanted any more.  The memory goes with the loop's handles. */
void resolver_free(struct resolver *r);
