/* queue_inside: what the files of the queue share. */
#ifndef DELIVERY_QUEUE_INSIDE_H
#define DELIVERY_QUEUE_INSIDE_H

#include "delivery/queue.h"

struct blob *blob_new(slice s);
/* It stands in no line and no schedule, and goes where it belongs. */
void recipient_line_up(struct queue *q, struct parcel *p, struct recipient *r, stamp now)
    NONNULL(1, 2, 3);
/* In the destination and in its bucket, its recipients still to be filled in. */
struct parcel *parcel_new(struct queue *q, struct destination *d, const struct parcel_facts *f,
                          uint32_t count) NONNULL(1, 2, 3);
/* Puts recipients that are queued where they belong; it stood in no line and in no
 * schedule. */
void parcel_line_up(struct queue *q, struct parcel *p, stamp now) NONNULL(1, 2);

#endif
