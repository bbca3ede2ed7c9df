/* window: against a list of every event. It may count more, never less, and more only within a
 * cell. */
#include "policy/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static const span lengths[] = {SPAN_SECOND, 5 * SPAN_MINUTE, SPAN_HOUR,
                               SPAN_DAY,    31 * SPAN_DAY,   7};
static const stamp START = 1790000000 * SPAN_SECOND;

struct event {
    stamp at;
    uint64_t amount;
};

static uint64_t counted(const struct event *events, size_t count, span length, stamp now)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (events[i].at + length > now)
            sum += events[i].amount;
    }
    return sum;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void against_every_event(void **state)
{
    (void)state;
    enum { EVENTS = 4000 };
    struct event *events = calloc(EVENTS, sizeof(*events));
    for (size_t l = 0; l < COUNT_OF(lengths); l++) {
        struct window w = {0};
        span length = lengths[l];
        span cell = length / WINDOW_CELLS ? length / WINDOW_CELLS : 1;
        uint64_t seed = l + 1;
        stamp now = START;
        for (size_t i = 0; i < EVENTS; i++) {
            now += (span)(next_random(&seed) % (uint64_t)(length / 50 + 2));
            events[i] = (struct event){now, 1 + next_random(&seed) % 300};
            assert_int_equal(window_add(&w, length, now, events[i].amount), 0);
            uint64_t used = window_used(&w, length, now);
            assert_true(used >= counted(events, i + 1, length, now));
            assert_true(used <= counted(events, i + 1, length + cell, now));
            uint64_t keep = next_random(&seed) % (used + 1);
            stamp free_at = window_free_at(&w, length, now, keep);
            struct buf saved = BUF_INIT;
            window_save(&w, &saved);
            slice in = buf_slice(&saved);
            struct window copy = {0};
            assert_int_equal(window_load(&copy, &in), 0);
            assert_int_equal(in.len, 0);
            assert_true(window_used(&copy, length, free_at) <= keep);
            assert_int_equal(window_load(&copy, &(slice){saved.ptr, saved.len}), 0);
            if (free_at > now)
                assert_true(window_used(&copy, length, free_at - 1) > keep);
            buf_fini(&saved);
            window_fini(&copy);
        }
        window_fini(&w);
    }
    free(events);
}

static void a_clock_that_steps_back_counts_later(void **state)
{
    (void)state;
    struct window w = {0};
    assert_int_equal(window_add(&w, SPAN_HOUR, START, 3), 0);
    assert_int_equal(window_add(&w, SPAN_HOUR, START - SPAN_DAY, 4), 0);
    assert_int_equal(window_used(&w, SPAN_HOUR, START + SPAN_HOUR), 7);
    assert_int_equal(window_used(&w, SPAN_HOUR, START + 2 * SPAN_HOUR), 0);
    window_fini(&w);
}

static void damaged_snapshots_change_nothing(void **state)
{
    (void)state;
    static const slice bad[] = {SLICE_INIT(""),
                                SLICE_INIT("\x01"),
                                SLICE_INIT("\x01\x05"),
                                SLICE_INIT("\x01\x05\x00"),
                                SLICE_INIT("\xff\xff\x7f"),
                                SLICE_INIT("\x02\x05\x01\x80")};
    struct window w = {0};
    assert_int_equal(window_add(&w, SPAN_HOUR, START, 3), 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        slice in = bad[i];
        assert_true(window_load(&w, &in) < 0);
        assert_int_equal(window_used(&w, SPAN_HOUR, START), 3);
    }
    window_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_every_event),
        cmocka_unit_test(a_clock_that_steps_back_counts_later),
        cmocka_unit_test(damaged_snapshots_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
