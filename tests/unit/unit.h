/* unit.h -- what every unit test needs: cmocka, and slices compared as text. */
#pragma once
/* cmocka.h wants these before it. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "base/slice.h"
#include <stdio.h>

/* Fails at the caller's line, showing both. */
#define assert_slice(got, want) unit_slice(got, want, #got, __FILE__, __LINE__)

static inline void unit_slice(struct slice got, const char *want,
                              const char *what, const char *file, int line)
{
    if (slice_eq(got, slice_str(want)))
        return;
    print_error("%s is \"%.*s\", not \"%s\"\n", what, SLICE_FMT(got), want);
    _fail(file, line);
}
