/* flow: one account's line at one destination, and whose turn it is.
 *
 * Start-time fair queueing (Goyal, Vin, Cheng 1996) over recipients: each flow carries the
 * share that it has had; the flow with the smallest goes next and its share grows by what was
 * taken. A flow that comes back starts at the share of the one that is being served, or at its
 * own if that is larger, so that neither idleness nor coming and going gains anything. For the
 * queue alone. */
#ifndef DELIVERY_FLOW_H
#define DELIVERY_FLOW_H

#include "delivery/gate.h"

enum { FLOWS_IDLE_FIRST = 256 };

/* Its account may not send: its lines leave the turns; and may again. */
void flows_close(struct gate *g) NONNULL(1);
void flows_open(struct gate *g) NONNULL(1);
/* The gate goes; its lines, empty ones, stay for a while. */
void flows_orphan(struct gate *g) NONNULL(1);

/* A parcel enters its account's line at the destination, without READY recipients. */
void flow_join(struct destination *d, struct parcel *p) NONNULL(1, 2);
/* It leaves, whatever is READY of it. Harmless when it has left. */
void flow_leave(struct parcel *p) NONNULL(1);

/* n more recipients of it are READY: at the end of the line if it was not in it, or first. */
void flow_ready(struct parcel *p, uint32_t n) NONNULL(1);
void flow_ready_first(struct parcel *p, uint32_t n) NONNULL(1);

/* The parcel whose turn it is, left in its place, or NULL. */
struct parcel *flow_next(struct destination *d) NONNULL(1);
/* n of its READY recipients are taken, which counts for their account; or no longer READY. */
void flow_took(struct parcel *p, uint32_t n) NONNULL(1);
void flow_unready(struct parcel *p, uint32_t n) NONNULL(1);

void flows_fini(struct destination *d) NONNULL(1);

#endif
