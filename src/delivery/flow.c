#include "delivery/flow.h"

#include "base/arena.h"

#include <stdlib.h>

struct flow {
    struct heap_node turn; /* key: the share it has had */
    struct destination *destination;
    struct list line; /* parcels with READY recipients */
    uint64_t account;
    int64_t share;
    uint32_t parcels;
};

/* Forgets idle flows that owe nothing, now and then, so that accounts that sent once do not
 * take memory for ever. Those that are still ahead of their share are kept. */
static void trim(struct destination *d)
{
    size_t at = 0;
    void *value;
    while (map_next(&d->flows, &at, NULL, &value)) {
        struct flow *f = value;
        if (f->parcels > 0 || (f->share > d->virtual_time && d->turns.count > 0))
            continue;
        map_remove(&d->flows, MAP_KEY(f->account));
        d->idle_flows--;
        free(f);
    }
    d->trim_at = d->idle_flows * 2 + FLOWS_IDLE_FIRST;
}

void flow_join(struct destination *d, struct parcel *p)
{
    struct flow *f = map_get(&d->flows, MAP_KEY(p->facts.account));
    if (!f) {
        f = xcalloc(1, sizeof(*f));
        f->destination = d;
        f->account = p->facts.account;
        list_init(&f->line);
        map_put(&d->flows, MAP_KEY(f->account), f);
        d->idle_flows++;
    }
    if (f->parcels++ == 0)
        d->idle_flows--;
    p->flow = f;
    p->ready = 0;
    d->parcels++;
}

static void stand(struct parcel *p, uint32_t n, bool first)
{
    struct flow *f = p->flow;
    struct destination *d = f->destination;
    if (p->ready == 0) {
        list_insert_before(first ? f->line.next : &f->line, &p->node);
        d->ready_parcels++;
    }
    if (d->awake && list_is_empty(&d->node))
        list_push(d->awake, &d->node);
    p->ready += n;
    d->ready += n;
    if (heap_has(&f->turn))
        return;
    if (f->share < d->virtual_time)
        f->share = d->virtual_time;
    heap_set(&d->turns, &f->turn, f->share);
}

void flow_ready(struct parcel *p, uint32_t n)
{
    stand(p, n, false);
}

void flow_ready_first(struct parcel *p, uint32_t n)
{
    stand(p, n, true);
}

void flow_unready(struct parcel *p, uint32_t n)
{
    struct flow *f = p->flow;
    struct destination *d = f->destination;
    INVARIANT(n <= p->ready);
    p->ready -= n;
    d->ready -= n;
    if (p->ready > 0 || n == 0)
        return;
    list_remove(&p->node);
    d->ready_parcels--;
    if (list_is_empty(&f->line))
        heap_remove(&d->turns, &f->turn);
}

void flow_leave(struct parcel *p)
{
    struct flow *f = p->flow;
    if (!f)
        return;
    struct destination *d = f->destination;
    flow_unready(p, p->ready);
    p->flow = NULL;
    d->parcels--;
    if (--f->parcels > 0)
        return;
    d->idle_flows++;
    if (d->idle_flows >= d->trim_at)
        trim(d);
}

struct destination *parcel_destination(const struct parcel *p)
{
    return p->flow->destination;
}

struct parcel *flow_next(struct destination *d)
{
    struct heap_node *n = heap_peek(&d->turns);
    if (!n)
        return NULL;
    struct flow *f = CONTAINER_OF(n, struct flow, turn);
    if (f->share > d->virtual_time)
        d->virtual_time = f->share;
    return LIST_ITEM(f->line.next, struct parcel, node);
}

void flow_took(struct parcel *p, uint32_t n)
{
    struct flow *f = p->flow;
    f->share += n;
    if (heap_has(&f->turn))
        heap_set(&f->destination->turns, &f->turn, f->share);
    flow_unready(p, n);
}

void flows_fini(struct destination *d)
{
    size_t at = 0;
    void *value;
    while (map_next(&d->flows, &at, NULL, &value)) {
        struct flow *f = value;
        INVARIANT(f->parcels == 0);
        map_remove(&d->flows, MAP_KEY(f->account));
        free(f);
    }
    map_fini(&d->flows);
    heap_fini(&d->turns);
}
