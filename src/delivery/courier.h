/* courier: what the parts of the role share. Made by delivery.c; one thread. */
#ifndef DELIVERY_COURIER_H
#define DELIVERY_COURIER_H

#include "delivery/letter.h"
#include "delivery/queue.h"
#include "delivery/schedule.h"
#include "delivery/settle.h"
#include "model/directory.h"
#include "net/jobs.h"
#include "net/resolve.h"
#include "net/role.h"

struct courier {
    struct env *env;
    struct loop *loop;
    struct queue *queue;
    struct directory *directory; /* customers and accounts, by control's journal */
    struct settle *settle;
    struct letter_store *store;
    struct jobs *jobs;
    struct resolver *resolver; /* NULL until domains are asked for */
    struct stats_page *stats;
    bool is_held;     /* accept and queue, send nothing */
    bool is_draining; /* finish what runs, begin nothing */
};

/* May something be sent now? */
static inline bool courier_may_send(const struct courier *c)
{
    return !c->is_held && !c->is_draining && settle_is_well(c->settle);
}

/* How long a message of this account is tried, and after how long its sender is warned. Those
 * given are the server's; what the account says takes their place. */
void courier_patience(const struct courier *c, uint64_t account, span *expiry, span *warn_after)
    NONNULL(1, 3, 4);

/* What became of one recipient in an attempt. */
struct attempt {
    const struct letter *letter;
    const struct parcel *parcel;
    const struct relay_recipient *recipient;
    struct outcome outcome;
    enum relay_stage stage;
    uint16_t code;           /* the remote's, 0 without */
    slice text;              /* the remote's reply, or what happened instead */
    slice remote;            /* host and address */
    enum notify_taker taker; /* who has it, when it was taken */
};
/* Decides when it is tried again, if at all, notes it on the slip, counts it and logs it. */
void courier_settle(struct courier *c, const struct retry_policy *policy, struct slip *slip,
                    const struct attempt *a) NONNULL(1, 2, 3, 4);
/* Hands in the slip of that letter. */
void courier_hand_in(struct courier *c, struct slip *slip, const struct letter *letter,
                     slice remote) NONNULL(1, 2, 3);

/* A parcel's recipients could not even be read: they are tried again later. Without the letter
 * there is nothing to report them with, so that they never expire this way. */
void courier_settle_unread(struct courier *c, const struct retry_policy *policy,
                           struct parcel *p, const uint32_t *indexes, uint32_t count, int err)
    NONNULL(1, 2, 3, 4);

/* The same attempt for what is READY at a destination (its letter, parcel and recipient are not
 * looked at); a portion at a time, in their turns. True: there is more. */
bool courier_settle_ready(struct courier *c, const struct retry_policy *policy,
                          struct destination *d, const struct attempt *like)
    NONNULL(1, 2, 3, 4);
/* Settles what is READY at a destination that cannot be reached and has been tried for too
 * long, a thousand messages at a time. True when there may be more. */
bool courier_expire(struct courier *c, const struct retry_policy *policy, struct destination *d,
                    enum relay_stage stage, struct enhanced status, slice remote, slice text)
    NONNULL(1, 2, 3);

#endif
