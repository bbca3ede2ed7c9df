/* target: the addresses of one host, looked up when they are needed and kept for a minute.
 *
 * The system's resolver answers (getaddrinfo, on a jobs thread); it does not tell how long an
 * answer holds. A literal address is never looked up. */
#ifndef DELIVERY_TARGET_H
#define DELIVERY_TARGET_H

#include "codec/host.h"
#include "net/jobs.h"
#include "policy/outcome.h"

enum { TARGET_ADDRESSES_MAX = 16 };
#define TARGET_KEEP SPAN_MINUTE

struct target_lookup;

struct target {
    struct loop *loop;
    struct jobs *jobs;
    const char *host; /* the owner's */
    struct address addresses[TARGET_ADDRESSES_MAX];
    unsigned count;
    unsigned cursor; /* the address to try; those before it have failed */
    bool is_literal;
    span looked_up;               /* loop time */
    struct target_lookup *lookup; /* under way */
    /* A lookup has ended: FAULT_NONE, FAULT_NO_HOST, FAULT_DNS or FAULT_LOCAL. */
    void (*on_found)(void *ctx, enum relay_fault fault);
    void *ctx;
};

void target_init(struct target *t, struct loop *loop, struct jobs *jobs, const char *host)
    NONNULL(1, 2, 4);
/* No lookup may be running (is_looking), or the jobs are gone. */
void target_fini(struct target *t) NONNULL(1);
bool target_is_looking(const struct target *t) NONNULL(1);

/* The address to try now and its index, or NULL: a lookup was begun (on_found tells), or is
 * under way. */
const struct address *target_address(struct target *t, unsigned *index) NONNULL(1, 2);
/* That one has failed: is there another one to try? If not, it begins anew, with a new lookup.
 */
bool target_next(struct target *t, unsigned index) NONNULL(1);
/* Would there be another one? */
bool target_has_next(const struct target *t, unsigned index) NONNULL(1);

#endif
