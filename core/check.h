/* check.h -- `-t`: what a start would need, looked at without changing it. */
#pragma once
#include "conf/conf.h"

/* Logs all that would keep a start, or after it a reload, from working; -> how
 * many faults that is. */
unsigned check_start(const struct conf *conf);
