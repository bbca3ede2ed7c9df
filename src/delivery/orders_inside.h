/* orders_inside: what the files of the orders share. */
#ifndef DELIVERY_ORDERS_INSIDE_H
#define DELIVERY_ORDERS_INSIDE_H

#include "delivery/gate.h"
#include "delivery/orders.h"

enum {
    FINISHED_KEPT = 64,
    ORDERS_CHANGES = 1000, /* recipients, in one turn */
};

struct order {
    struct list node;
    bool is_keep; /* hold what an ended lock has frozen, then open the gate */
    struct queue_command command;
    uint64_t *ids;
    char *texts;       /* by, domain */
    uint64_t position; /* of its record; KEEP has none */
    uint64_t mark;     /* smtpd's journal is to be read up to here */
    stamp at;
    /* where it is: */
    bool has_begun;
    bool is_walked;
    bool has_opened;      /* a hold of the whole account or customer was lifted */
    size_t first_buckets; /* when it began: more come by doubling */
    size_t at_bucket;
    size_t at_id;
    size_t unsynced; /* slips */
    struct order_progress progress;
};

struct finished {
    uint64_t token;
    struct order_progress progress;
};

struct orders {
    struct orders_config config;
    const struct tail *tail;
    struct list all; /* orders, oldest first */
    struct timer more;
    struct finished finished[FINISHED_KEPT];
    size_t finished_at;
    uint64_t room[QUEUE_COMMAND_IDS_MAX];
    /* what is left of the turn: */
    int looks;
    int letters;
    int changes;
};

static inline struct queue *orders_queue(const struct orders *o)
{
    return o->config.courier->queue;
}

/* Does to the message, of which this is the first parcel, what the order says, if it is meant.
 */
void orders_look_at(struct orders *o, struct order *x, struct parcel *first) NONNULL(1, 2, 3);

#endif
