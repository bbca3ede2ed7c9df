#include "delivery/target.h"

#include "base/arena.h"
#include "base/env.h"
#include "net/address.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

struct target_lookup {
    struct job job;
    struct target *target;
    char *host;
    struct address addresses[TARGET_ADDRESSES_MAX];
    unsigned count;
    enum relay_fault fault;
};

static void set_address(struct target_address *to, const struct address *a, slice host)
{
    to->address = *a;
    if (host_is_name(host, false))
        snprintf(to->host, sizeof(to->host), "%.*s", SLICE_ARG(host));
    else
        address_format(a, to->host);
}

static void forget(struct target *t)
{
    for (unsigned i = 0; i < t->count; i++)
        dane_unref(&t->addresses[i].dane);
    free(t->addresses);
    t->addresses = NULL;
    t->count = 0;
}

/* Room for that many, in the place of those it had. */
static void renew(struct target *t, size_t count)
{
    forget(t);
    t->addresses = xcalloc(count, sizeof(*t->addresses));
    t->count = (unsigned)count;
    t->cursor = 0;
    t->fresh_at = loop_time(t->loop);
}

void target_init_host(struct target *t, struct loop *loop, struct jobs *jobs, const char *host)
{
    struct address a;
    slice text = slice_of(host);
    *t = (struct target){.loop = loop, .jobs = jobs, .name = host};
    t->is_literal = address_parse(text, &a) || address_literal_parse(text, &a);
    if (!t->is_literal)
        return;
    renew(t, 1);
    set_address(&t->addresses[0], &a, SLICE(""));
}

void target_init_domain(struct target *t, struct loop *loop, struct env *env,
                        struct resolver *resolver, const struct route_policy *policy,
                        const char *domain)
{
    *t = (struct target){.loop = loop, .env = env, .resolver = resolver, .policy = policy};
    t->name = domain;
}

static void lookup_free(struct target_lookup *l)
{
    if (!l)
        return;
    free(l->host);
    free(l);
}

void target_fini(struct target *t)
{
    lookup_free(t->lookup);
    t->lookup = NULL;
    resolve_free(&t->resolve);
    forget(t);
}

bool target_is_looking(const struct target *t)
{
    return t->lookup || t->resolve;
}

static enum relay_fault fault_of(int err)
{
    switch (err) {
    case 0:
        return FAULT_NONE;
    case EAI_NONAME:
    case EAI_NODATA:
        return FAULT_NO_HOST;
    case EAI_MEMORY:
    case EAI_SYSTEM:
        return FAULT_LOCAL;
    default:
        return FAULT_DNS;
    }
}

static bool has_address(const struct target_lookup *l, const struct address *a)
{
    for (unsigned i = 0; i < l->count; i++)
        if (address_eq(&l->addresses[i], a))
            return true;
    return false;
}

/* Of a host. */
static void tell(struct target *t, enum relay_fault fault)
{
    struct target_trouble trouble = {.stage = STAGE_CONNECT,
                                     .text = slice_of(fault_name(fault))};
    if (fault != FAULT_NONE)
        trouble.outcome = outcome_of(STAGE_CONNECT, NULL, fault);
    t->on_found(t->ctx, fault == FAULT_NONE ? NULL : &trouble);
}

/* On a thread of the pool. */
static void look_up(struct job *j)
{
    struct target_lookup *l = CONTAINER_OF(j, struct target_lookup, job);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    l->fault = fault_of(getaddrinfo(l->host, NULL, &hints, &found));
    if (l->fault != FAULT_NONE)
        return;
    for (struct addrinfo *a = found; a && l->count < TARGET_ADDRESSES_MAX; a = a->ai_next) {
        struct address address;
        uint16_t port;
        address_from_sockaddr(a->ai_addr, &address, &port);
        if (address.family != 0 && !has_address(l, &address))
            l->addresses[l->count++] = address;
    }
    freeaddrinfo(found);
    if (l->count == 0)
        l->fault = FAULT_NO_HOST;
}

static void found(struct job *j)
{
    struct target_lookup *l = CONTAINER_OF(j, struct target_lookup, job);
    struct target *t = l->target;
    enum relay_fault fault = l->fault;
    t->lookup = NULL;
    if (fault == FAULT_NONE) {
        renew(t, l->count);
        for (unsigned i = 0; i < l->count; i++)
            set_address(&t->addresses[i], &l->addresses[i], slice_of(t->name));
    }
    lookup_free(l);
    tell(t, fault);
}

static void look_up_host(struct target *t)
{
    struct target_lookup *l = xcalloc(1, sizeof(*l));
    l->target = t;
    l->host = xstrdup(t->name);
    l->job = (struct job){.work = look_up, .done = found, .loop = t->loop};
    if (jobs_submit(t->jobs, &l->job) < 0) {
        lookup_free(l);
        tell(t, FAULT_LOCAL);
        return;
    }
    t->lookup = l;
}

static void on_route(void *ctx)
{
    struct target *t = ctx;
    struct resolve *x = t->resolve; /* on_found may begin the next one */
    const struct route *r = resolve_route(x);
    struct target_trouble trouble = {r->outcome, STAGE_RESOLVE, r->text};
    t->resolve = NULL;
    if (r->target_count > 0)
        renew(t, r->target_count);
    for (size_t i = 0; i < r->target_count; i++) {
        set_address(&t->addresses[i], &r->targets[i].address, r->targets[i].host);
        t->addresses[i].dane = dane_new(r->targets[i].dane);
    }
    t->on_found(t->ctx, r->target_count > 0 ? NULL : &trouble);
    resolve_free(&x);
}

static void look_up_domain(struct target *t)
{
    uint64_t random;
    env_random(t->env, &random, sizeof(random));
    t->resolve = resolve_new(t->resolver, t->policy, slice_of(t->name), random, on_route, t);
}

static bool is_fresh(const struct target *t)
{
    return t->is_literal || loop_time(t->loop) - t->fresh_at < TARGET_KEEP;
}

const struct target_address *target_address(struct target *t, unsigned *index)
{
    if (target_is_looking(t))
        return NULL;
    if (t->count > 0 && is_fresh(t)) {
        *index = t->cursor;
        return &t->addresses[t->cursor];
    }
    forget(t);
    if (t->resolver)
        look_up_domain(t);
    else
        look_up_host(t);
    return NULL;
}

bool target_has_next(const struct target *t, unsigned index)
{
    return index + 1 < t->count;
}

void target_again(struct target *t)
{
    t->fresh_at = loop_time(t->loop);
}

bool target_next(struct target *t, unsigned index)
{
    if (target_has_next(t, index)) {
        if (t->cursor <= index)
            t->cursor = index + 1;
        t->fresh_at = loop_time(t->loop);
        return true;
    }
    t->cursor = 0;
    if (!t->is_literal)
        forget(t);
    return false;
}
