/* orders: what the control journal says about the queue, carried out.
 *
 * Operators' commands (model/queue_command) and what is left to do when a lock is lifted are
 * done one after the other, a slice per turn of the loop, so that the mail of others goes on
 * meanwhile. A command is begun when everything has been read that smtpd had accepted when the
 * command was read. Its record stays to be read again until all that it did is durable: the
 * queue's snapshot names the position of the first one that is not. Doing one twice is
 * harmless.
 *
 * Locks of operators close gates at once, when their change of the directory is read. */
#ifndef DELIVERY_ORDERS_H
#define DELIVERY_ORDERS_H

#include "delivery/courier.h"
#include "delivery/tail.h"
#include "model/queue_command.h"

struct orders_config {
    struct courier *courier;
    const struct watermark *smtpd; /* of its journal */
    /* Mail at this destination is to be tried now, whatever made it wait. */
    void (*on_hurry)(void *ctx, struct destination *d);
    void *ctx;
};

struct orders;
struct orders *orders_new(const struct orders_config *c) NONNULL(1);
void orders_free(struct orders **o);
/* Tells it who reads smtpd's journal, and that the queue's snapshot is loaded. */
void orders_begin(struct orders *o, const struct tail *tail) NONNULL(1, 2);

/* A record of control's journal; ctx: a struct orders. See struct follow_config. */
void orders_record(void *ctx, const struct journal_record *r) NONNULL(1, 2);
/* A slice of what is to be done. */
void orders_pump(struct orders *o) NONNULL(1);
/* Where to go on reading after a restart. `read`: control's journal has been read so far. */
uint64_t orders_position(const struct orders *o, uint64_t read) NONNULL(1);

enum order_state {
    ORDER_UNKNOWN, /* not read yet, or long ago */
    ORDER_WAITING, /* others are before it, or mail is still to be read */
    ORDER_RUNNING,
    ORDER_DONE,
};
/* How far a command is. */
struct order_progress {
    enum order_state state;
    enum queue_verb verb;
    uint64_t messages; /* that it changed, or that a standing hold is about */
    uint64_t recipients;
    uint64_t busy;   /* recipients that were being sent: left alone */
    uint64_t paced;  /* that a rule's pace keeps back: left alone by a retry */
    uint64_t closed; /* whose account may not send all the same */
    unsigned percent;
};
void orders_progress(const struct orders *o, uint64_t token, struct order_progress *out)
    NONNULL(1, 3);

#endif
