/* transport: the way that mail goes, by the configuration: to one next host (site), to the mail
 * hosts of each domain (direct), or into a Maildir (capture).
 *
 * One is in use. After a reload the one before it is closed and finishes what it has in hand.
 */
#ifndef DELIVERY_TRANSPORT_H
#define DELIVERY_TRANSPORT_H

#include "delivery/capture.h"
#include "delivery/direct.h"
#include "delivery/site.h"

struct transport {
    struct list node;  /* the owner's */
    struct site *site; /* one of them */
    struct direct *direct;
    struct capture *capture;
};

/* The role's configured transport; the courier must outlive it, and keeps the resolver that a
 * direct one opens. NULL with the reason in *why: it cannot be used. */
struct transport *transport_new(struct courier *c, struct role *role, struct buf *why)
    NONNULL(1, 2, 3);
/* Ends every connection now, as an attempt without success of what it has in hand. */
void transport_abort(struct transport *t) NONNULL(1);
/* Idle, or aborted with the courier's jobs gone; with nothing queued. */
void transport_free(struct transport **t);

/* Where mail enters it. */
struct destination *transport_destination(struct transport *t) NONNULL(1);
/* Begins what can be begun; called after anything has changed. */
void transport_pump(struct transport *t) NONNULL(1);
/* What waits at this destination of it is tried now. */
void transport_hurry(struct transport *t, struct destination *to) NONNULL(1, 2);
/* Begins nothing more; transport_is_idle when all is done. */
void transport_close(struct transport *t) NONNULL(1);
bool transport_is_idle(const struct transport *t) NONNULL(1);

/* "smarthost", "direct" or "capture": as it is called in the configuration. */
const char *transport_name(const struct transport *t) NONNULL(1);
/* Recipients that are READY. */
uint64_t transport_ready(const struct transport *t) NONNULL(1);
/* The site that the parcel, or mail for the domain, waits for; NULL: none yet. */
const struct site *transport_site(const struct transport *t, const struct parcel *p)
    NONNULL(1, 2);
const struct site *transport_domain_site(const struct transport *t, slice domain) NONNULL(1);

#endif
