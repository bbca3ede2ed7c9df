/* intake: what the queue is made of: its snapshot, what delivery's own journal says behind it,
 * and what smtpd's and control's journals have said since and go on to say.
 *
 * The order is what matters: control's journal is followed first (the directory), our own is
 * recovered and read to its end before anything new is appended there, then smtpd's is read on
 * while mail already leaves. Orders are begun when their mail has been read. */
#ifndef DELIVERY_INTAKE_H
#define DELIVERY_INTAKE_H

#include "delivery/courier.h"
#include "delivery/orders.h"
#include "delivery/replay.h"
#include "delivery/tail.h"
#include "net/follow.h"

struct intake_config {
    struct role *role;
    struct courier *courier;   /* with its queue, directory, store and jobs */
    struct destination *limbo; /* of what is loaded before there is a transport */
    /* See struct settle_config and struct orders_config. */
    void (*on_settled)(void *ctx);
    void (*on_hurry)(void *ctx, struct destination *to);
    void *ctx;
};

struct intake {
    struct intake_config config;
    struct replay replay; /* its destination is where new messages enter */
    struct tail *tail;
    struct orders *orders;
    struct follow *follow;
    struct loop_watch *wake; /* a journal that is read here has grown */
    uint64_t highest_id;     /* of our own journal, at the start */
};

/* The configuration is copied, what it points to must outlive the intake. */
void intake_init(struct intake *i, const struct intake_config *c) NONNULL(1, 2);
/* Reads what there is, opens the courier's settle, and reads on from then on. 0, or -errno,
 * which is logged. */
int intake_open(struct intake *i) MUST_USE NONNULL(1);
/* The courier's settle is closed and its jobs are gone. Writes the directory's snapshot. */
void intake_fini(struct intake *i) NONNULL(1);

#endif
