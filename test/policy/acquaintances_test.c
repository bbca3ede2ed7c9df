/* acquaintances: who is known, for how long, and what happens when there is no more room. */
#include "policy/acquaintances.h"

#include "../check.h"

#include <errno.h>
#include <stdio.h>

static const stamp START = 1790000000 * SPAN_SECOND;
static const uint64_t seed[2] = {1, 2};

static slice address(char room[64], unsigned n)
{
    snprintf(room, 64, "r%u@example.org", n);
    return slice_of(room);
}

static void are_known_for_a_month(void **state UNUSED)
{
    struct acquaintances *a = acquaintances_new(seed);
    slice anna = SLICE("anna@example.org");
    assert_false(acquaintances_knows(a, 1, anna, START));
    assert_int_equal(acquaintances_add(a, 1, anna, START), 0);
    assert_true(acquaintances_knows(a, 1, anna, START));
    assert_false(acquaintances_knows(a, 2, anna, START));
    assert_false(acquaintances_knows(a, 1, SLICE("bob@example.org"), START));
    assert_true(acquaintances_knows(a, 1, anna, START + 31 * SPAN_DAY));
    assert_false(acquaintances_knows(a, 1, anna, START + 31 * SPAN_DAY + SPAN_HOUR));
    assert_int_equal(acquaintances_add(a, 1, anna, START + 30 * SPAN_DAY), 0);
    assert_true(acquaintances_knows(a, 1, anna, START + 60 * SPAN_DAY));
    assert_int_equal(acquaintances_count(a), 1);
    acquaintances_free(&a);
}

static void are_saved(void **state UNUSED)
{
    static const uint64_t other[2] = {3, 4};
    struct acquaintances *a = acquaintances_new(seed);
    struct acquaintances *b = acquaintances_new(other);
    struct buf saved = BUF_INIT;
    char room[64];
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(acquaintances_add(a, 7, address(room, i), START), 0);
    acquaintances_save(a, &saved);
    buf_append(&saved, SLICE("rest"));
    slice in = buf_slice(&saved);
    assert_int_equal(acquaintances_load(b, &in), 0);
    check_slice("rest", in, SLICE("rest"));
    assert_int_equal(acquaintances_count(b), 5000);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(acquaintances_knows(b, 7, address(room, i), START), i < 5000);
    for (size_t len = 0; len < 64; len++) {
        in = slice_to(buf_slice(&saved), len);
        assert_true(acquaintances_load(b, &in) < 0);
    }
    assert_int_equal(acquaintances_count(b), 5000);
    buf_fini(&saved);
    acquaintances_free(&a);
    acquaintances_free(&b);
}

static void memory_is_bounded(void **state UNUSED)
{
    struct acquaintances *a = acquaintances_new(seed);
    char room[64];
    int err = 0;
    unsigned n = 0;
    for (; err == 0 && n <= ACQUAINTANCES_MAX; n++)
        err = acquaintances_add(a, 1, address(room, n), START);
    assert_int_equal(err, -ENOSPC);
    assert_int_equal(acquaintances_count(a), ACQUAINTANCES_MAX);
    assert_true(acquaintances_knows(a, 1, address(room, 5), START));
    assert_int_equal(acquaintances_add(a, 1, address(room, 5), START), 0);
    /* The old makes room. */
    assert_int_equal(acquaintances_add(a, 1, address(room, n), START + 40 * SPAN_DAY), 0);
    assert_int_equal(acquaintances_count(a), 1);
    acquaintances_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_known_for_a_month),
        cmocka_unit_test(are_saved),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
