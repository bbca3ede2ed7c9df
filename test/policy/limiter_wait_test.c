/* limiter: mail that may wait, against a list of all that was used: no window of a rule ever
 * has more than its maximum, whoever waits beside whoever does not, slow ones, aborts and
 * restarts included; nobody waits longer than a list would have it with windows longer by two
 * cells; the moment that a refusal names is the first that is true. */
#include "policy/limiter.h"

#include "policy/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <stdlib.h>

enum {
    WORLDS = 1500,
    STEPS = 250,
    ACCOUNTS = 3,
    RULES_MAX = 4,
    OPEN_MAX = 4,
    EVENTS_MAX = 1 << 10,
};

static const stamp START = 1790000000 * SPAN_SECOND;
static const uint64_t seed[2] = {1, 2};
static const span windows[] = {SPAN_SECOND, SPAN_MINUTE, 5 * SPAN_MINUTE, SPAN_HOUR};

static uint64_t random_state = 7;
static uint64_t next_random(uint64_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % below;
}

struct event {
    stamp at; /* or when it is released */
    uint64_t account;
    struct amounts amounts;
    stamp record; /* its stamp, and when it was released by that; 0: it did not wait */
    stamp released;
};

struct world {
    struct rule rules[RULES_MAX];
    size_t rule_count;
    struct limiter *limiter;
    stamp now;
    struct event events[EVENTS_MAX];
    size_t count;
    size_t saved_count; /* of the events, those that the snapshot has */
    struct buf saved;
    struct open {
        struct limiter_reservation r;
        struct amounts total;
        uint64_t account;
        bool is_open;
    } open[OPEN_MAX];
};

static unsigned long waited, passed, refused, late, promises;

static uint64_t entity_of(const struct rule *r, uint64_t account)
{
    return r->scope == RULE_CUSTOMER ? 99 : account;
}

static size_t limits_of(const struct world *w, uint64_t account, struct limit *out)
{
    for (size_t i = 0; i < w->rule_count; i++)
        out[i] =
            (struct limit){.rule = w->rules[i], .entity = entity_of(&w->rules[i], account)};
    return w->rule_count;
}

static bool is_of(const struct world *w, const struct rule *r, const struct event *e,
                  uint64_t account)
{
    (void)w;
    return entity_of(r, e->account) == entity_of(r, account);
}

/* What a list has in the window that ends at x. */
static uint64_t listed(const struct world *w, const struct rule *r, uint64_t account, stamp x,
                       span length)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct event *e = &w->events[i];
        if (is_of(w, r, e, account) && e->at <= x && e->at > x - length)
            sum += e->amounts.of[r->unit];
    }
    return sum;
}

static void assert_never_over(const struct world *w)
{
    for (size_t k = 0; k < w->rule_count; k++) {
        const struct rule *r = &w->rules[k];
        for (size_t i = 0; i < w->count; i++) {
            uint64_t used = listed(w, r, w->events[i].account, w->events[i].at, r->window);
            assert_true(used <= r->max);
        }
    }
}

/* Would the amounts fit at `at`, with windows longer by two cells? */
static bool would_fit(const struct world *w, uint64_t account, const struct amounts *a,
                      stamp at)
{
    for (size_t k = 0; k < w->rule_count; k++) {
        const struct rule *r = &w->rules[k];
        span longer = r->window + 2 * (r->window / WINDOW_CELLS);
        uint64_t asked = a->of[r->unit];
        if (listed(w, r, account, at, longer) + asked > r->max)
            return false;
        for (size_t i = 0; i < w->count; i++) {
            stamp x = w->events[i].at;
            if (x > at && x < at + longer && listed(w, r, account, x, longer) + asked > r->max)
                return false;
        }
    }
    return true;
}

static stamp latest_release(const struct world *w, uint64_t account, const struct amounts *a)
{
    stamp best = would_fit(w, account, a, w->now) ? w->now : STAMP_NEVER;
    for (size_t k = 0; k < w->rule_count; k++) {
        span longer = w->rules[k].window + 2 * (w->rules[k].window / WINDOW_CELLS);
        for (size_t i = 0; i < w->count; i++) {
            stamp at = w->events[i].at + longer;
            if (at >= w->now && at < best && would_fit(w, account, a, at))
                best = at;
        }
    }
    return best;
}

static bool has_open(const struct world *w)
{
    for (size_t i = 0; i < OPEN_MAX; i++) {
        if (w->open[i].is_open)
            return true;
    }
    return false;
}

/* The same at the moment that a refusal named, and just before. */
static void assert_promise(struct world *w, const struct limit *limits, size_t count,
                           const struct amounts *asked, stamp at)
{
    struct limiter *l = limiter_new(seed);
    struct buf saved = BUF_INIT;
    struct limiter_reservation r = {0};
    struct limit_verdict v;
    limiter_save(w->limiter, &saved);
    assert_int_equal(limiter_load(l, buf_slice(&saved)), 0);
    assert_int_equal(limiter_reserve(l, &r, limits, count, asked, at - 1, &v), LIMITER_REFUSED);
    assert_int_equal(v.free_at, at);
    assert_int_equal(limiter_reserve(l, &r, limits, count, asked, at, &v), LIMITER_OK);
    limiter_release(l, &r, at);
    limiter_free(&l);
    buf_fini(&saved);
    promises++;
}

static void begin(struct world *w, struct open *o)
{
    struct limit limits[RULES_MAX];
    bool was_open = has_open(w);
    *o = (struct open){.account = next_random(ACCOUNTS)};
    o->r.may_wait = next_random(2);
    size_t count = limits_of(w, o->account, limits);
    uint64_t recipients = 1 + next_random(4);
    for (uint64_t i = 0; i < recipients; i++) {
        struct amounts one = {{[RULE_MESSAGES] = i == 0, [RULE_RECIPIENTS] = 1}};
        struct limit_verdict v;
        if (limiter_reserve(w->limiter, &o->r, limits, count, &one, w->now, &v) != LIMITER_OK) {
            refused++;
            assert_true(v.never_fits || v.free_at > w->now);
            if (!was_open && i == 0 && !v.never_fits && !o->r.may_wait)
                assert_promise(w, limits, count, &one, v.free_at);
            break;
        }
        o->is_open = true;
        o->total.of[RULE_MESSAGES] += one.of[RULE_MESSAGES];
        o->total.of[RULE_RECIPIENTS]++;
    }
    if (!o->is_open)
        limiter_release(w->limiter, &o->r, w->now);
}

static void end(struct world *w, struct open *o)
{
    struct limit_verdict v;
    o->is_open = false;
    if (next_random(6) == 0) {
        limiter_release(w->limiter, &o->r, w->now);
        return;
    }
    bool is_alone = !has_open(w);
    bool may_wait = o->r.may_wait;
    stamp latest = is_alone && may_wait ? latest_release(w, o->account, &o->total) : 0;
    enum limiter_result got = limiter_settle(w->limiter, &o->r, w->now, NULL, NULL, &v);
    if (got != LIMITER_OK) {
        assert_int_equal(got, LIMITER_REFUSED);
        assert_true(!may_wait || v.free_at > w->now); /* the line is a day long */
        late++;
        limiter_release(w->limiter, &o->r, w->now);
        return;
    }
    struct event e = {w->now, o->account, o->total, w->now, o->r.released};
    if (o->r.released > 0) {
        e.at = o->r.released;
        assert_true(e.at >= w->now);
        waited++;
        if (is_alone)
            assert_true(e.at <= latest);
    } else {
        passed++;
    }
    if (next_random(20) == 0) { /* its record could not be written */
        limiter_release(w->limiter, &o->r, w->now);
        return;
    }
    limiter_commit(w->limiter, &o->r, w->now);
    assert_true(w->count < EVENTS_MAX);
    w->events[w->count++] = e;
}

/* The snapshot, and what came behind it. */
static void crash(struct world *w)
{
    for (size_t i = 0; i < OPEN_MAX; i++) {
        if (w->open[i].is_open)
            limiter_release(w->limiter, &w->open[i].r, w->now);
        w->open[i].is_open = false;
    }
    limiter_free(&w->limiter);
    w->limiter = limiter_new(seed);
    if (w->saved.len > 0)
        assert_int_equal(limiter_load(w->limiter, buf_slice(&w->saved)), 0);
    for (size_t i = w->saved_count; i < w->count; i++) {
        const struct event *e = &w->events[i];
        struct limit limits[RULES_MAX];
        size_t count = limits_of(w, e->account, limits);
        assert_int_equal(limiter_replay_waiting(w->limiter, limits, count, &e->amounts,
                                                e->record, e->released),
                         0);
    }
}

static void step(struct world *w)
{
    static const span pauses[] = {0, SPAN_MS, SPAN_SECOND, 20 * SPAN_SECOND, 2 * SPAN_MINUTE};
    w->now += (span)next_random((uint64_t)pauses[next_random(COUNT_OF(pauses))] + 1);
    struct open *o = &w->open[next_random(OPEN_MAX)];
    if (next_random(40) == 0) {
        crash(w);
    } else if (next_random(20) == 0) {
        buf_clear(&w->saved);
        limiter_save(w->limiter, &w->saved);
        w->saved_count = w->count;
    } else if (o->is_open) {
        end(w, o);
    } else {
        begin(w, o);
    }
    limiter_sweep(w->limiter, w->now, 4);
}

static void new_world(struct world *w)
{
    *w = (struct world){.now = START, .rule_count = 1 + next_random(RULES_MAX)};
    w->limiter = limiter_new(seed);
    for (size_t i = 0; i < w->rule_count; i++)
        w->rules[i] = (struct rule){.scope = next_random(3) ? RULE_ACCOUNT : RULE_CUSTOMER,
                                    .unit = next_random(2) ? RULE_RECIPIENTS : RULE_MESSAGES,
                                    .max = 1 + next_random(12),
                                    .window = windows[next_random(COUNT_OF(windows))],
                                    .action = RULE_DEFER};
}

static void never_over_never_late(void **state)
{
    (void)state;
    static struct world w;
    for (int i = 0; i < WORLDS; i++) {
        new_world(&w);
        for (int k = 0; k < STEPS; k++)
            step(&w);
        assert_never_over(&w);
        crash(&w);
        limiter_free(&w.limiter);
        buf_fini(&w.saved);
    }
    print_message("%lu waited, %lu passed at once, %lu refused, %lu at the end; %lu promises\n",
                  waited, passed, refused, late, promises);
    assert_true(waited > 1000 && passed > 1000 && refused > 1000 && promises > 100);
}

/* ---- by hand ---- */

static struct limit limit_of(const char *line)
{
    struct limit l = {.entity = 7};
    const char *error;
    slice word;
    assert_true(rule_parse(slice_of(line), &l.rule, &error, &word));
    return l;
}

/* One message to so many; returns when it is released, 0: at once, -1: refused. */
static stamp send(struct limiter *l, const struct limit *limits, size_t count,
                  uint64_t recipients, bool may_wait, stamp now, struct limit_verdict *v)
{
    struct limiter_reservation r = {.may_wait = may_wait};
    struct amounts all = {{[RULE_MESSAGES] = 1, [RULE_RECIPIENTS] = recipients}};
    enum limiter_result got = limiter_reserve(l, &r, limits, count, &all, now, v);
    if (got == LIMITER_OK)
        got = limiter_settle(l, &r, now, NULL, NULL, v);
    stamp at = r.not_before;
    if (got == LIMITER_OK)
        limiter_commit(l, &r, now);
    else
        limiter_release(l, &r, now);
    return got == LIMITER_OK ? at : -1;
}

static void each_minute_takes_its_share(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(seed);
    struct limit limit = limit_of("account recipients 50/1m defer");
    struct limit_verdict v;
    stamp minute = window_lapse(SPAN_MINUTE, START) - START;
    assert_int_equal(send(l, &limit, 1, 50, false, START, &v), 0);
    assert_int_equal(send(l, &limit, 1, 30, true, START, &v), START + minute);
    assert_int_equal(send(l, &limit, 1, 20, true, START + 5, &v), START + minute);
    stamp third = send(l, &limit, 1, 1, true, START + 6, &v);
    assert_int_equal(third, window_lapse(SPAN_MINUTE, START + minute));
    /* Others see it: what could go when the first have lapsed is taken. */
    assert_int_equal(send(l, &limit, 1, 1, false, START + minute, &v), -1);
    assert_int_equal(v.used, 50);
    assert_int_equal(v.free_at, third);
    assert_int_equal(send(l, &limit, 1, 49, false, third, &v), 0);
    limiter_free(&l);
}

/* 40 are used, 45 wait: an hour on, five more would do no harm, a sixth would. */
static void what_waits_is_not_pushed_aside(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(seed);
    struct limit limit = limit_of("account recipients 50/1h defer");
    struct limit_verdict v;
    assert_int_equal(send(l, &limit, 1, 40, false, START, &v), 0);
    stamp at = send(l, &limit, 1, 45, true, START, &v);
    assert_int_equal(at, window_lapse(SPAN_HOUR, START));
    assert_int_equal(send(l, &limit, 1, 6, false, START + SPAN_MINUTE, &v), -1);
    assert_int_equal(v.used, 45);
    assert_int_equal(v.free_at, window_lapse(SPAN_HOUR, at));
    assert_int_equal(send(l, &limit, 1, 5, false, START + SPAN_MINUTE, &v), 0);
    limiter_free(&l);
}

static void the_line_is_a_day_long(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(seed);
    struct limit limits[] = {limit_of("account recipients 10/1d defer"),
                             limit_of("account messages 3/31d reject"),
                             limit_of("message recipients 100 defer")};
    struct limit_verdict v;
    assert_int_equal(send(l, limits, 1, 10, true, START, &v), 0);
    stamp next = window_lapse(SPAN_DAY, START);
    assert_int_equal(send(l, limits, 1, 10, true, START, &v), next);
    assert_int_equal(send(l, limits, 1, 1, true, START, &v), -1);
    assert_false(v.never_fits);
    stamp free_at = v.free_at;
    assert_int_equal(free_at, window_lapse(SPAN_DAY, next) - LIMITER_WAIT_MOST);
    assert_int_equal(send(l, limits, 1, 1, true, free_at - 1, &v), -1);
    assert_true(send(l, limits, 1, 1, true, free_at, &v) > next);
    /* More than ever fits, what is refused for good, too many in one message. */
    assert_int_equal(send(l, limits, 1, 11, true, free_at, &v), -1);
    assert_true(v.never_fits);
    limiter_free(&l);
    l = limiter_new(seed);
    for (int i = 0; i < 3; i++)
        assert_true(send(l, limits, 3, 10, true, START + i * SPAN_DAY * 2, &v) == 0);
    assert_int_equal(send(l, limits, 3, 1, true, START + 6 * SPAN_DAY, &v), -1);
    assert_int_equal(v.rule.action, RULE_REJECT);
    limiter_free(&l);
}

static void an_account_does_not_use_up_its_customer(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(seed);
    struct limit one[] = {limit_of("account recipients 100/1d defer"),
                          limit_of("customer recipients 100/1h defer")};
    struct limit other = one[1];
    struct limit_verdict v;
    assert_int_equal(send(l, one, 2, 100, false, START, &v), 0);
    stamp tomorrow = send(l, one, 2, 100, true, START + 2 * SPAN_HOUR, &v);
    assert_int_equal(tomorrow, window_lapse(SPAN_DAY, START));
    /* Until an hour before that the customer has room. */
    assert_int_equal(send(l, &other, 1, 100, false, START + 3 * SPAN_HOUR, &v), 0);
    assert_int_equal(send(l, &other, 1, 100, true, START + 5 * SPAN_HOUR, &v), 0);
    assert_int_equal(send(l, &other, 1, 1, false, tomorrow - SPAN_MINUTE, &v), -1);
    assert_int_equal(v.free_at, window_lapse(SPAN_HOUR, tomorrow));
    limiter_free(&l);
}

/* Mail under way keeps its room, as long as it takes no more than a minute. */
static void the_slow_are_given_a_minute(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(seed);
    struct limit limit = limit_of("account recipients 50/5m defer");
    struct amounts all = {{[RULE_MESSAGES] = 1, [RULE_RECIPIENTS] = 50}};
    for (int i = 0; i < 2; i++) {
        struct limiter_reservation slow = {0};
        struct limit_verdict v;
        stamp now = START + i * SPAN_DAY;
        stamp end = now + (i == 0 ? 50 * SPAN_SECOND : 70 * SPAN_SECOND);
        assert_int_equal(limiter_reserve(l, &slow, &limit, 1, &all, now, &v), LIMITER_OK);
        stamp at = send(l, &limit, 1, 1, true, now + 1, &v);
        assert_int_equal(at, window_lapse(5 * SPAN_MINUTE, now + 1 + SPAN_MINUTE));
        bool is_kept = limiter_settle(l, &slow, end, NULL, NULL, &v) == LIMITER_OK;
        assert_int_equal(is_kept, i == 0);
        if (is_kept)
            limiter_commit(l, &slow, end);
        else
            limiter_release(l, &slow, end);
    }
    limiter_free(&l);
}

static void what_grows_at_the_end_waits(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(seed);
    struct limit limit = limit_of("account bytes 1MB/1h defer");
    struct amounts least = {{[RULE_BYTES] = 10000}};
    struct limit_verdict v;
    for (int i = 0; i < 2; i++) {
        struct limiter_reservation r = {.may_wait = true};
        assert_int_equal(limiter_reserve(l, &r, &limit, 1, &least, START, &v), LIMITER_OK);
        assert_int_equal(limiter_true_up(l, &r, RULE_BYTES, 1000001, START, &v),
                         LIMITER_REFUSED);
        assert_int_equal(limiter_true_up(l, &r, RULE_BYTES, 700000, START, &v), LIMITER_OK);
        assert_int_equal(limiter_settle(l, &r, START, NULL, NULL, &v), LIMITER_OK);
        assert_int_equal(r.not_before, i == 0 ? 0 : window_lapse(SPAN_HOUR, START));
        limiter_commit(l, &r, START);
    }
    limiter_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_over_never_late),
        cmocka_unit_test(each_minute_takes_its_share),
        cmocka_unit_test(what_waits_is_not_pushed_aside),
        cmocka_unit_test(the_line_is_a_day_long),
        cmocka_unit_test(an_account_does_not_use_up_its_customer),
        cmocka_unit_test(the_slow_are_given_a_minute),
        cmocka_unit_test(what_grows_at_the_end_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
