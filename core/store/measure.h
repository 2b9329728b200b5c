/* measure.h -- the metrics that all kinds of store fill. */
#pragma once
#include "base/metrics.h"

/* How long a commit took. */
struct metric *measure_seconds(void);

/* How many commits shared a transaction. */
struct metric *measure_sizes(void);

/* Transactions that failed; from 0 on. */
struct metric *measure_errors(void);

/* 1 while writing fails; from 0 on. */
struct metric *measure_failing(void);
