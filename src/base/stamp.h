/* stamp: a moment, and spans of time, both in microseconds.
 *
 * Time is an argument: only base/env reads a clock. */
#ifndef BASE_STAMP_H
#define BASE_STAMP_H

#include <stdint.h>

/* Microseconds since 1970-01-01 00:00:00 UTC. */
typedef int64_t stamp;
/* Microseconds. */
typedef int64_t span;

#define SPAN_MS ((span)1000)
#define SPAN_SECOND ((span)1000000)
#define SPAN_MINUTE (60 * SPAN_SECOND)
#define SPAN_HOUR (60 * SPAN_MINUTE)
#define SPAN_DAY (24 * SPAN_HOUR)

#define STAMP_NEVER INT64_MAX

/* Large enough for stamp_format and stamp_format_mail. */
enum { STAMP_TEXT_MAX = 48 };

/* "2026-11-22T01:02:03.456Z" (RFC 3339), always UTC. */
void stamp_format(stamp at, char text[STAMP_TEXT_MAX]);
/* "Sun, 22 Nov 2026 01:02:03 +0000" (RFC 5322 section 3.3), always UTC. */
void stamp_format_mail(stamp at, char text[STAMP_TEXT_MAX]);

#endif
