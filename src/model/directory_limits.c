/* The rules of an account's copy in the directory. */
#include "model/directory_state.h"
#include "model/preset.h"

static struct rule_set preset_set(const struct directory *d, slice name)
{
    const struct preset *p = preset_find(name);
    return p ? d->presets[p - presets] : (struct rule_set){0};
}

size_t directory_limits(const struct directory *d, uint64_t account, uint64_t credential,
                        struct arena *a, const struct limit **out)
{
    const struct directory_state *s = directory_read_lock(d);
    const struct account_node *n = directory_state_account(s, account);
    const struct customer_node *c = n ? directory_state_customer(s, n->value.customer) : NULL;
    size_t count = 0;
    *out = NULL;
    if (c) {
        const struct limit_sources sources = {
            .account = account,
            .customer = c->value.id,
            .credential = credential,
            .account_preset = preset_set(d, n->value.preset),
            .customer_preset = preset_set(d, c->value.preset),
            .profile = preset_set(d, n->value.profile),
            .account_rules = {n->value.rules, n->value.rule_count},
            .customer_rules = {c->value.rules, c->value.rule_count},
        };
        count = limits_merge(&sources, a, out, NULL);
    }
    directory_read_unlock(d);
    return count;
}

bool directory_periods(const struct directory *d, uint64_t account,
                       struct directory_periods *out)
{
    const struct directory_state *s = directory_read_lock(d);
    const struct account_node *n = directory_state_account(s, account);
    if (n) {
        const struct zone *customers = directory_state_zone(s, n->value.customer);
        *out = (struct directory_periods){
            .plan = n->value.plan,
            .zone = n->zone ? n->zone : customers,
            .customer_zone = customers,
        };
    }
    directory_read_unlock(d);
    return n != NULL;
}

uint64_t directory_unlocked(const struct directory *d, uint64_t account, uint64_t customer)
{
    const struct directory_state *s = directory_read_lock(d);
    const struct account_node *n = account ? directory_state_account(s, account) : NULL;
    const struct customer_node *c = account ? NULL : directory_state_customer(s, customer);
    uint64_t version = n ? n->value.unlocked : c ? c->value.unlocked : 0;
    directory_read_unlock(d);
    return version;
}
