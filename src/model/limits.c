#include "model/limits.h"

static bool has_replacement(struct rule_set own, const struct rule *r)
{
    for (size_t i = 0; i < own.count; i++) {
        if (rule_replaces(&own.rules[i], r))
            return true;
    }
    return false;
}

/* What is being put together: room for every rule that could apply. */
struct merge {
    const struct limit_sources *sources;
    struct limit *limits;
    enum limit_origin *origins;
    size_t count;
};

static void add(struct merge *m, const struct rule *r, enum limit_origin origin)
{
    const struct limit_sources *s = m->sources;
    uint64_t entity = 0;
    if (r->scope == RULE_CREDENTIAL && s->credential == 0)
        return;
    if (r->scope == RULE_CREDENTIAL)
        entity = s->credential;
    else if (r->scope == RULE_ACCOUNT)
        entity = s->account;
    else if (r->scope == RULE_CUSTOMER)
        entity = s->customer;
    m->origins[m->count] = origin;
    m->limits[m->count++] = (struct limit){.rule = *r, .entity = entity};
}

static void add_account_preset(struct merge *m)
{
    const struct limit_sources *s = m->sources;
    for (size_t i = 0; i < s->account_preset.count; i++) {
        const struct rule *r = &s->account_preset.rules[i];
        bool is_customers = r->scope == RULE_CUSTOMER && has_replacement(s->customer_rules, r);
        if (!is_customers && !has_replacement(s->account_rules, r))
            add(m, r, LIMIT_FROM_ACCOUNT_PRESET);
    }
}

static void add_customer_preset(struct merge *m)
{
    const struct limit_sources *s = m->sources;
    bool has_own = s->account_preset.count > 0;
    if (has_own && s->account_preset.rules == s->customer_preset.rules)
        return;
    for (size_t i = 0; i < s->customer_preset.count; i++) {
        const struct rule *r = &s->customer_preset.rules[i];
        if (has_own && r->scope != RULE_CUSTOMER)
            continue;
        bool is_replaced = has_replacement(s->customer_rules, r) ||
                           (!has_own && has_replacement(s->account_rules, r));
        if (!is_replaced)
            add(m, r, LIMIT_FROM_CUSTOMER_PRESET);
    }
}

size_t limits_merge(const struct limit_sources *s, struct arena *a, const struct limit **out,
                    const enum limit_origin **origins)
{
    size_t room = s->account_preset.count + s->customer_preset.count + s->profile.count +
                  s->account_rules.count + s->customer_rules.count;
    struct merge m = {
        .sources = s,
        .limits = arena_array(a, struct limit, room),
        .origins = arena_array(a, enum limit_origin, room),
    };
    add_account_preset(&m);
    add_customer_preset(&m);
    for (size_t i = 0; i < s->profile.count; i++) {
        if (!has_replacement(s->account_rules, &s->profile.rules[i]))
            add(&m, &s->profile.rules[i], LIMIT_FROM_PROFILE);
    }
    for (size_t i = 0; i < s->account_rules.count; i++)
        add(&m, &s->account_rules.rules[i], LIMIT_FROM_ACCOUNT);
    for (size_t i = 0; i < s->customer_rules.count; i++)
        add(&m, &s->customer_rules.rules[i], LIMIT_FROM_CUSTOMER);
    *out = m.limits;
    if (origins)
        *origins = m.origins;
    return m.count;
}
