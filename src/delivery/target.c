#include "delivery/target.h"

#include "base/arena.h"
#include "net/address.h"

#include <netdb.h>
#include <stdlib.h>

struct target_lookup {
    struct job job;
    struct target *target;
    char *host;
    struct address addresses[TARGET_ADDRESSES_MAX];
    unsigned count;
    enum relay_fault fault;
};

void target_init(struct target *t, struct loop *loop, struct jobs *jobs, const char *host)
{
    *t = (struct target){.loop = loop, .jobs = jobs, .host = host};
    slice text = slice_of(host);
    t->is_literal =
        address_parse(text, &t->addresses[0]) || address_literal_parse(text, &t->addresses[0]);
    if (t->is_literal)
        t->count = 1;
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
}

bool target_is_looking(const struct target *t)
{
    return t->lookup != NULL;
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
        memcpy(t->addresses, l->addresses, sizeof(t->addresses));
        t->count = l->count;
        t->cursor = 0;
        t->looked_up = loop_time(t->loop);
    }
    lookup_free(l);
    t->on_found(t->ctx, fault);
}

static bool is_fresh(const struct target *t)
{
    return t->is_literal || loop_time(t->loop) - t->looked_up < TARGET_KEEP;
}

const struct address *target_address(struct target *t, unsigned *index)
{
    if (t->lookup)
        return NULL;
    if (t->count > 0 && is_fresh(t)) {
        *index = t->cursor;
        return &t->addresses[t->cursor];
    }
    t->count = 0;
    struct target_lookup *l = xcalloc(1, sizeof(*l));
    l->target = t;
    l->host = xstrdup(t->host);
    l->job = (struct job){.work = look_up, .done = found, .loop = t->loop};
    if (jobs_submit(t->jobs, &l->job) < 0) {
        lookup_free(l);
        t->on_found(t->ctx, FAULT_LOCAL);
        return NULL;
    }
    t->lookup = l;
    return NULL;
}

bool target_has_next(const struct target *t, unsigned index)
{
    return index + 1 < t->count;
}

bool target_next(struct target *t, unsigned index)
{
    if (target_has_next(t, index)) {
        if (t->cursor <= index)
            t->cursor = index + 1;
        return true;
    }
    t->cursor = 0;
    if (!t->is_literal)
        t->count = 0;
    return false;
}
