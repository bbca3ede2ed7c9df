/* Holding recipients and domains, releasing and hurrying them. */
#include "delivery/flow.h"
#include "delivery/queue_inside.h"

#include <stdlib.h>

static bool is_queued(const struct recipient *r)
{
    return r->state <= RECIPIENT_HELD;
}

bool queue_hold(struct queue *q, struct parcel *p, struct recipient *r, enum recipient_hold why)
{
    (void)q;
    if (!is_queued(r) && r->state != RECIPIENT_SENDING)
        return false;
    bool is_new = !(r->flags & why);
    r->flags |= (uint8_t)why;
    if (r->state == RECIPIENT_READY)
        flow_unready(p, 1);
    if (is_queued(r)) /* the schedule finds that it waits for nothing */
        r->state = RECIPIENT_HELD;
    return is_new;
}

bool queue_release(struct queue *q, struct parcel *p, struct recipient *r, unsigned why,
                   stamp now)
{
    if (!(r->flags & why))
        return false;
    r->flags &= (uint8_t) ~(why & HELD_ANY);
    if (r->state == RECIPIENT_HELD)
        recipient_line_up(q, p, r, now);
    return true;
}

bool queue_hurry(struct queue *q, struct parcel *p, struct recipient *r)
{
    (void)q;
    if (r->state != RECIPIENT_WAITING)
        return false;
    r->state = RECIPIENT_READY;
    r->next = 0;
    flow_ready(p, 1);
    return true;
}

bool queue_lift(struct queue *q, struct parcel *p, struct recipient *r)
{
    (void)q;
    if (!is_queued(r))
        return false;
    if (r->state == RECIPIENT_READY)
        flow_unready(p, 1);
    r->state = RECIPIENT_SENDING;
    return true;
}

void queue_hold_domain(struct queue *q, slice domain)
{
    struct blob *b = blob_new(domain);
    free(map_put(&q->domains, slice_make(b->bytes, b->len), b));
}

void queue_release_domain(struct queue *q, slice domain)
{
    free(map_remove(&q->domains, domain));
}

bool queue_holds_domain(const struct queue *q, slice domain)
{
    return q->domains.count > 0 && map_get(&q->domains, domain);
}
