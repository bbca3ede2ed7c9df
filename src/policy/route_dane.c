/* DANE: whose TLSA records are asked for, and what they mean (RFC 7672 section 2). */
#include "policy/route_inside.h"

enum { NAME_MAX_LEN = 253, SHA256_LEN = 32, SHA512_LEN = 64 };

static struct route_host *host_of(struct route *r, const struct route_target *t)
{
    for (size_t i = 0; i < r->host_count; i++)
        if (slice_eq(r->hosts[i].name, t->host))
            return &r->hosts[i];
    return NULL;
}

static void add_question(struct route *r, struct route_host *h, slice base)
{
    if (slice_is_empty(base) || (h->tlsa_count > 0 && slice_ieq(base, h->tlsa[0].base)))
        return;
    slice name = arena_printf(r->arena, "_%u._tcp.%.*s", r->policy.port, SLICE_ARG(base));
    if (name.len > NAME_MAX_LEN)
        return; /* such a name can have no records */
    h->tlsa[h->tlsa_count++] = (struct route_tlsa){.base = base, .name = name};
}

bool route_ask_tlsa(struct route *r)
{
    bool asks = false;
    for (size_t i = 0; i < r->target_count && r->policy.uses_dane; i++) {
        const struct route_target *t = &r->targets[i];
        struct route_host *h = host_of(r, t);
        if (!t->is_secure || !h || h->tlsa_count > 0)
            continue;
        const struct dns_addresses *family = t->address.family == 6 ? &h->v6 : &h->v4;
        add_question(r, h, family->canonical);
        add_question(r, h, h->name);
        asks = asks || h->tlsa_count > 0;
    }
    return asks;
}

/* Usages 0 and 1 are not for mail hosts (section 3.1.3); digests have their length. */
static bool is_usable(const struct dns_tlsa *t)
{
    if ((t->usage != 2 && t->usage != 3) || t->selector > 1)
        return false;
    return t->matching == 0   ? t->data.len > 0
           : t->matching == 1 ? t->data.len == SHA256_LEN
           : t->matching == 2 ? t->data.len == SHA512_LEN
                              : false;
}

static const struct route_dane *read_dane(struct route *r, const struct route_tlsa *q)
{
    struct route_dane *d = arena_new(r->arena, struct route_dane);
    *d = (struct route_dane){.base = q->base,
                             .list = arena_array(r->arena, struct dns_tlsa, ROUTE_TLSA_MAX)};
    for (size_t i = 0; i < q->found.count && i < ROUTE_TLSA_MAX; i++) {
        struct dns_tlsa t = q->found.list[i];
        if (!is_usable(&t))
            continue;
        t.data = arena_dup(r->arena, t.data);
        d->list[d->count++] = t;
    }
    return d;
}

/* What the answers say of the host; *dane: NULL when it has none. */
static enum trouble judge(struct route *r, struct route_host *h, const struct route_dane **dane)
{
    *dane = NULL;
    for (size_t i = 0; i < h->tlsa_count; i++) {
        const struct route_tlsa *q = &h->tlsa[i];
        const struct dns_answer *answer = &q->found.answer;
        bool is_bogus = answer->result == DNS_BOGUS;
        if (is_bogus || route_is_unanswered(answer)) {
            h->note =
                arena_printf(r->arena, "the TLSA records of %.*s %s: %.*s", SLICE_ARG(q->base),
                             is_bogus ? "fail DNSSEC validation" : "cannot be had",
                             SLICE_ARG(route_answer_why(r, answer)));
            return is_bogus ? TROUBLE_BOGUS : TROUBLE_UNANSWERED;
        }
        if (answer->result == DNS_FOUND && answer->is_secure) {
            *dane = read_dane(r, q);
            return TROUBLE_NONE;
        }
    }
    return TROUBLE_NONE;
}

void route_tlsa(struct route *r)
{
    INVARIANT(r->wants == ROUTE_WANTS_TLSA);
    enum trouble worst = TROUBLE_NONE;
    const struct route_host *culprit = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < r->host_count; i++) {
        struct route_host *h = &r->hosts[i];
        const struct route_dane *dane;
        enum trouble found = judge(r, h, &dane);
        if (found > worst) {
            worst = found;
            culprit = h;
        }
        for (size_t j = 0; j < r->target_count; j++)
            if (found == TROUBLE_NONE && slice_eq(r->targets[j].host, h->name))
                r->targets[j].dane = dane;
            else if (slice_eq(r->targets[j].host, h->name))
                r->targets[j].host = SLICE("");
    }
    for (size_t j = 0; j < r->target_count; j++)
        if (!slice_is_empty(r->targets[j].host))
            r->targets[kept++] = r->targets[j];
    r->target_count = kept;
    if (kept > 0)
        route_make(r);
    else
        route_make_trouble(r, worst, culprit);
}
