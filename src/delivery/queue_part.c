/* Moving parcels between destinations, and parting them. */
#include "base/arena.h"
#include "delivery/flow.h"
#include "delivery/queue_inside.h"

#include <stdlib.h>

struct move {
    struct destination *from;
    struct destination *to;
};

static bool move_parcel(void *ctx, struct parcel *p)
{
    const struct move *m = ctx;
    if (parcel_destination(p) == m->to || (m->from && parcel_destination(p) != m->from))
        return true;
    uint32_t ready = p->ready;
    flow_leave(p);
    flow_join(m->to, p);
    if (ready > 0)
        flow_ready(p, ready);
    return true;
}

void queue_move(struct queue *q, struct destination *from, struct destination *to)
{
    struct move m = {from, to};
    queue_each(q, move_parcel, &m);
}

struct piece {
    struct destination *to;
    uint32_t at; /* in recipients */
};

static int by_destination(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    if (x->to != y->to)
        return (uintptr_t)x->to < (uintptr_t)y->to ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Those that can go elsewhere, by destination and then index. *may_go: none is in hand. */
static uint32_t collect(const struct parcel *p, struct destination *const *to,
                        struct piece *pieces, bool *may_go)
{
    uint32_t n = 0;
    *may_go = true;
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->recipients[i].state <= RECIPIENT_HELD)
            pieces[n++] = (struct piece){to[i], i};
        else if (p->recipients[i].state == RECIPIENT_SENDING)
            *may_go = false;
    }
    qsort(pieces, n, sizeof(*pieces), by_destination);
    return n;
}

/* The recipients of one destination leave p, marked as gone there. */
static void take_out(struct queue *q, struct parcel *p, const struct piece *pieces, uint32_t n,
                     stamp now)
{
    struct parcel *out = parcel_new(q, pieces[0].to, &p->facts, n);
    for (uint32_t i = 0; i < n; i++) {
        struct recipient *r = &p->recipients[pieces[i].at];
        out->recipients[i] = *r;
        r->trouble = NULL;
        r->state = RECIPIENT_GONE;
    }
    out->living = n;
    p->living -= n;
    parcel_line_up(q, out, now);
}

/* Those that left are not its own any more: an outcome must find them where they are. */
static void close_ranks(struct parcel *p)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->recipients[i].state != RECIPIENT_GONE)
            p->recipients[n++] = p->recipients[i];
    p->count = n;
}

void queue_part(struct queue *q, struct parcel *p, struct destination *const *to, stamp now)
{
    struct piece *pieces = xcalloc(p->count, sizeof(*pieces));
    struct destination *home = parcel_destination(p);
    bool may_go;
    uint32_t n = collect(p, to, pieces, &may_go);
    flow_took(p, p->ready);
    flow_leave(p);
    heap_remove(&q->schedule, &p->due);
    for (uint32_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && pieces[end].to == pieces[i].to; end++)
            continue;
        if (may_go && i == 0)
            home = pieces[0].to;
        else
            take_out(q, p, &pieces[i], end - i, now);
    }
    if (n > 0)
        close_ranks(p);
    flow_join(home, p);
    parcel_line_up(q, p, now);
    free(pieces);
}
