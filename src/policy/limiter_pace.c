#include "policy/limiter_internal.h"

/* How long the last that is accepted may wait: a day, or the rule's window when that is longer.
 * Less than the lifetime of a message in the queue by far. */
static span longest(const struct rule *rule)
{
    return rule->window > SPAN_DAY ? rule->window : SPAN_DAY;
}

/* amount * window / max, rounded up: never faster than the rule. */
static span length_of(const struct rule *rule, uint64_t amount)
{
    unsigned __int128 all = (unsigned __int128)amount * (uint64_t)rule->window;
    uint64_t max = rule->max > 0 ? rule->max : 1;
    unsigned __int128 length = (all + max - 1) / max;
    return length > INT64_MAX / 4 ? INT64_MAX / 4 : (span)length;
}

stamp pace_start(const struct counter *c, stamp now)
{
    return c->pace.next > now ? c->pace.next : now;
}

stamp pace_after(const struct rule *rule, stamp start, uint64_t amount)
{
    return start + length_of(rule, amount);
}

uint64_t pace_waiting(const struct counter *c, const struct rule *rule, stamp now)
{
    unsigned __int128 wait = (unsigned __int128)(pace_start(c, now) - now) * rule->max;
    uint64_t window = (uint64_t)rule->window;
    return (uint64_t)((wait + window - 1) / window) + c->held;
}

uint64_t pace_backlog(const struct rule *rule)
{
    return (uint64_t)((unsigned __int128)longest(rule) * rule->max / (uint64_t)rule->window);
}

bool pace_fits(const struct counter *c, const struct rule *rule, stamp now, stamp *free_at)
{
    stamp start = pace_after(rule, pace_start(c, now), c->held);
    if (rule->max > 0 && start - now <= longest(rule))
        return true;
    *free_at = rule->max > 0 ? start - longest(rule) : STAMP_NEVER;
    return false;
}
