/* lenient.h -- JSON as platforms send it, which is not always JSON. */
#pragma once
#include "base/slice.h"
#include <jansson.h>

/* The object in text, taken off it as far as it was read; NULL where there is
 * none.  Beyond JSON it takes what platforms were seen to send: control bytes
 * and halves of surrogate pairs in strings (a half becomes U+FFFD), names that
 * come twice (the last counts), numbers of any size, a byte order mark in
 * front, zeros behind.  The caller owns the object. */
json_t *lenient_parse(struct slice *text);
