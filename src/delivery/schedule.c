#include "delivery/schedule.h"

static const span SITE_FIRST_MAX = 10 * SPAN_SECOND;
static const span SITE_LONGEST_MAX = 15 * SPAN_MINUTE;

enum outcome_kind schedule_judge(const struct retry_policy *p, const struct outcome *o,
                                 stamp accepted, stamp now, uint32_t attempt, uint32_t random,
                                 stamp *next)
{
    switch (o->next) {
    case NEXT_CONTINUE:
        return OUTCOME_DELIVERED;
    case NEXT_FAIL:
        return OUTCOME_FAILED;
    case NEXT_ADDRESS:
    case NEXT_PLAIN:
    case NEXT_RETRY:
        break;
    }
    stamp at = retry_next(p, accepted, now, attempt, random);
    if (at == STAMP_NEVER)
        return OUTCOME_EXPIRED;
    *next = at;
    return OUTCOME_RETRY;
}

static span smaller(span a, span b)
{
    return a < b ? a : b;
}

span schedule_backoff(const struct retry_policy *p, unsigned failures, uint32_t random)
{
    span wait = smaller(p->first, SITE_FIRST_MAX);
    span longest = smaller(p->longest, SITE_LONGEST_MAX);
    for (unsigned i = 1; i < failures && wait < longest; i++)
        wait *= 2;
    wait = smaller(wait, longest);
    /* ± 10 %, so that servers which failed together do not come back together. */
    span tenth = wait / 10;
    return wait - tenth + (span)((uint64_t)random * (uint64_t)(2 * tenth) >> 32);
}

bool schedule_has_expired(const struct retry_policy *p, stamp accepted, stamp now)
{
    return now - accepted >= p->expiry;
}
