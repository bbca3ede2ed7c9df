/* zone: what the clock on the wall shows, for texts that people read.
 *
 * Knows the European zones of the IANA database, which share one rule for summer time
 * (Directive 2000/84/EC: from the last Sunday of March to the last Sunday of October, 01:00
 * UTC); every other name is shown in UTC, and says so. Good for moments from 2000 on. */
#ifndef POLICY_ZONE_H
#define POLICY_ZONE_H

#include "base/attr.h"
#include "base/slice.h"
#include "base/stamp.h"

struct zone;

/* The zone of a name such as "Europe/Oslo"; never NULL (UTC). Constant: it lives for ever. */
const struct zone *zone_find(slice name);

struct zone_time {
    span offset;      /* to be added to UTC */
    const char *name; /* "CET" */
};
struct zone_time zone_at(const struct zone *z, stamp at) NONNULL(1);

/* The moment at which the clock on the wall shows this; an hour that is skipped ends where it
 * would have begun, of one that comes twice it is either. */
stamp zone_from_local(const struct zone *z, stamp local) NONNULL(1);

#endif
