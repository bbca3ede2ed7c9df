/* Which rules apply to an account: its preset's, its own, and its customer's. */
#include "model/directory_state.h"
#include "model/preset.h"

static struct rule_set preset_set(const struct directory *d, slice name)
{
    const struct preset *p = preset_find(name);
    return p ? d->presets[p - presets] : (struct rule_set){0};
}

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
    const struct directory_account *account;
    uint64_t credential;
    struct limit *limits;
    size_t count;
};

static void add(struct merge *m, const struct rule *r)
{
    uint64_t entity = 0;
    if (r->scope == RULE_CREDENTIAL && m->credential == 0)
        return;
    if (r->scope == RULE_CREDENTIAL)
        entity = m->credential;
    else if (r->scope == RULE_ACCOUNT)
        entity = m->account->id;
    else if (r->scope == RULE_CUSTOMER)
        entity = m->account->customer;
    m->limits[m->count++] = (struct limit){.rule = *r, .entity = entity};
}

static void add_all(struct merge *m, struct rule_set set)
{
    for (size_t i = 0; i < set.count; i++)
        add(m, &set.rules[i]);
}

static size_t merge(const struct directory *d, const struct directory_account *account,
                    const struct directory_customer *customer, uint64_t credential,
                    struct arena *a, const struct limit **out)
{
    bool has_preset = account->preset.len > 0;
    struct rule_set customers_preset = preset_set(d, customer->preset);
    struct rule_set preset = has_preset ? preset_set(d, account->preset) : customers_preset;
    struct rule_set accounts = {account->rules, account->rule_count};
    struct rule_set customers = {customer->rules, customer->rule_count};
    struct merge m = {.account = account, .credential = credential};
    m.limits =
        arena_array(a, struct limit,
                    preset.count + customers_preset.count + accounts.count + customers.count);
    for (size_t i = 0; i < preset.count; i++) {
        const struct rule *r = &preset.rules[i];
        bool is_customers = !has_preset || r->scope == RULE_CUSTOMER;
        if (!has_replacement(accounts, r) && !(is_customers && has_replacement(customers, r)))
            add(&m, r);
    }
    /* A preset of its own takes no account out of what all of them may send together. */
    if (has_preset && !slice_eq(account->preset, customer->preset)) {
        for (size_t i = 0; i < customers_preset.count; i++) {
            const struct rule *r = &customers_preset.rules[i];
            if (r->scope == RULE_CUSTOMER && !has_replacement(customers, r))
                add(&m, r);
        }
    }
    add_all(&m, accounts);
    add_all(&m, customers);
    *out = m.limits;
    return m.count;
}

size_t directory_limits(const struct directory *d, uint64_t account, uint64_t credential,
                        struct arena *a, const struct limit **out)
{
    const struct directory_state *s = directory_read_lock(d);
    const struct account_node *n = directory_state_account(s, account);
    const struct customer_node *c = n ? directory_state_customer(s, n->value.customer) : NULL;
    size_t count = 0;
    *out = NULL;
    if (c)
        count = merge(d, &n->value, &c->value, credential, a, out);
    directory_read_unlock(d);
    return count;
}
