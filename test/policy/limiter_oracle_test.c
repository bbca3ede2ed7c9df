/* limiter: against an oracle that keeps every event, over random rules and transactions: slow
 * ones, aborts, refusals that count, windows and periods of plans, customers over accounts,
 * rules that lock and rules that pace; restarts, crashes with replay of what the snapshot does
 * not have, clocks that step back, rules that change. Never one unit over; no refusal that the
 * oracle would not give with windows longer by one cell; the moment that a refusal names holds
 * to the microsecond. */
#include "policy/limiter.h"

#include "policy/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <stdlib.h>

enum {
    STEPS = 1200000,
    STEPS_PER_WORLD = 4000,
    ACCOUNTS = 4,
    CUSTOMERS = 2,
    RULES_MAX = 6,
    OPEN_MAX = 6,
    EVENTS_MAX = 1 << 13,
    LOG_MAX = STEPS_PER_WORLD + 1,
};

static const stamp START = 1790000000 * SPAN_SECOND;
static const span PERIOD = 7 * SPAN_HOUR;
static const uint64_t seed[2] = {1, 2};

static const span windows[] = {SPAN_SECOND, SPAN_MINUTE,   5 * SPAN_MINUTE, SPAN_HOUR,
                               SPAN_DAY,    31 * SPAN_DAY, RULE_PERIOD};
enum { WINDOWS = COUNT_OF(windows), KEYS = 2 * 2 * WINDOWS };

static uint64_t random_state = 42;
static uint64_t next_random(uint64_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % below;
}

/* Events of one counter, and two sums over the last w and the last w + one cell. */
struct history {
    struct event {
        stamp at;
        uint64_t amount;
        uint64_t accepted;
    } events[EVENTS_MAX];
    uint32_t end, exact, longer; /* indexes: behind the last, first in each window */
    uint64_t exact_sum, exact_accepted, longer_sum;
    uint64_t held;
    uint64_t settling;
};

/* What a transaction holds of a key. */
struct holding {
    uint64_t amount;
    uint64_t max;
    bool is_held;
    bool attempts;
    bool locks;
    bool is_settled;
};

struct record {
    uint64_t account;
    struct amounts amounts;
    stamp at;
    bool is_attempt;
};

struct world {
    struct {
        struct rule rule;
        size_t key;
    } rules[RULES_MAX];
    size_t count;
    bool has_pace;
    struct rule pace;
    struct history *of[KEYS][ACCOUNTS]; /* by account, or by customer */
    stamp turns[ACCOUNTS];              /* of pace */
    uint64_t turns_held[ACCOUNTS];
    struct limiter *limiter;
    stamp now;
    struct open {
        struct limiter_reservation r;
        uint64_t account;
        struct amounts total;
        struct holding of[KEYS];
        uint64_t paced;
        stamp turn[2];
        bool has_turn;
        bool is_open;
    } open[OPEN_MAX];
    struct buf saved; /* a snapshot, */
    struct record log[LOG_MAX];
    size_t logged; /* and what came behind it */
};

static unsigned long accepted, refused, locked, paced, crashes, changes, kept;

static span length_of(size_t key)
{
    return windows[key % WINDOWS];
}

static enum rule_unit unit_of(size_t key)
{
    return key / WINDOWS % 2 ? RULE_RECIPIENTS : RULE_MESSAGES;
}

static bool is_of_customer(size_t key)
{
    return key / WINDOWS / 2 != 0;
}

static uint64_t entity_of(size_t key, uint64_t account)
{
    return is_of_customer(key) ? account % CUSTOMERS : account;
}

static struct history *history_of(struct world *w, size_t key, uint64_t account)
{
    struct history **h = &w->of[key][entity_of(key, account)];
    if (!*h)
        *h = calloc(1, sizeof(**h));
    return *h;
}

static void add_event(struct history *h, stamp at, uint64_t amount, uint64_t of_it_accepted)
{
    if (amount == 0)
        return;
    assert_true(h->end < EVENTS_MAX);
    h->events[h->end++] = (struct event){at, amount, of_it_accepted};
    h->exact_sum += amount;
    h->exact_accepted += of_it_accepted;
    h->longer_sum += amount;
}

static stamp period_begin(stamp now)
{
    return START + (now - START) / PERIOD * PERIOD;
}

static void forget(struct history *h, span length, stamp now)
{
    span cell = length / WINDOW_CELLS ? length / WINDOW_CELLS : 1;
    stamp exact = now - length + 1;
    stamp longer = now - length - cell + 1;
    if (length == RULE_PERIOD)
        exact = longer = period_begin(now);
    for (; h->exact < h->end && h->events[h->exact].at < exact; h->exact++) {
        h->exact_sum -= h->events[h->exact].amount;
        h->exact_accepted -= h->events[h->exact].accepted;
    }
    for (; h->longer < h->end && h->events[h->longer].at < longer; h->longer++)
        h->longer_sum -= h->events[h->longer].amount;
}

/* ---- rules ---- */

static struct rule random_rule(size_t key)
{
    return (struct rule){.scope = is_of_customer(key) ? RULE_CUSTOMER : RULE_ACCOUNT,
                         .unit = unit_of(key),
                         .max = 1 + next_random(200),
                         .window = length_of(key),
                         .attempts = next_random(3) == 0,
                         .action = next_random(6) == 0 ? RULE_LOCK : RULE_DEFER};
}

static void add_rule(struct world *w)
{
    size_t key = next_random(KEYS);
    for (size_t i = 0; i < w->count; i++) {
        if (w->rules[i].key == key) /* an account's own replaces the preset's: never both */
            return;
    }
    /* Who had such a rule before has that part of its history that was counted then. */
    w->rules[w->count].key = key;
    w->rules[w->count++].rule = random_rule(key);
}

static void save(struct world *w)
{
    buf_clear(&w->saved);
    limiter_save(w->limiter, &w->saved);
    w->logged = 0;
}

static void change_rules(struct world *w)
{
    changes++;
    size_t i = next_random(w->count);
    switch (next_random(4)) {
    case 0:
        if (w->count < RULES_MAX)
            add_rule(w);
        break;
    case 1:
        if (w->count > 1)
            w->rules[i] = w->rules[--w->count];
        break;
    case 2:
        w->rules[i].rule.max = 1 + next_random(200);
        break;
    default:
        w->rules[i].rule.attempts = !w->rules[i].rule.attempts;
        break;
    }
    save(w); /* what is read again is counted by the rules of then */
}

static size_t limits_of(const struct world *w, uint64_t account, stamp at,
                        struct limit out[RULES_MAX + 1])
{
    for (size_t i = 0; i < w->count; i++) {
        out[i] = (struct limit){.rule = w->rules[i].rule,
                                .entity = entity_of(w->rules[i].key, account)};
        if (out[i].rule.window == RULE_PERIOD) {
            out[i].period_start = period_begin(at);
            out[i].period_end = out[i].period_start + PERIOD;
        }
    }
    if (w->has_pace)
        out[w->count] = (struct limit){.rule = w->pace, .entity = account};
    return w->count + w->has_pace;
}

static void new_world(struct world *w)
{
    w->limiter = limiter_new(seed);
    w->now = START;
    while (w->count < 1 + next_random(RULES_MAX - 1))
        add_rule(w);
    w->has_pace = next_random(3) == 0;
    w->pace = (struct rule){.scope = RULE_ACCOUNT,
                            .unit = RULE_RECIPIENTS,
                            .max = 1 + next_random(50),
                            .window = windows[next_random(4)],
                            .action = RULE_PACE};
    save(w);
}

/* ---- transactions ---- */

static void log_record(struct world *w, uint64_t account, const struct amounts *amounts,
                       bool is_attempt)
{
    assert_true(w->logged < LOG_MAX);
    w->log[w->logged++] = (struct record){account, *amounts, w->now, is_attempt};
}

static void drop_holdings(struct world *w, struct open *o, bool keep, bool is_committed)
{
    for (size_t key = 0; key < KEYS; key++) {
        struct holding *x = &o->of[key];
        if (!x->is_held)
            continue;
        struct history *h = history_of(w, key, o->account);
        if (x->is_settled)
            h->settling -= x->amount;
        if (!x->locks)
            h->held -= x->amount;
        if (keep && (is_committed || x->attempts))
            add_event(h, w->now, x->amount, is_committed ? x->amount : 0);
    }
    if (!o->has_turn)
        w->turns_held[o->account] -= o->paced;
    else if (!is_committed && keep && w->turns[o->account] == o->turn[1])
        w->turns[o->account] = o->turn[0];
}

static void close_transaction(struct open *o)
{
    o->is_open = false;
    o->total = (struct amounts){0};
    memset(o->of, 0, sizeof(o->of));
    o->paced = 0;
    o->has_turn = false;
}

static void abort_transaction(struct world *w, struct open *o)
{
    bool any = false;
    for (size_t key = 0; key < KEYS; key++)
        any |= o->of[key].is_held && o->of[key].attempts;
    if (any)
        save(w); /* as if its record of attempts were in the snapshot: made below */
    drop_holdings(w, o, true, false);
    limiter_release(w->limiter, &o->r, w->now);
    if (any)
        save(w);
    close_transaction(o);
}

static bool settle(struct world *w, struct open *o)
{
    struct limit_verdict v;
    bool fits = true;
    bool with_longer = false;
    for (size_t key = 0; key < KEYS; key++) {
        struct holding *x = &o->of[key];
        if (!x->is_held || !x->locks)
            continue;
        struct history *h = history_of(w, key, o->account);
        forget(h, length_of(key), w->now);
        fits &= h->exact_sum + h->settling + x->amount <= x->max;
        with_longer |= h->longer_sum + h->settling + x->amount > x->max;
    }
    enum limiter_result got = limiter_settle(w->limiter, &o->r, w->now, NULL, NULL, &v);
    if (got == LIMITER_REFUSED) {
        assert_true(with_longer);
        locked++;
        return false;
    }
    assert_int_equal(got, LIMITER_OK);
    assert_true(fits);
    for (size_t key = 0; key < KEYS; key++) {
        struct holding *x = &o->of[key];
        if (x->is_held && x->locks) {
            x->is_settled = true;
            history_of(w, key, o->account)->settling += x->amount;
        }
    }
    if (o->paced > 0) {
        stamp *turn = &w->turns[o->account];
        span each = w->pace.window;
        o->turn[0] = *turn > w->now ? *turn : w->now;
        o->turn[1] =
            o->turn[0] + (span)((o->paced * (uint64_t)each + w->pace.max - 1) / w->pace.max);
        *turn = o->turn[1];
        o->has_turn = true;
        w->turns_held[o->account] -= o->paced;
        assert_int_equal(o->r.not_before, o->turn[0] > w->now ? o->turn[0] : 0);
        paced++;
    }
    return true;
}

static void commit_transaction(struct world *w, struct open *o)
{
    if (!settle(w, o)) {
        abort_transaction(w, o);
        return;
    }
    if (next_random(20) == 0) { /* the disk was full */
        abort_transaction(w, o);
        return;
    }
    kept++;
    log_record(w, o->account, &o->total, false);
    drop_holdings(w, o, true, true);
    limiter_commit(w->limiter, &o->r, w->now);
    close_transaction(o);
}

static void end_world(struct world *w)
{
    for (size_t i = 0; i < OPEN_MAX; i++) {
        if (w->open[i].is_open)
            abort_transaction(w, &w->open[i]);
    }
    for (size_t key = 0; key < KEYS; key++) {
        for (size_t a = 0; a < ACCOUNTS; a++)
            free(w->of[key][a]);
    }
    buf_fini(&w->saved);
    limiter_free(&w->limiter);
}

static void replay(struct world *w, const struct record *r)
{
    struct limit limits[RULES_MAX + 1];
    size_t all = limits_of(w, r->account, r->at, limits);
    size_t count = 0;
    for (size_t i = 0; i < all; i++) {
        bool is_counted = r->is_attempt ? limits[i].rule.attempts : true;
        if (is_counted)
            limits[count++] = limits[i];
    }
    assert_int_equal(limiter_replay(w->limiter, limits, count, &r->amounts, r->at), 0);
}

/* Everything that was held is lost; what was committed is read from the snapshot, which may be
 * old, and from what came behind it. */
static void crash(struct world *w, bool with_old_snapshot)
{
    crashes++;
    if (!with_old_snapshot)
        save(w);
    for (size_t i = 0; i < OPEN_MAX; i++) {
        struct open *o = &w->open[i];
        if (!o->is_open)
            continue;
        drop_holdings(w, o, false, false);
        limiter_release(w->limiter, &o->r, w->now);
        close_transaction(o);
    }
    limiter_free(&w->limiter);
    w->limiter = limiter_new(seed);
    assert_int_equal(limiter_load(w->limiter, buf_slice(&w->saved)), 0);
    for (size_t i = 0; i < w->logged; i++)
        replay(w, &w->log[i]);
}

/* ---- reserving ---- */

static void check_moment(struct world *w, const struct open *o, const struct amounts *asked,
                         const struct limit_verdict *v)
{
    struct buf saved = BUF_INIT;
    limiter_save(w->limiter, &saved);
    for (int late = 0; late < 2; late++) {
        struct limit limits[RULES_MAX + 1];
        struct limiter *copy = limiter_new(seed);
        struct limiter_reservation r = {0};
        struct limit_verdict again;
        stamp at = v->free_at - !late;
        size_t count = limits_of(w, o->account, at, limits);
        assert_int_equal(limiter_load(copy, buf_slice(&saved)), 0);
        enum limiter_result result =
            limiter_reserve(copy, &r, limits, count, asked, at, &again);
        assert_int_equal(result, late ? LIMITER_OK : LIMITER_REFUSED);
        limiter_release(copy, &r, v->free_at);
        limiter_free(&copy);
    }
    buf_fini(&saved);
}

static bool has_turn_left(const struct world *w, uint64_t account)
{
    span longest = w->pace.window > SPAN_DAY ? w->pace.window : SPAN_DAY;
    stamp start = w->turns[account] > w->now ? w->turns[account] : w->now;
    start += (span)((w->turns_held[account] * (uint64_t)w->pace.window + w->pace.max - 1) /
                    w->pace.max);
    return start - w->now <= longest;
}

static void check_refusal(struct world *w, struct open *o, const struct amounts *asked,
                          const struct limit_verdict *v)
{
    bool with_longer = w->has_pace && !has_turn_left(w, o->account);
    bool nothing_held = w->turns_held[o->account] == 0;
    for (size_t i = 0; i < w->count; i++) {
        struct history *h = history_of(w, w->rules[i].key, o->account);
        const struct rule *r = &w->rules[i].rule;
        uint64_t amount = asked->of[r->unit];
        if (r->action == RULE_DEFER)
            with_longer |= amount && h->longer_sum + h->held + amount > r->max;
        nothing_held &= h->held == 0;
    }
    assert_true(with_longer);
    if (v->rule.action != RULE_PACE)
        assert_true(v->never_fits == (v->asked > v->max));
    if (nothing_held && v->free_at != STAMP_NEVER && next_random(8) == 0)
        check_moment(w, o, asked, v);
}

static void take(struct world *w, struct open *o, const struct amounts *asked)
{
    for (size_t i = 0; i < w->count; i++) {
        size_t key = w->rules[i].key;
        const struct rule *r = &w->rules[i].rule;
        struct history *h = history_of(w, key, o->account);
        struct holding *x = &o->of[key];
        uint64_t amount = asked->of[r->unit];
        if (!x->is_held || r->max < x->max) { /* the strictest is kept */
            x->max = r->max;
            x->attempts = r->attempts;
        }
        x->locks = r->action == RULE_LOCK;
        x->is_held = true;
        x->amount += amount;
        if (x->locks)
            continue;
        h->held += amount;
        if (amount > 0)
            assert_true(h->exact_accepted + h->held <= r->max);
    }
    if (w->has_pace) {
        o->paced += asked->of[RULE_RECIPIENTS];
        w->turns_held[o->account] += asked->of[RULE_RECIPIENTS];
    }
    o->total.of[RULE_RECIPIENTS] += asked->of[RULE_RECIPIENTS];
    o->total.of[RULE_MESSAGES] += asked->of[RULE_MESSAGES];
}

static void reserve(struct world *w, struct open *o)
{
    struct amounts asked = {0};
    struct limit limits[RULES_MAX + 1];
    struct limit_verdict v;
    asked.of[RULE_RECIPIENTS] = 1 + (next_random(20) == 0 ? next_random(150) : next_random(3));
    asked.of[RULE_MESSAGES] = o->total.of[RULE_MESSAGES] == 0;
    size_t count = limits_of(w, o->account, w->now, limits);
    bool fits = !w->has_pace || has_turn_left(w, o->account);
    for (size_t i = 0; i < w->count; i++) {
        const struct rule *r = &w->rules[i].rule;
        struct history *h = history_of(w, w->rules[i].key, o->account);
        forget(h, r->window, w->now);
        uint64_t amount = asked.of[r->unit];
        if (r->action == RULE_DEFER)
            fits &= !amount || h->exact_sum + h->held + amount <= r->max;
    }
    /* A clock that was set back is not believed. */
    stamp shown = next_random(50) ? w->now : w->now - (span)next_random(SPAN_HOUR);
    limiter_sweep(w->limiter, w->now, 0);
    enum limiter_result result =
        limiter_reserve(w->limiter, &o->r, limits, count, &asked, shown, &v);
    if (result == LIMITER_OK) {
        assert_true(fits); /* never one over */
        take(w, o, &asked);
        accepted++;
        return;
    }
    assert_int_equal(result, LIMITER_REFUSED);
    refused++;
    for (size_t i = 0; i < w->count; i++) {
        const struct rule *r = &w->rules[i].rule;
        if (r->attempts)
            add_event(history_of(w, w->rules[i].key, o->account), w->now, asked.of[r->unit], 0);
    }
    log_record(w, o->account, &asked, true);
    check_refusal(w, o, &asked, &v);
}

static void step(struct world *w)
{
    static const span steps[] = {1, SPAN_MS, SPAN_SECOND, 20 * SPAN_SECOND, SPAN_HOUR};
    uint64_t what = next_random(1000);
    struct open *o = &w->open[next_random(OPEN_MAX)];
    if (what < 300) {
        w->now += (span)next_random((uint64_t)steps[next_random(COUNT_OF(steps))] + 1);
    } else if (what < 303) {
        crash(w, what != 300);
    } else if (what < 306) {
        save(w);
    } else if (what < 312) {
        limiter_sweep(w->limiter, w->now, 3);
    } else if (what < 314) {
        /* Between messages: what a running one holds was reserved under the rules of then. */
        for (size_t i = 0; i < OPEN_MAX; i++) {
            if (w->open[i].is_open)
                abort_transaction(w, &w->open[i]);
        }
        change_rules(w);
    } else if (!o->is_open) {
        o->is_open = true;
        o->account = next_random(ACCOUNTS);
        reserve(w, o);
    } else if (what < 650) {
        reserve(w, o);
    } else if (what < 900) {
        commit_transaction(w, o);
    } else {
        abort_transaction(w, o);
    }
}

static void against_an_oracle(void **state)
{
    (void)state;
    struct world *w = calloc(1, sizeof(*w));
    for (int i = 0; i < STEPS; i++) {
        if (i % STEPS_PER_WORLD == 0) {
            if (i > 0)
                end_world(w);
            memset(w, 0, sizeof(*w));
            new_world(w);
        }
        step(w);
    }
    end_world(w);
    free(w);
    printf(
        "limiter: %d steps, %lu reserved, %lu refused, %lu committed, %lu paced, %lu locked, "
        "%lu crashes, %lu changes of rules\n",
        STEPS, accepted, refused, kept, paced, locked, crashes, changes);
    assert_true(accepted > 100000 && refused > 50000 && kept > 50000 && paced > 10000 &&
                locked > 1000 && crashes > 1000 && changes > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_an_oracle)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
