/* carried: the CARRIED record: a message that is still in the queue, copied out of an old
 * segment into delivery's own journal.
 *
 * Its fields are those of the record that it is a copy of, in their order (so that recipients
 * keep their indexes), TAG_ORIGIN_STAMP (when the message was accepted), TAG_FROM_SMTPD or
 * TAG_FROM_DELIVERY (where its first record was), and then a group for each recipient that is
 * still in the queue: TAG_RECIPIENT_INDEX; TAG_WARNED; TAG_NEXT_ATTEMPT if it waits; and, once
 * it has been tried, TAG_TRIED_AT, TAG_REMOTE and what an OUTCOME of the last attempt has
 * (settlement.h). Recipients without a group have left the queue.
 *
 * A queue that knows the message learns only where its record is now. The groups are for the
 * day when there is no snapshot any more and the original record is gone. */
#ifndef DELIVERY_CARRIED_H
#define DELIVERY_CARRIED_H

#include "delivery/queue.h"

/* The fields of a copy of this record (`fields`, written at `at`) of the message of p; p is one
 * of its parcels, as queue_find gives it. out->error tells of a lack of memory. */
void carried_put(struct buf *out, slice fields, stamp at, struct parcel *p) NONNULL(1, 4);

/* One group. */
struct carried_recipient {
    uint32_t index;
    stamp next;      /* 0: at once */
    bool was_warned; /* its sender knows that it is delayed */
    bool was_tried;
    struct settled last; /* if it was tried; RETRY, FAILED, EXPIRED, or DELIVERED to be told */
    struct settlement attempt;
};

/* The groups of a CARRIED record: what is behind the fields of the message. 0 or -EBADMSG. */
int carried_groups(slice fields, slice *groups) MUST_USE NONNULL(2);
/* Takes the next group off: 1, 0 at the end, -EBADMSG. Slices are borrowed. */
int carried_next(slice *groups, struct carried_recipient *out) MUST_USE NONNULL(1, 2);

#endif
