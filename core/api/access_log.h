/* access_log.h -- a line in each access log of a request that has ended. */
#pragma once
#include "api/request.h"

void access_log_write(struct request *r);
