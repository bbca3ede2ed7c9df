/* When something is tried again, and what an outcome becomes in the journal. */
#include "delivery/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct retry_policy policy = {
    .first = 5 * SPAN_MINUTE, .longest = 4 * SPAN_HOUR, .expiry = 5 * SPAN_DAY};
static const stamp accepted = 1000 * SPAN_SECOND;

static void test_judgements(void **state)
{
    (void)state;
    static const struct row {
        const char *name;
        enum outcome_next next;
        span age;
        enum outcome_kind want;
    } rows[] = {
        {"delivered", NEXT_CONTINUE, 0, OUTCOME_DELIVERED},
        {"delivered after expiry", NEXT_CONTINUE, 6 * SPAN_DAY, OUTCOME_DELIVERED},
        {"refused for good", NEXT_FAIL, 0, OUTCOME_FAILED},
        {"refused for now", NEXT_RETRY, SPAN_HOUR, OUTCOME_RETRY},
        {"no other address", NEXT_ADDRESS, SPAN_HOUR, OUTCOME_RETRY},
        {"too old", NEXT_RETRY, 5 * SPAN_DAY, OUTCOME_EXPIRED},
        {"too old for another address", NEXT_ADDRESS, 5 * SPAN_DAY, OUTCOME_EXPIRED},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct outcome o = {.next = rows[i].next};
        stamp next = -1;
        stamp now = accepted + rows[i].age;
        enum outcome_kind kind = schedule_judge(&policy, &o, accepted, now, 1, 0, &next);
        if (kind != rows[i].want)
            fail_msg("%s: %s", rows[i].name, outcome_name(kind));
        if (kind == OUTCOME_RETRY)
            assert_in_range(next, now + 4 * SPAN_MINUTE, now + 6 * SPAN_MINUTE);
        else
            assert_int_equal(next, -1);
    }
}

static void test_the_last_attempt_is_at_expiry(void **state)
{
    (void)state;
    struct outcome o = {.next = NEXT_RETRY};
    stamp at = accepted, next = 0;
    uint32_t attempt = 0;
    while (schedule_judge(&policy, &o, accepted, at, ++attempt, 0x80000000u, &next) ==
           OUTCOME_RETRY) {
        assert_true(next > at);
        at = next;
    }
    assert_int_equal(at, accepted + policy.expiry);
    assert_in_range(attempt, 20, 60);
    assert_true(schedule_has_expired(&policy, accepted, at));
    assert_false(schedule_has_expired(&policy, accepted, at - 1));
}

static void test_back_off_of_a_destination(void **state)
{
    (void)state;
    span before = 0;
    for (unsigned failures = 1; failures < 100; failures++) {
        span least = schedule_backoff(&policy, failures, 0);
        span most = schedule_backoff(&policy, failures, UINT32_MAX);
        assert_true(least <= most && least >= before);
        before = least;
    }
    assert_in_range(schedule_backoff(&policy, 1, 0), 9 * SPAN_SECOND, 10 * SPAN_SECOND);
    assert_in_range(before, 13 * SPAN_MINUTE, 15 * SPAN_MINUTE);
    struct retry_policy fast = {SPAN_SECOND, 2 * SPAN_SECOND, SPAN_DAY};
    assert_in_range(schedule_backoff(&fast, 50, UINT32_MAX), 0, 3 * SPAN_SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judgements),
        cmocka_unit_test(test_the_last_attempt_is_at_expiry),
        cmocka_unit_test(test_back_off_of_a_destination),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
