/* ngx_log.h -- lines that scripts cause in the error log. */
#pragma once
#include "api/request.h"
#include "base/log.h"

/* A line of the request r, or, where r is NULL, of that context ("ngx.timer",
 * ""), which is added to text. */
void ngx_log_write(const struct request *r, const char *context,
                   enum log_level level, struct buf *text);
