/* upkeep: what the clock asks for beside delivery: the numbers on the stats page every second,
 * segments of our journal that nobody needs, files of large messages that nobody names. */
#ifndef DELIVERY_UPKEEP_H
#define DELIVERY_UPKEEP_H

#include "delivery/bodies.h"
#include "delivery/courier.h"
#include "delivery/tail.h"
#include "net/journal_watch.h"

struct upkeep {
    struct courier *courier;
    const struct role *role;
    const struct tail *tail;
    struct timer tick;
    unsigned ticks;
    struct journal_watch watch;
    struct job journal_sweep;
    bool is_sweeping;
    struct timer bodies_sweep;
    struct bodies bodies;
};

/* Begins with the next turns of the courier's loop; all that is given must outlive it. */
void upkeep_begin(struct upkeep *u, struct courier *c, const struct role *role,
                  const struct tail *tail) NONNULL(1, 2, 3, 4);
/* No job of it runs. */
bool upkeep_is_idle(const struct upkeep *u) NONNULL(1);
/* Begins nothing more. A job that runs ends with the courier's jobs. */
void upkeep_end(struct upkeep *u) NONNULL(1);

#endif
