#include "smtpd/limiting_internal.h"

void limiting_bind(struct limit *limits, size_t count, uint64_t customer, slice reverse_path)
{
    for (size_t i = 0; i < count; i++) {
        if (limits[i].rule.scope != RULE_SENDER_DOMAIN)
            continue;
        /* Of the customer's own: what others send as that domain is theirs. The key is fixed,
         * so that a domain is the same after a restart. */
        const uint64_t seed[2] = {customer, RULE_SENDER_DOMAIN};
        char domain[256];
        ptrdiff_t sign = slice_rfind(reverse_path, '@');
        slice name = slice_to(slice_from(reverse_path, (size_t)(sign + 1)), sizeof(domain));
        for (size_t j = 0; j < name.len; j++)
            domain[j] = ascii_lower(name.ptr[j]);
        limits[i].entity = siphash13(seed, slice_make(domain, name.len));
    }
}

size_t limiting_limits(struct limiting *l, uint64_t account, uint64_t credential,
                       struct arena *a, struct limit **out)
{
    const struct limit *limits;
    size_t count = directory_limits(l->config.directory, account, credential, a, &limits);
    struct limit *own = arena_array(a, struct limit, count);
    if (count > 0)
        memcpy(own, limits, count * sizeof(*own));
    *out = own;
    return count;
}

static bool has_periods(const struct limit *limits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (limits[i].rule.window == RULE_PERIOD)
            return true;
    }
    return false;
}

/* What the whole customer may send goes by months; its accounts' plans are theirs alone. */
static void bind_periods(const struct directory_periods *p, struct limit *limits, size_t count,
                         struct limiting_period *out)
{
    static const struct plan months;
    struct plan_period own;
    struct plan_period customers;
    plan_period_at(&p->plan, p->zone, out->at, &own);
    plan_period_at(&months, p->customer_zone, out->at, &customers);
    for (size_t i = 0; i < count; i++) {
        if (limits[i].rule.window != RULE_PERIOD)
            continue;
        if (limits[i].rule.scope == RULE_CUSTOMER)
            plan_bind(&months, &customers, &limits[i]);
        else
            plan_bind(&p->plan, &own, &limits[i]);
    }
    out->until = own.until < customers.until ? own.until : customers.until;
}

void limiting_periods(struct limiting *l, uint64_t account, struct limit *limits, size_t count,
                      stamp at, struct limiting_period *out)
{
    struct directory_periods p;
    *out = (struct limiting_period){.at = at, .until = STAMP_NEVER};
    if (has_periods(limits, count) && directory_periods(l->config.directory, account, &p))
        bind_periods(&p, limits, count, out);
}

void limiting_lay_lock(struct limiting *l, struct account *account, struct arena *a)
{
    stamp now = limiting_now(l);
    struct limiting_lock *lock = limiting_lock_of(l, account->id);
    bool is_stricter = lock && (account->state != ACCOUNT_LOCKED ||
                                (lock->until == STAMP_NEVER && account->until != STAMP_NEVER));
    if (!is_stricter)
        return;
    account->state = ACCOUNT_LOCKED;
    account->until =
        lock->until == STAMP_NEVER ? STAMP_NEVER : lock->until + limiting_wall(l, now);
    account->reason = arena_dup(a, slice_of(lock->reason));
}

void limiting_look(struct limiting *l, struct limiting_view *v, struct account *account,
                   struct arena *a)
{
    arena_reset(&v->arena);
    v->count = limiting_limits(l, account->id, account->credential, &v->arena, &v->limits);
    limiting_periods(l, account->id, v->limits, v->count, limiting_now(l), &v->period);
    for (size_t i = 0; i < v->count; i++) {
        const struct rule *r = &v->limits[i].rule;
        bool is_told = r->scope == RULE_MESSAGE && r->unit == RULE_RECIPIENTS && r->max > 0 &&
                       r->max <= UINT32_MAX;
        if (is_told && (account->told_recipients == 0 || r->max < account->told_recipients))
            account->told_recipients = (uint32_t)r->max;
    }
    pthread_mutex_lock(&l->mutex);
    limiting_review(l, limiting_now(l));
    limiting_lay_lock(l, account, a);
    pthread_mutex_unlock(&l->mutex);
}

void limiting_view_fini(struct limiting_view *v)
{
    arena_fini(&v->arena);
    *v = (struct limiting_view){0};
}
