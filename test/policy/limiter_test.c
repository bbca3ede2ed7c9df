/* limiter: rules that lock, plans and their periods, what a message holds, memory. What windows
 * let pass is tested against an oracle (limiter_oracle_test). */
#include "policy/limiter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <stdlib.h>

static const stamp START = 1790000000 * SPAN_SECOND;
static const uint64_t seed[2] = {1, 2};

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

/* Once in a period, a restart within it included. */
static void a_used_up_plan_is_told_once(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(seed);
    struct limit plan = limit_of("account bytes 10KB/month suspend");
    struct limit_verdict v = {0};
    struct buf saved = BUF_INIT;
    plan.period_start = START;
    plan.period_end = START + SPAN_DAY;
    assert_false(limiter_suspends(l, &plan)); /* nothing is counted */
    assert_int_equal(take(l, &plan, 10000, START, START, &v), LIMITER_OK);
    assert_int_equal(take(l, &plan, 10000, START + 1, START + 1, &v), LIMITER_REFUSED);
    assert_true(limiter_suspends(l, &plan));
    assert_false(limiter_suspends(l, &plan));
    limiter_save(l, &saved);
    assert_int_equal(limiter_load(l, buf_slice(&saved)), 0);
    assert_false(limiter_suspends(l, &plan));
    plan.period_start = START + SPAN_DAY;
    plan.period_end = START + 2 * SPAN_DAY;
    stamp next = START + SPAN_DAY;
    assert_int_equal(take(l, &plan, 10000, next, next, &v), LIMITER_OK);
    assert_int_equal(take(l, &plan, 10000, next + 1, next + 1, &v), LIMITER_REFUSED);
    limiter_noticed(l, &plan); /* its record was read back */
    assert_false(limiter_suspends(l, &plan));
    buf_fini(&saved);
    limiter_free(&l);
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
        cmocka_unit_test(the_501st_locks),
        cmocka_unit_test(half_of_a_message_fits),
        cmocka_unit_test(bytes_are_trued_up),
        cmocka_unit_test(plans_hold_what_is_sold),
        cmocka_unit_test(a_used_up_plan_is_told_once),
        cmocka_unit_test(periods_follow_each_other),
        cmocka_unit_test(memory_of_an_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
