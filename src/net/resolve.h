/* resolve: asks DNS where the mail of a domain goes, through libunbound, and gives the route.
 *
 * libunbound asks, caches and validates on a thread of its own; all functions here are called,
 * and call back, on the loop's thread. The addresses of all mail hosts are asked for at once,
 * and then their TLSA records.
 * Bounded: at most RESOLVES_ACTIVE_MAX domains at a time, the others wait in their order; each
 * has the configured time from its first question on, after which what is missing counts as
 * not answered (what was answered counts). What a resolver's answer brings is bounded by
 * policy/route.
 *
 * Validation needs a trust anchor; without one nothing is secure and nothing bogus. A resolver
 * keeps its loop running. /etc/hosts is not read: mail goes where DNS says. */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "base/buf.h"
#include "model/conf.h"
#include "net/loop.h"
#include "policy/route.h"

enum { RESOLVES_ACTIVE_MAX = 100 };

struct resolver;
struct resolve;

/* Reads /etc/resolv.conf and the trust anchors: nothing is read from the disk afterwards. NULL
 * with a line in *errors when they cannot be used. The configuration is not kept. */
struct resolver *resolver_new(struct loop *l, const struct conf_resolver *c, struct buf *errors)
    NONNULL(1, 2, 3);
/* Every resolve must have been freed. Not from inside fn. */
void resolver_free(struct resolver **r);

/* Finds the route to a domain (or address literal) and calls fn(ctx), never before it has
 * returned. The policy is copied. The route lives as long as the resolve; its addresses for
 * trace (v4 and v6 of its hosts) too. */
struct resolve *resolve_new(struct resolver *r, const struct route_policy *p, slice domain,
                            uint64_t random, void (*fn)(void *ctx), void *ctx) NONNULL(1, 2, 5);
/* At any time, inside fn too; before fn was called it is not called any more. */
void resolve_free(struct resolve **x);
/* After fn was called. */
const struct route *resolve_route(const struct resolve *x) NONNULL(1);

#endif
