/* What an order does to one message. */
#include "delivery/envelope.h"
#include "delivery/orders_inside.h"

#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>

enum { SLIP_MAX = 1000 /* recipients */ };

static bool is_meant(const struct orders *o, const struct order *x,
                     const struct parcel_facts *f)
{
    const struct queue_command *c = &x->command;
    stamp before = c->before && c->before < x->at ? c->before : x->at;
    if (f->accepted > before && (c->before || c->id_count == 0))
        return false;
    if (c->account != 0 && f->account != c->account)
        return false;
    return c->customer == 0 || gate_is_customer_of(orders_queue(o), f->customer, c->customer);
}

struct hand {
    struct orders *orders;
    struct order *order;
    struct slip *slip; /* of outcomes of the message; NULL: none yet */
    uint32_t in_slip;
    const struct parcel *parcel; /* the first of the message */
    stamp now;
};

static void hand_in(struct hand *h)
{
    const struct parcel_facts *f = &h->parcel->facts;
    if (!h->slip)
        return;
    struct record_header header = {.customer = f->customer, .account = f->account};
    struct settlement head = {.id = f->id};
    slip_hand_in(h->slip, &head, &header, h->now);
    h->slip = NULL;
    h->in_slip = 0;
}

static void add_removed(struct hand *h, const struct recipient *r)
{
    const struct queue_command *c = &h->order->command;
    char text[64 + QUEUE_COMMAND_BY_MAX];
    if (!h->slip) {
        h->slip = slip_new(h->orders->config.courier->settle);
        slip_track(h->slip, &h->order->unsynced);
    }
    snprintf(text, sizeof(text), "removed by %.*s%s", SLICE_ARG(c->by),
             c->verb == QUEUE_PURGE ? " when the lock was lifted" : "");
    struct settled s = {
        .index = r->index,
        .kind = OUTCOME_REMOVED,
        .attempt = r->attempts + 1u, /* an event of its own */
        .stage = STAGE_LOCAL,
        .reply = {.text = slice_of(text)},
    };
    slip_add(h->slip, &s);
    if (++h->in_slip == SLIP_MAX)
        hand_in(h);
}

static bool remove_one(struct hand *h, struct parcel *p, struct recipient *r)
{
    bool has_failed = r->state == RECIPIENT_FAILED || r->state == RECIPIENT_EXPIRED;
    if (r->state == RECIPIENT_SENDING)
        h->order->progress.busy++;
    if (!has_failed && !queue_lift(orders_queue(h->orders), p, r))
        return false;
    add_removed(h, r);
    return true;
}

static bool hurry_one(struct hand *h, struct parcel *p, struct recipient *r)
{
    const struct orders_config *c = &h->orders->config;
    if (r->state == RECIPIENT_WAITING && r->attempts == 0) {
        h->order->progress.paced++;
        return false;
    }
    bool is_queued = r->state <= RECIPIENT_WAITING;
    queue_hurry(orders_queue(h->orders), p, r);
    if (is_queued && c->on_hurry)
        c->on_hurry(c->ctx, parcel_destination(p));
    return is_queued;
}

static bool change_one(struct hand *h, struct parcel *p, struct recipient *r)
{
    const struct queue_command *c = &h->order->command;
    struct queue *q = orders_queue(h->orders);
    bool is_living = r->state <= RECIPIENT_SENDING;
    if (h->order->is_keep)
        return queue_hold(q, p, r, HELD_BY_LOCK);
    switch (c->verb) {
    case QUEUE_HOLD:
        if (queue_command_is_standing(c) && c->domain.len == 0)
            return is_living; /* its gate is closed */
        return queue_hold(q, p, r, queue_command_is_standing(c) ? HELD_DOMAIN : HELD_BY_ORDER);
    case QUEUE_RELEASE:
        return queue_release(q, p, r, HELD_ANY, h->now) || (h->order->has_opened && is_living);
    case QUEUE_THAW:
        return queue_release(q, p, r, HELD_BY_LOCK, h->now) || is_living;
    case QUEUE_RETRY:
        return hurry_one(h, p, r);
    case QUEUE_REMOVE:
    case QUEUE_PURGE:
        return remove_one(h, p, r);
    }
    return false;
}

static void change_message(struct hand *h, struct parcel *first)
{
    struct orders *o = h->orders;
    struct order *x = h->order;
    const struct courier *c = o->config.courier;
    slice domain = x->command.domain;
    struct arena arena = ARENA_INIT;
    struct envelope e = {0};
    size_t count;
    uint64_t changed = 0;
    struct envelope_entry *entries = envelope_entries(first, &count);
    if (domain.len > 0) {
        envelope_open(&e, c, first);
        o->letters--;
    }
    for (size_t i = 0; i < count; i++) {
        struct recipient *r = entries[i].recipient;
        if (domain.len > 0 && !envelope_is_at(&arena, envelope_address(&e, r), domain))
            continue;
        changed += change_one(h, entries[i].parcel, r);
    }
    hand_in(h);
    o->changes -= (int)(changed < ORDERS_CHANGES ? changed : ORDERS_CHANGES);
    x->progress.recipients += changed;
    x->progress.messages += changed > 0;
    bool is_closed =
        gate_in_the_way(orders_queue(o), first->facts.account, first->facts.customer);
    if (changed > 0 && is_closed && !x->is_keep)
        x->progress.closed += changed;
    if (domain.len > 0)
        envelope_fini(&e);
    free(entries);
    arena_fini(&arena);
}

void orders_look_at(struct orders *o, struct order *x, struct parcel *first)
{
    struct hand h = {.orders = o, .order = x, .parcel = first};
    o->looks--;
    if (!is_meant(o, x, &first->facts))
        return;
    h.now = env_now(o->config.courier->env);
    change_message(&h, first);
}
