/* carrier: carries living messages forward, out of old segments, so that those can be deleted.
 *
 * A journal is deleted from its beginning, as far as nobody needs it. One message that waits
 * for days would keep all that was written after it. So, when a journal keeps more than
 * `max_waste` bytes that nobody needs any more, and more of those than of living messages, the
 * living ones of its oldest segments are copied to the end of our own journal (CARRIED), and a
 * snapshot of the queue follows, after which the segments' writer may delete them. That more is
 * freed than is copied bounds the work: over time a message is copied as often as its journal
 * has turned over by its own size.
 *
 * It never hurries: what is read is read on a jobs thread, a megabyte at a time, and then it
 * rests four times as long as that took. It stands back while outcomes cannot be written, and
 * while another reader (control, or smtpd itself) would keep the segment anyway. */
#ifndef DELIVERY_CARRIER_H
#define DELIVERY_CARRIER_H

#include "delivery/keeper.h"
#include "delivery/letter.h"

struct carrier_config {
    struct env *env;
    struct loop *loop;
    struct jobs *jobs;
    struct queue *queue;
    struct settle *settle;
    struct keeper *keeper;
    const struct letter_store *store;
    const struct watermark *watermark[2]; /* by ID_SMTPD, ID_DELIVERY */
    uint64_t max_waste;
    span interval; /* how often it looks; 0: CARRIER_INTERVAL */
};
#define CARRIER_INTERVAL (10 * SPAN_SECOND)

struct carrier;
struct carrier *carrier_new(const struct carrier_config *c) NONNULL(1);
/* The jobs are gone, or it is idle. */
void carrier_free(struct carrier **c);
void carrier_set_max_waste(struct carrier *c, uint64_t max_waste) NONNULL(1);
/* Begins nothing new. */
void carrier_stop(struct carrier *c) NONNULL(1);
/* Nothing is being read or written. */
bool carrier_is_idle(const struct carrier *c) NONNULL(1);

struct carrier_numbers {
    uint64_t messages; /* carried, since the start */
    uint64_t bytes;
    uint64_t lost; /* messages whose record could not be read any more */
};
struct carrier_numbers carrier_numbers(const struct carrier *c) NONNULL(1);

#endif
