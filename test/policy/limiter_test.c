/* limiter: against an oracle that keeps every event, over random rules, transactions, aborts,
 * slow commits, restarts and clock steps. Never one unit over; no refusal that the oracle would
 * not give with windows longer by one cell. */
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
    RULES_MAX = 5,
    OPEN_MAX = 6,
    EVENTS_MAX = 1 << 16,
};

static const stamp START = 1790000000 * SPAN_SECOND;
static const uint64_t seed[2] = {1, 2};

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
};

struct world {
    struct limit limits[RULES_MAX]; /* scope and rule; entity is set per transaction */
    size_t count;
    struct history *of[RULES_MAX][ACCOUNTS]; /* by account, or by customer */
    struct limiter *limiter;
    stamp now;
    struct open {
        struct limiter_reservation r;
        uint64_t account;
        struct amounts total;
        bool is_open;
    } open[OPEN_MAX];
};

static uint64_t entity_of(const struct limit *l, uint64_t account)
{
    return l->rule.scope == RULE_CUSTOMER ? account % CUSTOMERS : account;
}

static struct history *history_of(struct world *w, size_t rule, uint64_t account)
{
    return w->of[rule][entity_of(&w->limits[rule], account)];
}

static void add_event(struct history *h, stamp at, uint64_t amount, uint64_t accepted)
{
    if (amount == 0)
        return;
    assert_true(h->end < EVENTS_MAX);
    h->events[h->end++] = (struct event){at, amount, accepted};
    h->exact_sum += amount;
    h->exact_accepted += accepted;
    h->longer_sum += amount;
}

static void forget(struct history *h, span length, stamp now)
{
    span cell = length / WINDOW_CELLS ? length / WINDOW_CELLS : 1;
    for (; h->exact < h->end && h->events[h->exact].at + length <= now; h->exact++) {
        h->exact_sum -= h->events[h->exact].amount;
        h->exact_accepted -= h->events[h->exact].accepted;
    }
    for (; h->longer < h->end && h->events[h->longer].at + length + cell <= now; h->longer++)
        h->longer_sum -= h->events[h->longer].amount;
}

static void new_world(struct world *w)
{
    static const span windows[] = {SPAN_SECOND, SPAN_MINUTE, 5 * SPAN_MINUTE,
                                   SPAN_HOUR,   SPAN_DAY,    31 * SPAN_DAY};
    w->limiter = limiter_new(seed);
    w->now = START;
    w->count = 1 + next_random(RULES_MAX);
    for (size_t i = 0; i < w->count; i++) {
        struct rule r = {.scope = next_random(3) ? RULE_ACCOUNT : RULE_CUSTOMER,
                         .unit = next_random(2) ? RULE_RECIPIENTS : RULE_MESSAGES,
                         .max = 1 + next_random(200),
                         .window = windows[next_random(COUNT_OF(windows))],
                         .attempts = next_random(3) == 0,
                         .action = RULE_DEFER};
        bool repeated = false;
        for (size_t j = 0; j < i; j++)
            repeated |= rule_replaces(&r, &w->limits[j].rule);
        if (repeated) { /* an account's own rule replaces the preset's: never both */
            w->count = i;
            break;
        }
        w->limits[i] = (struct limit){.rule = r};
        for (size_t a = 0; a < ACCOUNTS; a++)
            w->of[i][a] = calloc(1, sizeof(struct history));
    }
}

static void end_transaction(struct world *w, struct open *o, bool commit)
{
    for (size_t i = 0; i < w->count; i++) {
        struct history *h = history_of(w, i, o->account);
        uint64_t amount = o->total.of[w->limits[i].rule.unit];
        h->held -= amount;
        if (commit || w->limits[i].rule.attempts)
            add_event(h, w->now, amount, commit ? amount : 0);
    }
    if (commit)
        limiter_commit(w->limiter, &o->r, w->now);
    else
        limiter_release(w->limiter, &o->r, w->now);
    o->is_open = false;
    o->total = (struct amounts){0};
}

static void end_world(struct world *w)
{
    for (size_t i = 0; i < OPEN_MAX; i++) {
        if (w->open[i].is_open)
            end_transaction(w, &w->open[i], false);
    }
    for (size_t i = 0; i < w->count; i++) {
        for (size_t a = 0; a < ACCOUNTS; a++)
            free(w->of[i][a]);
    }
    limiter_free(&w->limiter);
}

/* Everything that was held is lost, as after a crash; what was committed is not. */
static void restart(struct world *w)
{
    struct buf saved = BUF_INIT;
    limiter_save(w->limiter, &saved);
    for (size_t i = 0; i < OPEN_MAX; i++) {
        struct open *o = &w->open[i];
        if (!o->is_open)
            continue;
        for (size_t r = 0; r < w->count; r++)
            history_of(w, r, o->account)->held -= o->total.of[w->limits[r].rule.unit];
        limiter_release(w->limiter, &o->r, w->now);
        *o = (struct open){0};
    }
    limiter_free(&w->limiter);
    w->limiter = limiter_new(seed);
    assert_int_equal(limiter_load(w->limiter, buf_slice(&saved)), 0);
    buf_fini(&saved);
}

static void limits_of(const struct world *w, uint64_t account, struct limit out[RULES_MAX])
{
    for (size_t i = 0; i < w->count; i++) {
        out[i] = w->limits[i];
        out[i].entity = entity_of(&w->limits[i], account);
    }
}

static void check_refusal(struct world *w, const struct limit *limits,
                          const struct amounts *asked, uint64_t account,
                          const struct limit_verdict *v)
{
    bool with_longer = false;
    bool nothing_held = true;
    for (size_t i = 0; i < w->count; i++) {
        struct history *h = history_of(w, i, account);
        uint64_t amount = asked->of[limits[i].rule.unit];
        with_longer |= amount && h->longer_sum + h->held + amount > limits[i].rule.max;
        nothing_held &= h->held == 0;
    }
    assert_true(with_longer);
    assert_true(v->never_fits == (v->asked > v->max));
    /* The moment that it names holds to the microsecond, when nothing else happens: on a copy.
     */
    if (!nothing_held || v->free_at == STAMP_NEVER || next_random(8) != 0)
        return;
    struct buf saved = BUF_INIT;
    limiter_save(w->limiter, &saved);
    for (int late = 0; late < 2; late++) {
        struct limiter *copy = limiter_new(seed);
        struct limiter_reservation r = {0};
        struct limit_verdict again;
        assert_int_equal(limiter_load(copy, buf_slice(&saved)), 0);
        enum limiter_result result =
            limiter_reserve(copy, &r, limits, w->count, asked, v->free_at - !late, &again);
        assert_int_equal(result, late ? LIMITER_OK : LIMITER_REFUSED);
        limiter_release(copy, &r, v->free_at);
        limiter_free(&copy);
    }
    buf_fini(&saved);
}

static void reserve(struct world *w, struct open *o, unsigned long *accepted,
                    unsigned long *refused)
{
    struct amounts asked = {0};
    struct limit limits[RULES_MAX];
    struct limit_verdict v;
    bool is_first = o->r.count == 0;
    asked.of[RULE_RECIPIENTS] = 1 + (next_random(20) == 0 ? next_random(150) : next_random(3));
    asked.of[RULE_MESSAGES] = is_first;
    limits_of(w, o->account, limits);
    bool fits = true;
    for (size_t i = 0; i < w->count; i++) {
        struct history *h = history_of(w, i, o->account);
        forget(h, limits[i].rule.window, w->now);
        uint64_t amount = asked.of[limits[i].rule.unit];
        fits &= !amount || h->exact_sum + h->held + amount <= limits[i].rule.max;
    }
    enum limiter_result result =
        limiter_reserve(w->limiter, &o->r, limits, w->count, &asked, w->now, &v);
    if (result == LIMITER_OK) {
        assert_true(fits); /* never one over */
        for (size_t i = 0; i < w->count; i++) {
            struct history *h = history_of(w, i, o->account);
            h->held += asked.of[limits[i].rule.unit];
            assert_true(h->exact_accepted + h->held <= limits[i].rule.max);
        }
        o->total.of[RULE_RECIPIENTS] += asked.of[RULE_RECIPIENTS];
        o->total.of[RULE_MESSAGES] += asked.of[RULE_MESSAGES];
        ++*accepted;
        return;
    }
    assert_int_equal(result, LIMITER_REFUSED);
    ++*refused;
    for (size_t i = 0; i < w->count; i++) {
        if (limits[i].rule.attempts)
            add_event(history_of(w, i, o->account), w->now, asked.of[limits[i].rule.unit], 0);
    }
    check_refusal(w, limits, &asked, o->account, &v);
}

static void step(struct world *w, unsigned long *accepted, unsigned long *refused)
{
    static const span steps[] = {1, SPAN_MS, SPAN_SECOND, 20 * SPAN_SECOND, SPAN_HOUR};
    uint64_t what = next_random(1000);
    struct open *o = &w->open[next_random(OPEN_MAX)];
    if (what < 300) {
        w->now += (span)next_random((uint64_t)steps[next_random(COUNT_OF(steps))] + 1);
    } else if (what < 302) {
        restart(w);
    } else if (what < 310) {
        limiter_sweep(w->limiter, w->now, 3);
    } else if (!o->is_open) {
        o->is_open = true;
        o->account = next_random(ACCOUNTS);
        reserve(w, o, accepted, refused);
    } else if (what < 650) {
        reserve(w, o, accepted, refused);
    } else {
        end_transaction(w, o, what < 900);
    }
}

static void against_an_oracle(void **state)
{
    (void)state;
    static struct world w;
    unsigned long accepted = 0;
    unsigned long refused = 0;
    for (int i = 0; i < STEPS; i++) {
        if (i % STEPS_PER_WORLD == 0) {
            if (i > 0)
                end_world(&w);
            w = (struct world){0};
            new_world(&w);
        }
        step(&w, &accepted, &refused);
    }
    end_world(&w);
    printf("limiter: %d steps, %lu reserved, %lu refused\n", STEPS, accepted, refused);
    assert_true(accepted > 100000 && refused > 50000);
}

static struct limit limit_of(const char *line)
{
    struct limit l = {.entity = 7};
    const char *error;
    slice word;
    assert_true(rule_parse(slice_of(line), &l.rule, &error, &word));
    return l;
}

static void the_501st_locks(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(seed);
    struct limit lock = limit_of("account messages 500/30m lock");
    struct amounts one = {{[RULE_MESSAGES] = 1}};
    struct limit_verdict v = {0};
    for (int i = 0; i < 501; i++) {
        struct limiter_reservation r = {0};
        assert_int_equal(limiter_reserve(l, &r, &lock, 1, &one, START + i, &v), LIMITER_OK);
        enum limiter_result settled = limiter_settle(l, &r, START + i, NULL, NULL, &v);
        assert_int_equal(settled, i < 500 ? LIMITER_OK : LIMITER_REFUSED);
        if (i < 500)
            limiter_commit(l, &r, START + i);
        else
            limiter_release(l, &r, START + i);
    }
    assert_int_equal(v.used, 500);
    assert_int_equal(v.rule.action, RULE_LOCK);
    limiter_free(&l);
}

static void half_of_a_message_fits(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(seed);
    struct limit limits[] = {limit_of("message recipients 100 defer"),
                             limit_of("account recipients 50/1m attempts defer")};
    struct amounts one = {{[RULE_RECIPIENTS] = 1}};
    struct limiter_reservation r = {0};
    struct limit_verdict v = {0};
    for (int i = 0; i < 60; i++) {
        enum limiter_result got = limiter_reserve(l, &r, limits, 2, &one, START, &v);
        assert_int_equal(got, i < 50 ? LIMITER_OK : LIMITER_REFUSED);
    }
    assert_int_equal(v.used, 60);
    limiter_commit(l, &r, START);
    /* Ten refused attempts count: ten less are free than the fifty that lapse together. */
    stamp later = v.free_at;
    assert_int_equal(limiter_reserve(l, &r, limits, 2, &one, later, &v), LIMITER_OK);
    limiter_release(l, &r, later);
    limiter_free(&l);
}

static void bytes_are_trued_up(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(seed);
    struct limit plan = limit_of("account bytes 90MB/month suspend");
    plan.period_start = START;
    plan.period_end = START + SPAN_DAY;
    struct amounts least = {{[RULE_BYTES] = 10000}};
    struct limiter_reservation r = {0};
    struct limit_verdict v = {0};
    assert_int_equal(limiter_reserve(l, &r, &plan, 1, &least, START, &v), LIMITER_OK);
    assert_int_equal(limiter_true_up(l, &r, RULE_BYTES, 90000001, START, &v), LIMITER_REFUSED);
    assert_true(v.never_fits);
    assert_int_equal(limiter_true_up(l, &r, RULE_BYTES, 90000000, START, &v), LIMITER_OK);
    limiter_commit(l, &r, START + 5);
    assert_int_equal(limiter_reserve(l, &r, &plan, 1, &least, START + 6, &v), LIMITER_REFUSED);
    assert_int_equal(v.free_at, START + SPAN_DAY);
    plan.credit = 10000;
    assert_int_equal(limiter_reserve(l, &r, &plan, 1, &least, START + 7, &v), LIMITER_OK);
    limiter_release(l, &r, START + 7);
    plan.credit = 0;
    plan.period_start = START + SPAN_DAY;
    assert_int_equal(limiter_reserve(l, &r, &plan, 1, &least, START + SPAN_DAY, &v),
                     LIMITER_OK);
    limiter_release(l, &r, START + SPAN_DAY);
    limiter_free(&l);
}

static enum limiter_result take(struct limiter *l, const struct limit *plan, uint64_t bytes,
                                stamp at, stamp committed, struct limit_verdict *v)
{
    struct amounts asked = {{[RULE_BYTES] = bytes}};
    struct limiter_reservation r = {0};
    enum limiter_result got = limiter_reserve(l, &r, plan, 1, &asked, at, v);
    if (got == LIMITER_OK)
        limiter_commit(l, &r, committed);
    else
        limiter_release(l, &r, at);
    return got;
}

/* As relays by volume are sold: each mail is charged 10,000 octets at least. */
static void plans_hold_what_is_sold(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        uint64_t each;
        unsigned mails;
    } plans[] = {
        {"account bytes 90MB/month suspend", 90000000, 1},
        {"account bytes 90MB/month suspend", 10000, 9000},
        {"account bytes 500MB/month suspend", 10000, 50000},
        {"account bytes 500MB/month suspend", 250000, 2000},
        {"account recipients 9000/month suspend", 1, 9000},
    };
    for (size_t i = 0; i < COUNT_OF(plans); i++) {
        struct limiter *l = limiter_new(seed);
        struct limit plan = limit_of(plans[i].rule);
        struct amounts asked = {{[RULE_BYTES] = plans[i].each, [RULE_RECIPIENTS] = 1}};
        struct limiter_reservation r = {0};
        struct limit_verdict v;
        plan.period_start = START;
        plan.period_end = START + 30 * SPAN_DAY;
        for (unsigned n = 0; n < plans[i].mails; n++) {
            assert_int_equal(limiter_reserve(l, &r, &plan, 1, &asked, START + n, &v),
                             LIMITER_OK);
            limiter_commit(l, &r, START + n);
        }
        stamp last = plan.period_end - 1;
        asked.of[RULE_BYTES] = 1;
        assert_int_equal(limiter_reserve(l, &r, &plan, 1, &asked, last, &v), LIMITER_REFUSED);
        assert_int_equal(v.free_at, plan.period_end);
        limiter_release(l, &r, last);
        limiter_free(&l);
    }
}

/* Held over the border, counted in the period of its stamp; a reset, a plan that ends. */
static void periods_follow_each_other(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(seed);
    struct limit plan = limit_of("account bytes 90KB/month suspend");
    struct limit_verdict v = {0};
    stamp border = START + SPAN_DAY;
    plan.period_start = START;
    plan.period_end = border;
    assert_int_equal(take(l, &plan, 40000, START, START, &v), LIMITER_OK);
    assert_int_equal(take(l, &plan, 50000, border - 1, border + 5, &v), LIMITER_OK);
    /* Nobody has said what the next period is, and it counts already. */
    plan.period_start = border;
    plan.period_end = border + SPAN_DAY;
    assert_int_equal(take(l, &plan, 40001, border + 6, border + 6, &v), LIMITER_REFUSED);
    assert_int_equal(v.used, 50000);
    assert_int_equal(v.free_at, border + SPAN_DAY);
    assert_int_equal(take(l, &plan, 40000, border + 7, border + 7, &v), LIMITER_OK);
    plan.period_reset = border + 8;
    assert_int_equal(take(l, &plan, 90000, border + 9, border + 9, &v), LIMITER_OK);
    assert_int_equal(take(l, &plan, 1, border + 10, border + 10, &v), LIMITER_REFUSED);
    /* A plan that is moved to begin within what was counted forgives nothing. */
    plan.period_start = border + 8;
    assert_int_equal(take(l, &plan, 1, border + 11, border + 11, &v), LIMITER_REFUSED);
    struct buf saved = BUF_INIT;
    limiter_save(l, &saved);
    limiter_free(&l);
    l = limiter_new(seed);
    assert_int_equal(limiter_load(l, buf_slice(&saved)), 0);
    buf_fini(&saved);
    assert_int_equal(take(l, &plan, 1, border + 12, border + 12, &v), LIMITER_REFUSED);
    plan.is_closed = true;
    plan.period_end = STAMP_NEVER;
    assert_int_equal(take(l, &plan, 1, border + SPAN_DAY, 0, &v), LIMITER_REFUSED);
    assert_int_equal(v.free_at, STAMP_NEVER);
    assert_int_equal(v.max, 0);
    assert_false(v.never_fits);
    limiter_free(&l);
}

static void memory_of_an_account(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(seed);
    struct limit limits[] = {limit_of("account messages 25/5m defer"),
                             limit_of("account recipients 250/5m defer"),
                             limit_of("account recipients 1000/24h defer"),
                             limit_of("account recipients 5000/30d defer"),
                             limit_of("customer messages 250/1h defer"),
                             limit_of("customer recipients 1500/1h defer")};
    struct amounts message = {{[RULE_MESSAGES] = 1, [RULE_RECIPIENTS] = 2}};
    enum { KNOWN = 2000, HALF_HOURS = 24 * 2 * 30 };
    for (uint64_t account = 0; account < KNOWN; account++) {
        for (size_t i = 0; i < COUNT_OF(limits); i++)
            limits[i].entity = account;
        /* As spread out as traffic can be: something in every cell of the long window. */
        for (int i = 0; i < HALF_HOURS; i++)
            assert_int_equal(limiter_replay(l, limits, COUNT_OF(limits), &message,
                                            START + i * 30 * SPAN_MINUTE),
                             0);
    }
    size_t entities, bytes;
    limiter_numbers(l, &entities, &bytes);
    printf("limiter: %zu bytes per account with the rules of web hosting\n", bytes / KNOWN);
    assert_true(bytes / KNOWN <= 2048);
    limiter_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_an_oracle),       cmocka_unit_test(the_501st_locks),
        cmocka_unit_test(half_of_a_message_fits),  cmocka_unit_test(bytes_are_trued_up),
        cmocka_unit_test(plans_hold_what_is_sold), cmocka_unit_test(periods_follow_each_other),
        cmocka_unit_test(memory_of_an_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
