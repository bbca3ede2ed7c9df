/* zone: what the clock on the wall shows, for texts that people read and for borders of months.
 *
 * A zone is its rule: the POSIX TZ string that stands at the end of every file of the system's
 * zoneinfo (RFC 8536 section 3.3), such as "CET-1CEST,M3.5.0,M10.5.0/3" for Europe/Oslo. Good
 * for all moments since the rule was last changed by law. What a file says of single years
 * ahead is not in its rule: Morocco's clocks are an hour early here during Ramadan, and say so
 * ("+01"). */
#ifndef POLICY_ZONE_H
#define POLICY_ZONE_H

#include "base/attr.h"
#include "base/slice.h"
#include "base/stamp.h"

enum {
    ZONE_RULE_MAX = 100, /* octets of a rule; the longest in use have 45 */
    ZONE_NAME_MAX = 10,
};

/* A day of the year and a time of it, as the clock shows it that is about to be changed. */
struct zone_change {
    enum {
        ZONE_DAY_OF_MONTH, /* Mm.w.d */
        ZONE_DAY_OF_YEAR,  /* Jn: 1 to 365, 29 February is never counted */
        ZONE_DAY_OF_ALL,   /* n: 0 to 365 */
    } kind;
    int month; /* 1 to 12 */
    int week;  /* 1 to 5; 5: the last */
    int day;   /* of the week, 0 is Sunday; of the year */
    span time; /* from -167 to 167 hours: it may be another day's */
};

struct zone {
    span offset[2];                  /* to be added to UTC: in winter, in summer */
    char name[2][ZONE_NAME_MAX + 1]; /* "CET", "CEST" */
    bool has_summer;
    struct zone_change begin, end; /* of summer */
};

extern const struct zone zone_utc;

/* Reads a rule by the grammar of POSIX TZ with the hours of RFC 8536 section 3.3.1. A zone with
 * a summer says when it is. False, and *out is untouched: it is no such rule. */
bool zone_parse(slice rule, struct zone *out) MUST_USE NONNULL(2);
/* The same; UTC for what is no rule. */
struct zone zone_of(slice rule);

struct zone_time {
    span offset;      /* to be added to UTC */
    const char *name; /* "CET", "+0530"; the zone's */
};
/* What the clock shows at that moment. */
struct zone_time zone_at(const struct zone *z, stamp at) NONNULL(1);

/* The moment at which the clock on the wall shows this. Of an hour that comes twice the first;
 * one that is skipped is as long after the change as it would have been. */
stamp zone_from_local(const struct zone *z, stamp local) NONNULL(1);

#endif
