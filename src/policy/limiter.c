#include "policy/limiter_internal.h"

#include <errno.h>

/* Adds a refused rule to the verdict: the one that lapses last is the truth. */
static void blame(struct limit_verdict *v, const struct rule *rule, uint64_t entity,
                  struct counter *c, uint64_t max, uint64_t asked, stamp now, bool is_first)
{
    struct limit_verdict next = {.rule = *rule, .entity = entity, .asked = asked, .max = max};
    next.never_fits = asked > max;
    next.used = c ? counter_peak(c, now) + c->held : 0;
    if (next.never_fits || !c) {
        next.free_at = STAMP_NEVER;
    } else if (c->length == RULE_PERIOD) {
        next.free_at = c->period.end;
    } else {
        uint64_t keep = max - asked;
        next.is_after_held = c->held > keep;
        stamp from = next.is_after_held ? window_lapse(c->length, now) : now;
        uint64_t left = next.is_after_held ? keep : keep - c->held;
        if (c->line)
            next.free_at = wait_free_at(c, from, left);
        else if (next.is_after_held)
            next.free_at = from;
        else
            next.free_at = window_free_at(&c->window, c->length, now, left);
    }
    if (is_first || next.free_at > v->free_at)
        *v = next;
}

/* Outside of a plan's time nothing fits, but some day it may. */
static void blame_plan(struct limit_verdict *v, const struct limit *limit, struct counter *c,
                       uint64_t asked, stamp now, bool is_first)
{
    blame(v, &limit->rule, limit->entity, c, 0, asked, now, is_first);
    if (v->never_fits && v->max == 0 && v->rule.window == RULE_PERIOD) {
        v->never_fits = false;
        v->free_at = c->period.end;
    }
}

static void blame_pace(struct limit_verdict *v, const struct limit *limit,
                       const struct counter *c, uint64_t asked, stamp now, stamp free_at,
                       bool is_first)
{
    const struct rule *rule = &limit->rule;
    struct limit_verdict next = {
        .rule = *rule,
        .entity = limit->entity,
        .used = pace_waiting(c, rule, now),
        .asked = asked,
        .max = pace_backlog(rule),
        .free_at = free_at,
        .paced_until = c->pace.next > now ? c->pace.next : 0,
    };
    if (is_first || next.free_at > v->free_at)
        *v = next;
}

/* What is asked of a message rule, against the transaction so far. */
static bool message_fits(const struct limiter_reservation *r, const struct limit *limit,
                         uint64_t asked)
{
    return fits(r->total.of[limit->rule.unit], asked, max_of(limit));
}

static bool is_hold_of(const struct limiter_hold *h, const struct entity *e, uint32_t counter,
                       bool settled_later)
{
    return h->entity == e && h->counter == counter &&
           is_settled_later(&h->rule) == settled_later;
}

static struct limiter_hold *hold_of(const struct limiter_reservation *r, const struct entity *e,
                                    uint32_t counter, bool settled_later, uint32_t likely)
{
    struct limiter_hold *end = r->holds + r->count;
    if (likely < r->count && is_hold_of(&r->holds[likely], e, counter, settled_later))
        return &r->holds[likely];
    for (struct limiter_hold *h = r->holds; h < end; h++) {
        if (is_hold_of(h, e, counter, settled_later))
            return h;
    }
    return NULL;
}

/* Several rules of one unit and window (an account's and a preset's) share a counter and a
 * hold: the hold keeps the strictest maximum, and what is asked is asked once. Returns where
 * the next one's is, most likely. */
static uint32_t take_hold(struct limiter_reservation *r, const struct place *p,
                          struct counter *c, const struct limit *limit, uint64_t amount,
                          stamp now, uint32_t likely)
{
    bool later = is_settled_later(&limit->rule);
    struct limiter_hold *h = hold_of(r, p->entity, p->counter, later, likely);
    if (!h) {
        /* What waits already may come to be in a window with this one. */
        h = &r->holds[r->count++];
        *h = (struct limiter_hold){.entity = p->entity,
                                   .counter = p->counter,
                                   .round = r->round - 1,
                                   .rule = limit->rule,
                                   .max = max_of(limit),
                                   .placings = c->placings - (c->line != NULL)};
        p->entity->holds++;
    }
    if (max_of(limit) < h->max) {
        h->rule = limit->rule;
        h->max = max_of(limit);
    }
    uint32_t next = (uint32_t)(h - r->holds) + 1;
    bool is_repeated = h->round == r->round;
    amount = is_repeated ? 0 : amount;
    h->defers |= lets_wait(&limit->rule);
    if (r->may_wait && lets_wait(&limit->rule) && !h->waits &&
        !fits(counter_peak(c, now) + c->held, amount, max_of(limit)))
        place_later(h, c);
    h->round = r->round;
    h->amount += amount;
    if (!later && !h->waits)
        c->held += amount;
    return next;
}

static void count_attempts(struct limiter *l, const struct limit *limits, size_t count,
                           const struct amounts *asked, stamp now)
{
    for (size_t i = 0; i < count; i++) {
        if (!limits[i].rule.attempts || limits[i].rule.scope == RULE_MESSAGE ||
            paces(&limits[i].rule))
            continue;
        /* Out of memory loses a refused attempt, never accepted use. */
        if (counter_use(counter_at(l, limits, i), now, asked->of[limits[i].rule.unit]) < 0)
            return;
    }
}

static enum limiter_result check_all(struct limiter *l, const struct limiter_reservation *r,
                                     const struct limit *limits, size_t count,
                                     const struct amounts *asked, stamp now,
                                     struct limit_verdict *verdict)
{
    bool refused = false;
    for (size_t i = 0; i < count; i++) {
        const struct limit *limit = &limits[i];
        uint64_t amount = asked->of[limit->rule.unit];
        bool is_asked = amount > 0 || rule_is_of_results(&limit->rule);
        if (!is_asked || !(refuses(&limit->rule) || paces(&limit->rule)))
            continue;
        if (limit->rule.scope == RULE_MESSAGE) {
            if (message_fits(r, limit, amount))
                continue;
            blame(verdict, &limit->rule, 0, NULL, max_of(limit), amount, now, !refused);
            refused = true;
            continue;
        }
        struct counter *c = counter_at(l, limits, i);
        stamp free_at = 0;
        if (paces(&limit->rule)) {
            if (pace_fits(c, &limit->rule, now, &free_at))
                continue;
            blame_pace(verdict, limit, c, amount, now, free_at, !refused);
            refused = true;
            continue;
        }
        const struct place *p = &l->places[i];
        const struct limiter_hold *h =
            r->may_wait ? hold_of(r, p->entity, p->counter, false, 0) : NULL;
        if (!(h && h->waits) && fits(counter_peak(c, now) + c->held, amount, max_of(limit)))
            continue;
        if (r->may_wait && lets_wait(&limit->rule)) {
            uint64_t total = amount + (h ? h->amount : 0);
            refused |= !place_fits(c, limit, total, now, verdict, !refused);
            continue;
        }
        if (limit->is_closed)
            blame_plan(verdict, limit, c, amount, now, !refused);
        else
            blame(verdict, &limit->rule, limit->entity, c, max_of(limit), amount, now,
                  !refused);
        refused = true;
    }
    return refused ? LIMITER_REFUSED : LIMITER_OK;
}

/* The attempt that was just counted is part of the truth, but a rule that only it has filled
 * (one message a second) is not why it was refused. */
static void tell_attempt(const struct limit_verdict *first, struct limit_verdict *v)
{
    bool had_room =
        v->rule.attempts && v->used >= v->asked && fits(v->used - v->asked, v->asked, v->max);
    if (!had_room)
        return;
    stamp free_at = v->free_at;
    bool is_after_held = v->is_after_held;
    *v = *first;
    v->used += first->rule.attempts ? first->asked : 0;
    v->free_at = free_at;
    v->is_after_held = is_after_held;
}

enum limiter_result limiter_reserve(struct limiter *l, struct limiter_reservation *r,
                                    const struct limit *limits, size_t count,
                                    const struct amounts *asked, stamp at,
                                    struct limit_verdict *verdict)
{
    stamp now = limiter_advance(l, at);
    if (holds_make_room(l, r, count) < 0 || limiter_find(l, limits, count) < 0)
        return LIMITER_NO_MEMORY;
    enum limiter_result result = check_all(l, r, limits, count, asked, now, verdict);
    if (result == LIMITER_REFUSED) {
        struct limit_verdict first = *verdict;
        count_attempts(l, limits, count, asked, now);
        check_all(l, r, limits, count, asked, now, verdict);
        tell_attempt(&first, verdict);
        if (verdict->free_at != STAMP_NEVER && !r->may_wait)
            verdict->free_at = place_free_at(l, limits, count, asked, verdict->free_at);
        return result;
    }
    uint32_t likely = 0;
    r->round++;
    for (size_t i = 0; i < count; i++) {
        if (limits[i].rule.scope == RULE_MESSAGE)
            continue;
        uint64_t amount = asked->of[limits[i].rule.unit];
        struct counter *c = counter_at(l, limits, i);
        likely = take_hold(r, &l->places[i], c, &limits[i], amount, now, likely);
    }
    for (int unit = 0; unit < RULE_UNIT_COUNT; unit++)
        r->total.of[unit] += asked->of[unit];
    return LIMITER_OK;
}

enum limiter_result limiter_true_up(struct limiter *l, struct limiter_reservation *r,
                                    enum rule_unit unit, uint64_t total, stamp at,
                                    struct limit_verdict *verdict)
{
    stamp now = limiter_advance(l, at);
    bool refused = false;
    for (uint32_t i = 0; i < r->count; i++) {
        struct limiter_hold *h = &r->holds[i];
        struct counter *c = &h->entity->counters[h->counter];
        if (c->unit != unit || !refuses(&h->rule) || total <= h->amount)
            continue;
        if (place_has_room(h, c, total, now) || (r->may_wait && h->defers && total <= h->max))
            continue;
        uint64_t own = h->waits ? 0 : h->amount;
        c->held -= own;
        blame(verdict, &h->rule, h->entity->key.id, c, h->max, total, now, !refused);
        c->held += own;
        refused = true;
    }
    if (refused)
        return LIMITER_REFUSED;
    for (uint32_t i = 0; i < r->count; i++) {
        struct limiter_hold *h = &r->holds[i];
        struct counter *c = &h->entity->counters[h->counter];
        if (c->unit != unit)
            continue;
        bool may_wait = r->may_wait && h->defers && total > h->amount;
        if (may_wait && !place_has_room(h, c, total, now))
            place_later(h, c);
        if (!is_settled_later(&h->rule) && !h->waits)
            c->held += total - h->amount;
        h->amount = total;
    }
    r->total.of[unit] = total;
    return LIMITER_OK;
}

/* What is accepted waits behind all that was before. */
static void take_turn(struct limiter_reservation *r, struct limiter_hold *h, struct counter *c,
                      stamp now)
{
    if (h->is_settled)
        return;
    h->paced[0] = pace_start(c, now);
    h->paced[1] = pace_after(&h->rule, h->paced[0], h->amount);
    c->pace.next = h->paced[1];
    c->held -= h->amount;
    h->is_settled = true;
    if (h->paced[0] > now && h->paced[0] > r->not_before)
        r->not_before = h->paced[0];
}

/* Not accepted after all: the turn is free again if nobody has come behind. */
static void leave_turn(const struct limiter_hold *h, struct counter *c)
{
    if (!h->is_settled)
        c->held -= h->amount;
    else if (c->pace.next == h->paced[1])
        c->pace.next = h->paced[0];
}

enum limiter_result limiter_settle(struct limiter *l, struct limiter_reservation *r, stamp at,
                                   void (*notify)(void *ctx, const struct limit_verdict *v),
                                   void *ctx, struct limit_verdict *verdict)
{
    stamp now = limiter_advance(l, at);
    for (uint32_t i = 0; i < r->count; i++) {
        struct limiter_hold *h = &r->holds[i];
        if (h->rule.action != RULE_LOCK)
            continue;
        struct counter *c = &h->entity->counters[h->counter];
        if (fits(counter_used(c, now) + c->settling, h->amount, h->max))
            continue;
        blame(verdict, &h->rule, h->entity->key.id, c, h->max, h->amount, now, true);
        verdict->used = counter_used(c, now) + c->settling;
        return LIMITER_REFUSED;
    }
    enum limiter_result placed = place_take(r, now, verdict);
    if (placed != LIMITER_OK)
        return placed;
    for (uint32_t i = 0; i < r->count; i++) {
        struct limiter_hold *h = &r->holds[i];
        if (refuses(&h->rule))
            continue;
        struct counter *c = &h->entity->counters[h->counter];
        if (paces(&h->rule))
            take_turn(r, h, c, now);
        if (!is_settled_later(&h->rule))
            continue;
        bool is_over = !fits(counter_used(c, now) + c->settling, h->amount, h->max);
        if (h->rule.action == RULE_NOTIFY && is_over && !c->notified && notify) {
            struct limit_verdict v;
            blame(&v, &h->rule, h->entity->key.id, c, h->max, h->amount, now, true);
            notify(ctx, &v);
        }
        if (h->rule.action == RULE_NOTIFY)
            c->notified = is_over;
        c->settling += h->amount;
        h->is_settled = true;
    }
    return LIMITER_OK;
}

enum limiter_result limiter_judge(struct limiter *l, const struct limit *limits, size_t count,
                                  stamp at,
                                  void (*notify)(void *ctx, const struct limit_verdict *v),
                                  void *ctx, struct limit_verdict *verdict)
{
    stamp now = limiter_advance(l, at);
    enum limiter_result result = LIMITER_OK;
    for (size_t i = 0; i < count; i++) {
        const struct limit *limit = &limits[i];
        struct entity *e;
        if (!rule_is_of_results(&limit->rule) || !is_settled_later(&limit->rule))
            continue;
        struct counter *c = limiter_counter(l, limit, &e);
        if (!c)
            return LIMITER_NO_MEMORY;
        bool is_over = counter_used(c, now) > max_of(limit);
        struct limit_verdict v;
        if (is_over)
            blame(&v, &limit->rule, limit->entity, c, max_of(limit), 0, now, true);
        if (limit->rule.action == RULE_NOTIFY && is_over && !c->notified && notify)
            notify(ctx, &v);
        if (limit->rule.action == RULE_NOTIFY)
            c->notified = is_over;
        if (limit->rule.action != RULE_LOCK || !is_over || result == LIMITER_REFUSED)
            continue;
        *verdict = v;
        result = LIMITER_REFUSED;
    }
    return result;
}

/* Ends every hold; `at` is when its amount counts as used, for those that are kept. */
static void end_holds(struct limiter *l, struct limiter_reservation *r, stamp at,
                      bool is_committed)
{
    for (uint32_t i = 0; i < r->count; i++) {
        struct limiter_hold *h = &r->holds[i];
        struct counter *c = &h->entity->counters[h->counter];
        bool later = is_settled_later(&h->rule);
        if (paces(&h->rule)) {
            if (!is_committed || !h->is_settled)
                leave_turn(h, c);
            h->entity->holds--;
            continue;
        }
        /* Rules on one counter of which one locks and one defers count its use once. */
        bool is_shared = later && hold_of(r, h->entity, h->counter, false, 0);
        bool is_placed = h->placed > 0;
        INVARIANT(!is_committed || !h->waits || is_placed);
        if (is_placed && !is_committed)
            wait_remove(c, h->placed, h->amount);
        if ((is_committed ? !is_placed : h->rule.attempts) && !is_shared)
            INVARIANT(counter_use(c, at, h->amount) == 0 || !is_committed);
        if (later && h->is_settled)
            c->settling -= h->amount;
        if (!later && !h->waits)
            c->held -= h->amount;
        h->entity->holds--;
    }
    holds_give(l, r);
}

void limiter_each_hold(const struct limiter_reservation *r,
                       void (*fn)(void *ctx, const struct rule *rule, uint64_t amount,
                                  bool waits),
                       void *ctx)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct limiter_hold *h = &r->holds[i];
        bool waits = h->waits || (paces(&h->rule) && r->not_before > 0);
        fn(ctx, &h->rule, h->amount, waits);
    }
}

void limiter_commit(struct limiter *l, struct limiter_reservation *r, stamp at)
{
    limiter_advance(l, at);
    end_holds(l, r, at, true);
}

void limiter_release(struct limiter *l, struct limiter_reservation *r, stamp at)
{
    end_holds(l, r, limiter_advance(l, at), false);
}

void limiter_ask(struct limiter *l, const struct limit *limit, uint64_t asked, stamp at,
                 struct limit_verdict *verdict)
{
    stamp now = limiter_advance(l, at);
    struct counter none = {.unit = (uint8_t)limit->rule.unit,
                           .length = limit->rule.window,
                           .is_pace = paces(&limit->rule)};
    struct counter *c = limiter_known(l, limit);
    if (!c) {
        c = &none;
    } else if (c->length == RULE_PERIOD) {
        none = *c; /* asking changes nothing */
        c = &none;
    }
    counter_bind(c, limit, now);
    if (paces(&limit->rule)) {
        stamp free_at = now;
        (void)!pace_fits(c, &limit->rule, now, &free_at);
        blame_pace(verdict, limit, c, asked, now, free_at, true);
        return;
    }
    if (limit->is_closed)
        blame_plan(verdict, limit, c, asked, now, true);
    else
        blame(verdict, &limit->rule, limit->entity, c, max_of(limit), asked, now, true);
    if (fits(verdict->used, asked, verdict->max))
        verdict->free_at = now;
    if (c->line && c->line->count > 0)
        verdict->paced_until = c->line->of[c->line->count - 1].at;
}
