/* target: the addresses that a site has, in the order in which they are tried: looked up when
 * they are needed and kept for a minute.
 *
 * A host's are given by the system's resolver (getaddrinfo, on a jobs thread; it does not tell
 * how long an answer holds), a domain's by its mail hosts (net/resolve). A literal address of a
 * host is never looked up. */
#ifndef DELIVERY_TARGET_H
#define DELIVERY_TARGET_H

#include "delivery/dane.h"
#include "net/jobs.h"
#include "net/resolve.h"

enum { TARGET_ADDRESSES_MAX = 16, TARGET_NAME_MAX = 253 };
#define TARGET_KEEP SPAN_MINUTE

struct target_address {
    struct address address;
    char host[TARGET_NAME_MAX + 1]; /* whose it is; of a literal, itself without brackets */
    struct dane *dane;              /* of the host; NULL: none */
};

/* Why there are no addresses. */
struct target_trouble {
    struct outcome outcome;
    enum relay_stage stage;
    slice text;
};

struct target_lookup;

struct target {
    struct loop *loop;
    struct jobs *jobs;
    const char *name; /* the owner's: a host or a domain */
    struct target_address *addresses;
    unsigned count;
    unsigned cursor; /* the address to try; those before it have failed */
    bool is_literal;
    span fresh_at; /* loop time: looked up, or moved on to the next one: a host that is silent
                    * for minutes must not have us begin with it again */
    struct target_lookup *lookup; /* of a host, under way */
    /* of a domain: */
    struct resolver *resolver;
    const struct route_policy *policy;
    struct env *env;         /* for the order among equals */
    struct resolve *resolve; /* under way */
    /* A lookup has ended; NULL: there are addresses. */
    void (*on_found)(void *ctx, const struct target_trouble *trouble);
    void *ctx;
};

void target_init_host(struct target *t, struct loop *loop, struct jobs *jobs, const char *host)
    NONNULL(1, 2, 4);
/* The policy is the owner's. */
void target_init_domain(struct target *t, struct loop *loop, struct env *env,
                        struct resolver *resolver, const struct route_policy *policy,
                        const char *domain) NONNULL(1, 2, 3, 4, 5, 6);
/* A lookup of a domain ends; none of a host may run (is_looking), or the jobs are gone. */
void target_fini(struct target *t) NONNULL(1);
bool target_is_looking(const struct target *t) NONNULL(1);

/* The address to try now and its index, or NULL: a lookup was begun (on_found tells), or is
 * under way. */
const struct target_address *target_address(struct target *t, unsigned *index) NONNULL(1, 2);
/* That one has failed: is there another one to try? If not, it begins anew, with a new lookup.
 */
bool target_next(struct target *t, unsigned index) NONNULL(1);
/* The same one is tried again, in another way. */
void target_again(struct target *t) NONNULL(1);
/* Would there be another one? */
bool target_has_next(const struct target *t, unsigned index) NONNULL(1);

#endif
