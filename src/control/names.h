/* names: what operators may call things, and what they may write about them. Each check gives
 * what would be right, for the error. Texts are UTF-8 already. */
#ifndef CONTROL_NAMES_H
#define CONTROL_NAMES_H

#include "base/arena.h"
#include "base/stamp.h"
#include "policy/account.h"
#include "policy/zone.h"

enum { NAME_MAX_LEN = 255, SENDERS_MAX = 1000 };

/* NULL when it is right, else what would be. */
const char *name_check_customer(slice s);
/* An address, or a name without spaces. */
const char *name_check_login(slice s);
const char *name_check_language(slice s);
/* One of the system's (model/zoneinfo). */
const char *name_check_time_zone(slice s);
/* The zone of a name; UTC for "" and for one that the system does not know any more. */
struct zone name_zone(slice s);
const char *name_check_contact(slice s);
/* A line of free text: a label, a reason. */
const char *name_check_line(slice s);
const char *name_check_password(slice s);

/* One permitted sender in its canonical form, in the arena; NULL or what would be right. */
const char *name_take_sender(struct arena *a, enum sender_right right, slice s, slice *out)
    NONNULL(1, 4);

/* "90s", "30m", "24h", "5d", "2w": false for anything else, for 0, and over ten years. */
bool name_parse_span(slice s, span *out) NONNULL(2);
/* The same, shortest, in the arena; empty for 0. */
slice name_of_span(struct arena *a, span length) NONNULL(1);
/* How long an account's mail is tried, and when its sender is warned: "" for 0, the server's;
 * "never" for -1. */
const char *name_check_expire_after(slice s);
const char *name_check_warn_after(slice s);
span name_read_patience(slice s); /* one that is right */

/* "2026-12-01", "2026-12-01T08:30", "2026-12-01T08:30:05" as the clock on the wall shows it in
 * the zone, or in UTC with a "Z" behind; "now". Years from 1970 to 2399. */
bool name_parse_moment(slice s, const struct zone *zone, stamp now, stamp *out) NONNULL(2, 4);
/* "9000", "10MB" (B, KB, MB, GB: decimal, as in rules). */
bool name_parse_amount(slice s, uint64_t *out) NONNULL(2);

const char *name_of_right(enum sender_right right);
bool name_parse_right(slice s, enum sender_right *out) NONNULL(2);
const char *name_of_state(enum account_state state);

#endif
