/* plan: what an account has bought per period: when periods begin, what is credited.
 *
 * A period is a month: the calendar month of the account's time zone, or, when the plan has a
 * start, from that day of the month and that time of the day on to the same of the next month
 * (on the month's last day where there is no such day). A plan that is bought once has one
 * period, from its start to its end. Rules with a window of a `month` count within periods;
 * before the start and after the end they let nothing pass. */
#ifndef POLICY_PLAN_H
#define POLICY_PLAN_H

#include "policy/limiter.h"
#include "policy/zone.h"

/* All zero: calendar months without end. */
struct plan {
    stamp start;        /* 0: the first of the month */
    stamp end;          /* 0: none */
    bool is_once;       /* one period; needs a start */
    stamp reset;        /* use before it counts no more; 0: never */
    uint64_t credit;    /* added to the maximum, in the unit of the rule, */
    stamp credit_until; /* until then; 0: as long as the plan lasts */
};

struct plan_period {
    bool is_open; /* false: the plan has not begun, or has ended */
    stamp begin;
    stamp end; /* when the next one begins, or this one is opened; STAMP_NEVER: none follows */
    stamp until; /* this answer, credit included, holds until then */
    uint64_t credit;
};

/* The period at a moment. Borders are moments of the clock on the wall in the zone: an hour
 * that summer time skips ends where it would have begun. */
void plan_period_at(const struct plan *p, const struct zone *z, stamp now,
                    struct plan_period *out) NONNULL(1, 2, 4);
/* Binds a limit, whose rule has a window of a month, to the period. */
void plan_bind(const struct plan *p, const struct plan_period *period, struct limit *limit)
    NONNULL(1, 2, 3);

#endif
