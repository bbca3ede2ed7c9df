/* Use that is read back from the journal, or that nobody could refuse. */
#include "policy/limiter_internal.h"

#include <errno.h>

/* As limiter_settle would have. */
static void forget_notice(struct limiter *l, const struct limit *limit,
                          const struct amounts *amounts, stamp at)
{
    struct counter *c = limit->rule.action == RULE_NOTIFY ? limiter_known(l, limit) : NULL;
    if (c && c->notified)
        c->notified = !fits(counter_used(c, at), amounts->of[limit->rule.unit], max_of(limit));
}

/* A turn that was taken, by the strictest of the rules that share it. */
static void replay_turn(struct counter *c, const struct limit *limits, size_t count, size_t at,
                        uint64_t amount, stamp now)
{
    const struct rule *strictest = &limits[at].rule;
    for (size_t i = at + 1; i < count; i++) {
        if (limits[i].entity == limits[at].entity && paces(&limits[i].rule) &&
            rule_replaces(&limits[i].rule, strictest) && limits[i].rule.max < strictest->max)
            strictest = &limits[i].rule;
    }
    c->pace.next = pace_after(strictest, pace_start(c, now), amount);
}

/* Has an earlier one of these limits counted under the same counter? */
static bool is_counted(const struct limit *limits, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (limits[i].entity == limits[at].entity &&
            rule_replaces(&limits[i].rule, &limits[at].rule) &&
            paces(&limits[i].rule) == paces(&limits[at].rule))
            return true;
    }
    return false;
}

/* Does mail wait for a rule on the same counter? */
static bool is_waited_for(const struct limit *limits, size_t count, size_t at)
{
    for (size_t i = 0; i < count; i++) {
        if (limits[i].entity == limits[at].entity && lets_wait(&limits[i].rule) &&
            rule_replaces(&limits[i].rule, &limits[at].rule))
            return true;
    }
    return false;
}

static int replay_waiting(struct counter *c, stamp released, uint64_t amount)
{
    int err = wait_make_room(c);
    if (err == 0)
        wait_add(c, released, amount);
    return err;
}

int limiter_replay(struct limiter *l, const struct limit *limits, size_t count,
                   const struct amounts *amounts, stamp at)
{
    return limiter_replay_waiting(l, limits, count, amounts, at, 0);
}

int limiter_replay_waiting(struct limiter *l, const struct limit *limits, size_t count,
                           const struct amounts *amounts, stamp at, stamp released)
{
    limiter_advance(l, at);
    if (limiter_find(l, limits, count) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        uint64_t amount = amounts->of[limits[i].rule.unit];
        if (limits[i].rule.scope == RULE_MESSAGE || amount == 0)
            continue;
        forget_notice(l, &limits[i], amounts, at);
        if (is_counted(limits, i))
            continue;
        struct counter *c = counter_at(l, limits, i);
        int err = 0;
        if (paces(&limits[i].rule))
            replay_turn(c, limits, count, i, amount, at);
        else if (released > at && is_waited_for(limits, count, i))
            err = replay_waiting(c, released, amount);
        else
            err = counter_use(c, at, amount);
        if (err < 0)
            return err;
    }
    return 0;
}
