/* Back-off, jitter, expiry. */
#include "policy/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define T0 ((stamp)1764000000 * SPAN_SECOND)
/* The random number in the middle: no jitter. */
#define MIDDLE 0x80000000u

static const struct retry_policy usual = {5 * SPAN_MINUTE, 4 * SPAN_HOUR, 5 * SPAN_DAY};

static void back_off_doubles_up_to_the_longest(void **state)
{
    (void)state;
    static const struct {
        unsigned attempts;
        span wait;
    } rows[] = {
        {1, 5 * SPAN_MINUTE},  {2, 10 * SPAN_MINUTE},       {3, 20 * SPAN_MINUTE},
        {4, 40 * SPAN_MINUTE}, {5, 80 * SPAN_MINUTE},       {6, 160 * SPAN_MINUTE},
        {7, 4 * SPAN_HOUR},    {8, 4 * SPAN_HOUR},          {64, 4 * SPAN_HOUR},
        {65, 4 * SPAN_HOUR},   {UINT32_MAX, 4 * SPAN_HOUR},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(retry_next(&usual, T0, T0, rows[i].attempts, MIDDLE),
                         T0 + rows[i].wait);
    /* A first wait over the longest is cut to it. */
    struct retry_policy odd = {SPAN_HOUR, SPAN_MINUTE, SPAN_DAY};
    assert_int_equal(retry_next(&odd, T0, T0, 1, MIDDLE), T0 + SPAN_MINUTE);
    assert_int_equal(retry_next(&odd, T0, T0, 9, MIDDLE), T0 + SPAN_MINUTE);
}

static void jitter_is_a_tenth_either_way(void **state)
{
    (void)state;
    for (unsigned attempts = 1; attempts < 12; attempts++) {
        span wait = retry_next(&usual, T0, T0, attempts, MIDDLE) - T0;
        span least = retry_next(&usual, T0, T0, attempts, 0) - T0;
        span most = retry_next(&usual, T0, T0, attempts, UINT32_MAX) - T0;
        assert_int_equal(least, wait - wait / 10);
        assert_in_range(most, wait + wait / 10 - 1, wait + wait / 10);
        span before = 0;
        for (uint32_t random = 0; random < 0xf0000000u; random += 0x01000000u) {
            span got = retry_next(&usual, T0, T0, attempts, random) - T0;
            assert_true(got > before && got >= least && got <= most);
            before = got;
        }
    }
}

static void last_attempt_is_made_at_expiry(void **state)
{
    (void)state;
    stamp expires = T0 + usual.expiry;
    /* The wait would end just before, at, and after it. */
    assert_int_equal(retry_next(&usual, T0, expires - 4 * SPAN_HOUR - 1, 9, MIDDLE),
                     expires - 1);
    assert_int_equal(retry_next(&usual, T0, expires - 4 * SPAN_HOUR, 9, MIDDLE), expires);
    assert_int_equal(retry_next(&usual, T0, expires - 4 * SPAN_HOUR + 1, 9, MIDDLE), expires);
    assert_int_equal(retry_next(&usual, T0, expires - 1, 9, UINT32_MAX), expires);
    /* The attempt at expiry itself was the last one. */
    assert_int_equal(retry_next(&usual, T0, expires, 9, 0), STAMP_NEVER);
    assert_int_equal(retry_next(&usual, T0, expires + SPAN_DAY, 1, 0), STAMP_NEVER);
}

static void a_week_of_retries_ends(void **state)
{
    (void)state;
    stamp now = T0;
    unsigned attempts = 1;
    for (;; attempts++) {
        stamp next = retry_next(&usual, T0, now, attempts, attempts * 2654435761u);
        if (next == STAMP_NEVER)
            break;
        assert_true(next > now && next <= T0 + usual.expiry);
        now = next;
    }
    assert_int_equal(now, T0 + usual.expiry);
    assert_in_range(attempts, 33, 43); /* 5 days at 4 h, and the first ones */
}

static void clocks_and_settings_at_their_ends(void **state)
{
    (void)state;
    /* A clock that went back: the wait counts from now. */
    assert_int_equal(retry_next(&usual, T0, T0 - SPAN_DAY, 1, MIDDLE),
                     T0 - SPAN_DAY + 5 * SPAN_MINUTE);
    /* The smallest policy still moves on; the largest does not overflow. */
    struct retry_policy least = {1, 1, 1};
    assert_int_equal(retry_next(&least, T0, T0, 1, 0), T0 + 1);
    assert_int_equal(retry_next(&least, T0, T0 + 1, 2, 0), STAMP_NEVER);
    struct retry_policy most = {INT64_MAX, INT64_MAX, INT64_MAX};
    assert_int_equal(retry_next(&most, T0, T0, UINT32_MAX, UINT32_MAX), STAMP_NEVER);
    struct retry_policy slow = {INT64_MAX / 2 + 1, INT64_MAX, SPAN_DAY};
    assert_int_equal(retry_next(&slow, T0, T0, UINT32_MAX, 0), T0 + SPAN_DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(back_off_doubles_up_to_the_longest),
        cmocka_unit_test(jitter_is_a_tenth_either_way),
        cmocka_unit_test(last_attempt_is_made_at_expiry),
        cmocka_unit_test(a_week_of_retries_ends),
        cmocka_unit_test(clocks_and_settings_at_their_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
