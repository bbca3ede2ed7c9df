#include "delivery/gate.h"

#include "base/arena.h"
#include "delivery/flow.h"

#include <stdlib.h>

/* Resellers of resellers: more floors than this are a loop. */
enum { CUSTOMER_DEPTH_MAX = 16 };

void gates_init(struct gates *g, const uint64_t seed[2])
{
    *g = (struct gates){.next_end = STAMP_NEVER};
    map_init(&g->accounts, seed);
    map_init(&g->customers, seed);
}

static void clear_all(struct queue *q, bool is_customer)
{
    size_t at = 0;
    struct gate *g;
    while ((g = gate_next(q, is_customer, &at))) {
        gate_lift(q, g, UINT8_MAX);
        g->thawed = g->lock = g->version = g->op_version = 0;
        gate_drop(q, g);
    }
}

void gates_clear(struct queue *q)
{
    q->gates.next_end = STAMP_NEVER;
    clear_all(q, true);
    clear_all(q, false);
}

static void free_all(struct map *m)
{
    size_t at = 0;
    void *value;
    while (map_next(m, &at, NULL, &value)) {
        struct gate *g = value;
        flows_orphan(g);
        map_remove(m, MAP_KEY(g->id));
        free(g);
    }
    map_fini(m);
}

void gates_fini(struct gates *g)
{
    free_all(&g->accounts);
    free_all(&g->customers);
}

static uint64_t parent_of(const struct queue *q, uint64_t customer)
{
    return q->gates.parent_of ? q->gates.parent_of(q->gates.ctx, customer) : 0;
}

/* The gate of the customer, or of a reseller of it, that is closed; NULL: none. */
static const struct gate *closed_above(const struct queue *q, uint64_t customer)
{
    if (q->gates.customers.count == 0)
        return NULL;
    for (int i = 0; i < CUSTOMER_DEPTH_MAX && customer != 0; i++) {
        const struct gate *g = map_get(&q->gates.customers, MAP_KEY(customer));
        if (g && g->stops)
            return g;
        customer = parent_of(q, customer);
    }
    return NULL;
}

bool gate_is_customer_of(const struct queue *q, uint64_t customer, uint64_t of)
{
    for (int i = 0; i < CUSTOMER_DEPTH_MAX && customer != 0; i++) {
        if (customer == of)
            return true;
        customer = parent_of(q, customer);
    }
    return false;
}

static void review(struct queue *q, struct gate *g)
{
    bool was_closed = g->is_closed;
    g->is_closed = g->stops || (!g->is_customer && closed_above(q, g->customer));
    if (g->is_customer || g->is_closed == was_closed)
        return;
    if (g->is_closed)
        flows_close(g);
    else
        flows_open(g);
}

void gates_review(struct queue *q)
{
    size_t at = 0;
    struct gate *g;
    while ((g = gate_next(q, false, &at)))
        review(q, g);
}

static struct gate *gate_new(struct map *m, uint64_t id, bool is_customer)
{
    struct gate *g = xcalloc(1, sizeof(*g));
    g->id = id;
    g->is_customer = is_customer;
    list_init(&g->flows);
    map_put(m, MAP_KEY(g->id), g);
    return g;
}

struct gate *gate_of_account(struct queue *q, uint64_t account, uint64_t customer)
{
    struct gate *g = map_get(&q->gates.accounts, MAP_KEY(account));
    if (!g)
        g = gate_new(&q->gates.accounts, account, false);
    else if (g->customer == customer)
        return g;
    g->customer = customer;
    review(q, g);
    return g;
}

struct gate *gate_of_customer(struct queue *q, uint64_t customer)
{
    struct gate *g = map_get(&q->gates.customers, MAP_KEY(customer));
    return g ? g : gate_new(&q->gates.customers, customer, true);
}

struct gate *gate_find(const struct queue *q, bool is_customer, uint64_t id)
{
    return map_get(is_customer ? &q->gates.customers : &q->gates.accounts, MAP_KEY(id));
}

void gate_drop(struct queue *q, struct gate *g)
{
    if (g->flow_count > 0 || g->stops || g->ending || g->thawed)
        return;
    map_remove(g->is_customer ? &q->gates.customers : &q->gates.accounts, MAP_KEY(g->id));
    free(g);
}

struct gate *gate_next(const struct queue *q, bool is_customer, size_t *at)
{
    void *value;
    return map_next(is_customer ? &q->gates.customers : &q->gates.accounts, at, NULL, &value)
               ? value
               : NULL;
}

/* ---- stops ---- */

static void set_stops(struct queue *q, struct gate *g, unsigned stops)
{
    if (g->stops == stops)
        return;
    g->stops = (uint8_t)stops;
    g->ending &= (uint8_t)stops;
    review(q, g);
    if (g->is_customer)
        gates_review(q);
}

void gate_stop(struct queue *q, struct gate *g, unsigned stops)
{
    set_stops(q, g, g->stops | stops);
}

void gate_lift(struct queue *q, struct gate *g, unsigned stops)
{
    set_stops(q, g, g->stops & ~stops);
}

void gate_end(struct queue *q, struct gate *g, unsigned stop, stamp at)
{
    q->gates.has_ending = true;
    g->ending |= (uint8_t)(stop & g->stops);
    if (g->ended_at < at)
        g->ended_at = at;
}

/* ---- locks ---- */

void gate_lock(struct queue *q, struct gate *g, uint64_t lock, stamp until, uint64_t version)
{
    if (version < g->thawed || lock < g->lock)
        return;
    g->lock = lock;
    g->lock_until = until;
    g->version = version;
    g->ending &= (uint8_t)~GATE_LOCK;
    gate_stop(q, g, GATE_LOCK);
}

void gate_unlock(struct queue *q, struct gate *g, uint64_t lock, stamp until, stamp at)
{
    if (!(g->stops & GATE_LOCK) || g->lock > lock)
        return;
    if (until <= at)
        gate_lift(q, g, GATE_LOCK);
    else
        gate_end(q, g, GATE_LOCK, at);
}

void gate_set_operator(struct queue *q, struct gate *g, bool is_locked, stamp until,
                       uint64_t version, stamp at)
{
    if (version <= g->op_version)
        return;
    if (is_locked) {
        g->op_version = version;
        g->op_until = until;
        g->ending &= (uint8_t)~GATE_OPERATOR;
        if (until < q->gates.next_end)
            q->gates.next_end = until;
        gate_stop(q, g, GATE_OPERATOR);
    } else if (g->stops & GATE_OPERATOR) {
        gate_end(q, g, GATE_OPERATOR, at);
    }
}

void gate_thaw(struct queue *q, struct gate *g, uint64_t version)
{
    unsigned over = 0;
    if (version > g->thawed)
        g->thawed = version;
    if (g->version < version)
        over |= GATE_LOCK;
    if (g->op_version < version)
        over |= GATE_OPERATOR;
    gate_lift(q, g, over);
}

static void open_those_over(struct queue *q, bool is_customer, stamp now)
{
    size_t at = 0;
    struct gate *g;
    while ((g = gate_next(q, is_customer, &at))) {
        if (!(g->stops & GATE_OPERATOR) || g->ending & GATE_OPERATOR)
            continue;
        if (g->op_until <= now)
            gate_lift(q, g, GATE_OPERATOR);
        else if (g->op_until < q->gates.next_end)
            q->gates.next_end = g->op_until;
    }
}

stamp gates_due(struct queue *q, stamp now)
{
    if (q->gates.next_end > now)
        return q->gates.next_end;
    q->gates.next_end = STAMP_NEVER;
    open_those_over(q, true, now);
    open_those_over(q, false, now);
    return q->gates.next_end;
}

const struct gate *gate_in_the_way(const struct queue *q, uint64_t account, uint64_t customer)
{
    const struct gate *g = gate_find(q, false, account);
    return g && g->stops ? g : closed_above(q, customer);
}
