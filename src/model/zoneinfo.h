/* zoneinfo: the system's time zones by their names (tz database, package tzdata), for all
 * processes alike: each reads the few that its customers are in.
 *
 * Of a zone's file only the rule at its end is used (RFC 8536 section 3.3): what the clock
 * shows from the last change of the law on. */
#ifndef MODEL_ZONEINFO_H
#define MODEL_ZONEINFO_H

#include "policy/zone.h"

enum { ZONEINFO_NAME_MAX = 64 };

/* The zone of a name such as "Europe/Oslo" or "America/Argentina/Ushuaia", spelt exactly; "UTC"
 * without asking the system. 0; -ENOENT: no zone is called so; another -errno: its file cannot
 * be read. */
int zoneinfo_read(slice name, struct zone *out) MUST_USE NONNULL(2);

/* The rule at the end of a zone's file, borrowed; empty when it is none, or has none. */
slice zoneinfo_rule(slice contents);

#endif
