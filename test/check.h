/* check: what cmocka lacks for our types. Include it instead of cmocka.h. */
#ifndef TEST_CHECK_H
#define TEST_CHECK_H

#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A test's row in a table: says which one failed. */
#define CHECK(row, claim)                                \
    do {                                                 \
        if (!(claim))                                    \
            fail_msg("%s: not true: %s", (row), #claim); \
    } while (0)

static inline void check_slice(const char *row, slice got, slice want)
{
    if (!slice_eq(got, want))
        fail_msg("%s: got \"%.*s\" (%zu), not \"%.*s\" (%zu)", row, SLICE_ARG(got), got.len,
                 SLICE_ARG(want), want.len);
}

static inline void check_int(const char *row, long long got, long long want)
{
    if (got != want)
        fail_msg("%s: got %lld, not %lld", row, got, want);
}

#endif
