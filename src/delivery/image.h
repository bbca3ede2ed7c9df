/* image: the queue as the contents of its snapshot, and back: its messages, and what is held
 * and stopped.
 *
 * What somebody has in hand when the image is made (SENDING: also what waits for its outcome to
 * be synced) is saved as READY: the journal behind the snapshot's position settles it, or it is
 * due at once. Loading an image and applying the rest of both journals gives the same queue as
 * applying all of them. */
#ifndef DELIVERY_IMAGE_H
#define DELIVERY_IMAGE_H

#include "delivery/queue.h"

enum { IMAGE_VERSION = 3 };

/* The lowest position of a record that is still needed; UINT64_MAX when none is. */
struct image_needs {
    uint64_t smtpd;    /* in smtpd's journal */
    uint64_t delivery; /* in our own */
};

/* Appends the image; out->error tells of a lack of memory. */
void image_save(const struct queue *q, struct buf *out, struct image_needs *needs)
    NONNULL(1, 2, 3);
/* Into an empty queue. 0 or -EBADMSG (the queue then holds a part). */
int image_load(struct queue *q, struct destination *d, slice contents, stamp now) MUST_USE
    NONNULL(1, 2);

#endif
