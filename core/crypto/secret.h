/* secret.h -- what every secret needs: chance, comparing, wiping.
 *
 * Any thread. */
#pragma once
#include "base/slice.h"

/* Fills out with n bytes that nobody can guess; false where the system has
 * none to give (then do not go on). */
bool secret_random(void *out, size_t n);

/* Equal in length and bytes.  How long it takes depends on the lengths, not
 * on the bytes. */
bool secret_equal(struct slice a, struct slice b);

/* Overwrites n bytes; the compiler cannot leave it out.  p may be NULL where
 * n is 0. */
void secret_wipe(void *p, size_t n);
