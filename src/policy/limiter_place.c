/* Mail that may wait: whether there is room for it in the line, and which place it takes. */
#include "policy/limiter_internal.h"

/* Mail that is under way is counted soon: so much time it is given. */
#define UNDER_WAY SPAN_MINUTE

/* The first moment from `at` on at which the amount fits. Others' mail that is under way keeps
 * its room, or is as if it were used within the next minute: should it take longer, it may be
 * what is refused in the end. */
static stamp fits_at(struct counter *c, uint64_t keep, uint64_t others, stamp at, stamp now)
{
    stamp after = window_lapse(c->length, now + UNDER_WAY);
    stamp first = others <= keep ? wait_free_at(c, at, keep - others) : STAMP_NEVER;
    if (others == 0)
        return first;
    stamp second = wait_free_at(c, at > after ? at : after, keep);
    return first < second ? first : second;
}

bool place_fits(struct counter *c, const struct limit *limit, uint64_t total, stamp now,
                struct limit_verdict *v, bool is_first)
{
    bool is_full = c->line && c->line->count >= LIMITER_WAITING_MOST;
    uint64_t max = max_of(limit);
    stamp at = total <= max ? fits_at(c, max - total, c->held, now, now) : STAMP_NEVER;
    if (at - now <= LIMITER_WAIT_MOST && !is_full)
        return true;
    struct limit_verdict next = {
        .rule = limit->rule,
        .entity = limit->entity,
        .used = counter_peak(c, now) + c->held,
        .asked = total,
        .max = max,
        .never_fits = total > max,
        .free_at = at == STAMP_NEVER ? at : at - LIMITER_WAIT_MOST,
    };
    if (is_full && c->line->of[0].at > next.free_at)
        next.free_at = c->line->of[0].at;
    if (is_first || next.free_at > v->free_at)
        *v = next;
    return false;
}

stamp place_free_at(const struct limiter *l, const struct limit *limits, size_t count,
                    const struct amounts *asked, stamp at)
{
    for (bool has_moved = true; has_moved;) {
        has_moved = false;
        for (size_t i = 0; i < count; i++) {
            uint64_t amount = asked->of[limits[i].rule.unit];
            bool is_asked = limits[i].rule.window > 0 && amount > 0 && refuses(&limits[i].rule);
            const struct counter *c = is_asked ? limiter_known(l, &limits[i]) : NULL;
            if (!c || !c->line || !fits(c->held, amount, max_of(&limits[i])))
                continue;
            stamp next = wait_free_at(c, at, max_of(&limits[i]) - amount - c->held);
            has_moved |= next > at;
            at = next;
        }
    }
    return at;
}

void place_later(struct limiter_hold *h, struct counter *c)
{
    if (!h->waits)
        c->held -= h->amount;
    h->waits = true;
}

static uint64_t held_by_others(const struct limiter_hold *h, const struct counter *c)
{
    return c->held - (h->waits ? 0 : h->amount);
}

bool place_has_room(const struct limiter_hold *h, struct counter *c, uint64_t total, stamp now)
{
    return fits(counter_peak(c, now) + held_by_others(h, c), total, h->max);
}

/* Mail that waits may have taken room that this one would be in, now that it is later than when
 * it was reserved. One that may wait does so, too. */
static const struct limiter_hold *find_loser(struct limiter_reservation *r, stamp now)
{
    for (uint32_t i = 0; i < r->count; i++) {
        struct limiter_hold *h = &r->holds[i];
        struct counter *c = counter_of(h);
        bool may_be = c->placings != h->placings && !h->waits && refuses(&h->rule);
        if (!may_be || place_has_room(h, c, h->amount, now))
            continue;
        if (!r->may_wait || !h->defers)
            return h;
        place_later(h, c);
    }
    return NULL;
}

static const struct limiter_hold *first_that_waits(const struct limiter_reservation *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->holds[i].waits)
            return &r->holds[i];
    }
    return NULL;
}

/* When it may go by the rules that defer, and not before its turn by those that pace; *slowest:
 * the last of them to let it pass. */
static stamp release_of(const struct limiter_reservation *r, stamp now,
                        const struct limiter_hold **slowest)
{
    stamp at = now;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct limiter_hold *h = &r->holds[i];
        stamp turn = paces(&h->rule) ? pace_start(counter_of(h), now) : now;
        at = turn > at ? turn : at;
    }
    for (bool has_moved = true; has_moved;) {
        has_moved = false;
        for (uint32_t i = 0; i < r->count && at - now <= LIMITER_WAIT_MOST; i++) {
            const struct limiter_hold *h = &r->holds[i];
            struct counter *c = counter_of(h);
            if (!h->defers)
                continue;
            (void)counter_used(c, now); /* what is over goes first */
            stamp next = fits_at(c, h->max - h->amount, held_by_others(h, c), at, now);
            has_moved |= next > at;
            *slowest = next > at ? h : *slowest;
            at = next;
        }
    }
    return at;
}

static void refuse(const struct limiter_hold *h, stamp at, stamp now, struct limit_verdict *v)
{
    struct counter *c = counter_of(h);
    *v = (struct limit_verdict){
        .rule = h->rule,
        .entity = h->entity->key.id,
        .used = counter_peak(c, now) + held_by_others(h, c),
        .asked = h->amount,
        .max = h->max,
        .free_at = at,
    };
}

enum limiter_result place_take(struct limiter_reservation *r, stamp now,
                               struct limit_verdict *v)
{
    const struct limiter_hold *loser = find_loser(r, now);
    if (loser) {
        struct counter *c = counter_of(loser);
        refuse(loser,
               fits_at(c, loser->max - loser->amount, held_by_others(loser, c), now, now), now,
               v);
        return LIMITER_REFUSED;
    }
    const struct limiter_hold *slowest = first_that_waits(r);
    if (!slowest)
        return LIMITER_OK;
    stamp at = release_of(r, now, &slowest);
    if (at - now > LIMITER_WAIT_MOST) {
        refuse(slowest, at - LIMITER_WAIT_MOST, now, v);
        return LIMITER_REFUSED;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->holds[i].defers && wait_make_room(counter_of(&r->holds[i])) < 0)
            return LIMITER_NO_MEMORY;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        struct limiter_hold *h = &r->holds[i];
        if (!h->defers)
            continue;
        place_later(h, counter_of(h));
        h->placed = at;
        wait_add(counter_of(h), at, h->amount);
        counter_of(h)->placings++;
    }
    r->released = at;
    r->not_before = at > now ? at : 0;
    return LIMITER_OK;
}
