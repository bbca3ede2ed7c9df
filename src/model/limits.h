/* limits: which rules apply to an account, and whose they are.
 *
 *   the rules of the account's preset, or of its customer's when it has none of its own,
 *   the rules for the whole customer of the customer's preset in any case: no account leaves
 *   what all of them may send together,
 *   the rules of the account's profile, besides,
 *   the account's own rules, in place of those of the same scope, unit and window,
 *   the customer's own rules, in place of its preset's and of any preset's for the whole
 *   customer; besides those of the account: the stricter decides. */
#ifndef MODEL_LIMITS_H
#define MODEL_LIMITS_H

#include "base/arena.h"
#include "policy/limiter.h"

struct rule_set {
    const struct rule *rules;
    size_t count;
};

/* Sets that are empty are none; the same preset twice has the same `rules`. */
struct limit_sources {
    uint64_t account;
    uint64_t customer;
    uint64_t credential; /* 0: none, and the rules for one are left out */
    struct rule_set account_preset;
    struct rule_set customer_preset;
    struct rule_set profile; /* of the account */
    struct rule_set account_rules;
    struct rule_set customer_rules;
};

enum limit_origin {
    LIMIT_FROM_ACCOUNT_PRESET,
    LIMIT_FROM_CUSTOMER_PRESET,
    LIMIT_FROM_PROFILE,
    LIMIT_FROM_ACCOUNT,
    LIMIT_FROM_CUSTOMER,
};

/* What applies, in the arena, and where each is from (origins: NULL when nobody asks): how
 * many. Entities are ids of the account, the customer or the credential, else 0. */
size_t limits_merge(const struct limit_sources *s, struct arena *a, const struct limit **out,
                    const enum limit_origin **origins) NONNULL(1, 2, 3);

#endif
