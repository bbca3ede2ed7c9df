/* direct: the transport that delivers to the mail hosts of each recipient's domain.
 *
 * Messages come in unsorted, after a restart and a change of transport too; when they are READY
 * their recipients' domains are read from the envelope and each goes to its domain's site. A
 * site lives as long as something is queued for it, and a little longer. How well its
 * connections are protected is said by the configuration and by DANE (policy/tls_level). */
#ifndef DELIVERY_DIRECT_H
#define DELIVERY_DIRECT_H

#include "delivery/site.h"

struct direct {
    struct courier *courier;
    struct settings settings;
    struct tls_context *tls;       /* any certificate, or what DANE says */
    struct tls_context *verifying; /* those of trusted authorities; NULL when nobody asks */
    struct route_policy policy;
    struct address *own;            /* addresses of this machine, for the policy */
    struct destination destination; /* what is not sorted yet */
    struct map sites;               /* by domain */
    struct site_pool pool;
    struct letter letter;
    struct timer more; /* there is more to do in the next turn */
    struct timer sweep;
    bool could_send;
    bool is_closing;
};

/* The courier has a resolver. NULL with the reason in *why: TLS cannot be used. */
struct direct *direct_new(struct courier *c, const struct conf *conf, struct buf *why)
    NONNULL(1, 2, 3);
/* Ends every connection now, as an attempt without success of what it has in hand. */
void direct_abort(struct direct *x) NONNULL(1);
/* Without connections, and with nothing queued. */
void direct_free(struct direct **x);
/* Begins what can be begun; called after anything has changed. */
void direct_pump(struct direct *x) NONNULL(1);
void direct_close(struct direct *x) NONNULL(1);
bool direct_is_idle(const struct direct *x) NONNULL(1);

/* What waits at this destination of it is tried now. */
void direct_hurry(struct direct *x, struct destination *d) NONNULL(1, 2);
/* The site that the parcel waits for; NULL: none yet. */
const struct site *direct_site(const struct direct *x, const struct parcel *p) NONNULL(1, 2);
/* Recipients that are READY; sites; those of them that pause. */
struct direct_numbers {
    uint64_t ready;
    size_t sites;
    size_t paused;
    unsigned connections;
};
void direct_numbers(const struct direct *x, struct direct_numbers *out) NONNULL(1, 2);

#endif
