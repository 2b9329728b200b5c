/* conditional.h -- requests that hold only on a condition (RFC 9110 section
 * 13): If-Modified-Since and its like, as nginx judges them. */
#pragma once
#include "api/request.h"

/* For an answer that is about to begin with status 200: 304 or 412 where the
 * client's conditions say so, else 0. */
int conditional_status(const struct request *r);
