/* clock.h -- what time it is, and how HTTP writes it. */
#pragma once
#include "base/slice.h"
#include <stdint.h>
#include <time.h>

/* Wall clock: seconds (with a fraction), and whole milliseconds. */
double clock_now(void);
uint64_t clock_msec(void);

/* Monotonic milliseconds, for measuring. */
uint64_t clock_ticks(void);

/* Unix seconds for what cannot be undone, such as removing what is over: a
 * wall clock that jumps is believed only when it has stayed where it went for
 * CLOCK_SETTLES.  Until then time goes on from before the jump.  Any thread. */
enum { CLOCK_SETTLES = 600 * 1000, CLOCK_JUMP = 60 * 1000 }; /* ms */
uint64_t clock_settled(void);

enum { CLOCK_HTTP = 30, CLOCK_COOKIE = 34, CLOCK_LOCAL = 20 };

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7). */
void clock_http(time_t when, char out[CLOCK_HTTP]);

/* "Sun, 06-Nov-94 08:49:37 GMT", as ngx.cookie_time writes it. */
void clock_cookie(time_t when, char out[CLOCK_COOKIE]);

/* "2014-08-22 21:58:30", in local or in universal time. */
void clock_local(time_t when, bool utc, char out[CLOCK_LOCAL]);

/* Reads what clock_http writes; false on anything else. */
bool clock_parse_http(struct slice text, time_t *out);
