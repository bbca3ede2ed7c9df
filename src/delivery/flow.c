#include "delivery/flow.h"

#include "base/arena.h"

#include <stdlib.h>

struct flow {
    struct heap_node turn; /* key: the share it has had */
    struct destination *destination;
    struct gate *gate; /* of the account */
    struct list of_gate;
    struct list line; /* parcels with READY recipients */
    uint64_t account;
    int64_t share;
    uint32_t parcels;
    uint64_t ready; /* recipients */
    uint64_t ready_parcels;
};

static void flow_free(struct flow *f)
{
    list_remove(&f->of_gate);
    if (f->gate) {
        f->gate->flow_count--;
        gate_drop(f->destination->queue, f->gate);
    }
    free(f);
}

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
        flow_free(f);
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
        list_init(&f->of_gate);
        f->gate = gate_of_account(d->queue, p->facts.account, p->facts.customer);
        list_push(&f->gate->flows, &f->of_gate);
        f->gate->flow_count++;
        map_put(&d->flows, MAP_KEY(f->account), f);
        d->idle_flows++;
    }
    if (f->parcels++ == 0)
        d->idle_flows--;
    p->flow = f;
    p->ready = 0;
    d->parcels++;
}

/* Its READY ones count at the destination; it takes part in the turns. */
static void take_part(struct flow *f, uint64_t ready, uint64_t ready_parcels)
{
    struct destination *d = f->destination;
    if (d->awake && list_is_empty(&d->node))
        list_push(d->awake, &d->node);
    d->ready += ready;
    d->ready_parcels += ready_parcels;
    if (heap_has(&f->turn))
        return;
    if (f->share < d->virtual_time)
        f->share = d->virtual_time;
    heap_set(&d->turns, &f->turn, f->share);
}

static void stand(struct parcel *p, uint32_t n, bool first)
{
    struct flow *f = p->flow;
    bool is_new = p->ready == 0;
    if (is_new)
        list_insert_before(first ? f->line.next : &f->line, &p->node);
    p->ready += n;
    f->ready += n;
    f->ready_parcels += is_new;
    if (!f->gate->is_closed)
        take_part(f, n, is_new);
}

void flows_close(struct gate *g)
{
    LIST_EACH (&g->flows, n) {
        struct flow *f = LIST_ITEM(n, struct flow, of_gate);
        f->destination->ready -= f->ready;
        f->destination->ready_parcels -= f->ready_parcels;
        heap_remove(&f->destination->turns, &f->turn);
    }
}

void flows_open(struct gate *g)
{
    LIST_EACH (&g->flows, n) {
        struct flow *f = LIST_ITEM(n, struct flow, of_gate);
        if (f->ready > 0)
            take_part(f, f->ready, f->ready_parcels);
    }
}

void flows_orphan(struct gate *g)
{
    LIST_EACH (&g->flows, n) {
        LIST_ITEM(n, struct flow, of_gate)->gate = NULL;
        list_remove(n);
    }
    g->flow_count = 0;
}

bool parcel_is_stopped(const struct parcel *p)
{
    return p->flow->gate->is_closed;
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
    bool is_open = !f->gate->is_closed;
    INVARIANT(n <= p->ready);
    p->ready -= n;
    f->ready -= n;
    d->ready -= is_open ? n : 0;
    if (p->ready > 0 || n == 0)
        return;
    list_remove(&p->node);
    f->ready_parcels--;
    d->ready_parcels -= is_open;
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
        flow_free(f);
    }
    map_fini(&d->flows);
    heap_fini(&d->turns);
}
