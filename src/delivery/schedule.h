/* schedule: when something is tried again: a recipient, or a whole destination.
 *
 * Pure: the moments themselves wait in the queue's heap. */
#ifndef DELIVERY_SCHEDULE_H
#define DELIVERY_SCHEDULE_H

#include "delivery/settlement.h"
#include "policy/retry.h"

/* Turns what happened to a recipient in attempt number `attempt` into what is recorded: the
 * kind of outcome, and the next attempt of a RETRY. */
enum outcome_kind schedule_judge(const struct retry_policy *p, const struct outcome *o,
                                 stamp accepted, stamp now, uint32_t attempt, uint32_t random,
                                 stamp *next) MUST_USE NONNULL(1, 2, 7);

/* A destination that could not be reached: how long nothing is tried there after `failures`
 * rounds without success (>= 1). Doubles from the first wait of the policy (10 s at most) up
 * to its longest (15 min at most): one connection is a cheap probe, and mail should flow soon
 * after the host is back. */
span schedule_backoff(const struct retry_policy *p, unsigned failures, uint32_t random)
    NONNULL(1);

/* Has the message been tried for too long? */
bool schedule_has_expired(const struct retry_policy *p, stamp accepted, stamp now) NONNULL(1);

#endif
