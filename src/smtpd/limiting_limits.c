#include "smtpd/limiting_internal.h"

#include "base/log.h"
#include "codec/host.h"
#include "codec/path.h"

/* Names are counted for each customer apart: what others send as that domain, or from that
 * machine, is theirs. Keys are fixed, so that a name is the same after a restart. */
static uint64_t hash_name(uint64_t customer, enum rule_scope scope, slice name)
{
    const uint64_t seed[2] = {customer, (uint64_t)scope};
    char lower[256];
    name = slice_to(name, sizeof(lower));
    for (size_t i = 0; i < name.len; i++)
        lower[i] = ascii_lower(name.ptr[i]);
    return siphash13(seed, slice_make(lower, name.len));
}

static uint64_t hash_domain(uint64_t customer, slice reverse_path)
{
    ptrdiff_t sign = slice_rfind(reverse_path, '@');
    return hash_name(customer, RULE_SENDER_DOMAIN,
                     slice_from(reverse_path, (size_t)(sign + 1)));
}

/* The network that one customer of a provider has (host.h); local users are one machine. */
static uint64_t hash_host(uint64_t customer, slice client)
{
    struct address address;
    char text[ADDRESS_TEXT_MAX];
    if (!address_parse(client, &address))
        return hash_name(customer, RULE_HOST, SLICE("local"));
    address = address_network(&address);
    address_format(&address, text);
    return hash_name(customer, RULE_HOST, slice_of(text));
}

void limiting_bind(struct limit *limits, size_t count, uint64_t customer, slice reverse_path,
                   slice client)
{
    for (size_t i = 0; i < count; i++) {
        if (limits[i].rule.scope == RULE_SENDER_DOMAIN)
            limits[i].entity = hash_domain(customer, reverse_path);
        else if (limits[i].rule.scope == RULE_HOST)
            limits[i].entity = hash_host(customer, client);
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

bool limiting_counts_new(const struct limit *limits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (limits[i].rule.unit == RULE_NEW_RECIPIENTS)
            return true;
    }
    return false;
}

void limiting_acquaint(struct limiting *l, uint64_t account, slice fields, stamp at)
{
    struct arena arena = ARENA_INIT;
    struct record_field f;
    int err = 0;
    while (record_next(&fields, &f) > 0) {
        struct path path;
        if (f.tag != TAG_RECIPIENT)
            continue;
        slice address =
            mailbox_parse(f.value, &path) == PATH_OK ? path_canonical(&arena, &path) : f.value;
        int rc = acquaintances_add(l->acquaintances, account, address, at);
        err = rc < 0 ? rc : err;
    }
    if (err < 0) /* it counts as new again */
        log_warning("recipients-not-remembered", LOG_I("account", account),
                    LOG_E("error", err));
    arena_fini(&arena);
}

static bool has_periods(const struct limit *limits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (limits[i].rule.window == RULE_PERIOD)
            return true;
    }
    return false;
}

/* By the limits' clock, not by the one on the wall. */
static stamp counted(stamp wall, span ahead)
{
    return wall == STAMP_NEVER || wall == 0 ? wall : wall - ahead;
}

/* What the whole customer may send goes by months; its accounts' plans are theirs alone. */
static void bind_periods(const struct directory_periods *p, struct limit *limits, size_t count,
                         span ahead, struct limiting_period *out)
{
    static const struct plan months;
    struct plan_period own;
    struct plan_period customers;
    plan_period_at(&p->plan, p->zone, out->at + ahead, &own);
    plan_period_at(&months, p->customer_zone, out->at + ahead, &customers);
    for (size_t i = 0; i < count; i++) {
        struct limit *limit = &limits[i];
        if (limit->rule.window != RULE_PERIOD)
            continue;
        if (limit->rule.scope == RULE_CUSTOMER)
            plan_bind(&months, &customers, limit);
        else
            plan_bind(&p->plan, &own, limit);
        limit->period_start = counted(limit->period_start, ahead);
        limit->period_end = counted(limit->period_end, ahead);
    }
    out->until = counted(own.until < customers.until ? own.until : customers.until, ahead);
}

void limiting_periods(struct limiting *l, uint64_t account, struct limit *limits, size_t count,
                      stamp at, struct limiting_period *out)
{
    struct directory_periods p;
    *out = (struct limiting_period){.at = at, .until = STAMP_NEVER};
    if (has_periods(limits, count) && directory_periods(l->config.directory, account, &p))
        bind_periods(&p, limits, count, atomic_load(&l->ahead), out);
}

void limiting_lay_lock(struct limiting *l, struct account *account, struct arena *a)
{
    stamp now = limiting_now(l);
    struct limiting_lock *lock = limiting_lock_of(l, account->id, account->customer);
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
