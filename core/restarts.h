/* restarts.h -- what a reload cannot change, as it was set up once at the
 * start. */
#pragma once
#include "conf/conf.h"

/* A line in the log for each setting that differs and waits for a restart. */
void restarts_warn(const struct conf *old, const struct conf *now);
