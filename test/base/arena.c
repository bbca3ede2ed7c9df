#include "../check.h"

#include "base/arena.h"

#include <stdalign.h>

static bool is_zero(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i])
            return false;
    return true;
}

static void gives_zeroed_aligned_memory(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size < 5000; size += 37) {
            char *p = arena_alloc(&a, size);
            assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
            assert_true(is_zero(p, size));
            memset(p, 0xff, size);
        }
        arena_reset(&a);
    }
    arena_fini(&a);
}

static void keeps_what_was_given(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    slice kept[500];
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        kept[i] = arena_printf(&a, "%zu-%0*d", i, (int)(i % 90), 0);
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        char want[128];
        snprintf(want, sizeof(want), "%zu-%0*d", i, (int)(i % 90), 0);
        check_slice("kept", kept[i], slice_of(want));
        assert_int_equal(kept[i].ptr[kept[i].len], '\0');
    }
    arena_fini(&a);
    assert_null(a.chunk);
    assert_int_equal(a.total, 0);
}

static void copies(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    slice none = {0};
    slice s = SLICE("a\0B");
    slice copy = arena_dup(&a, s);
    assert_ptr_not_equal(copy.ptr, s.ptr);
    check_slice("dup", copy, s);
    check_slice("lower", arena_lower(&a, s), SLICE("a\0b"));
    assert_string_equal(arena_cstr(&a, SLICE("abc")), "abc");
    assert_string_equal(arena_cstr(&a, none), "");
    assert_int_equal(arena_dup(&a, none).len, 0);
    arena_fini(&a);
}

static void reuses_one_ordinary_chunk(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    arena_reset(&a);
    arena_alloc(&a, 100);
    size_t small = a.total;
    arena_alloc(&a, 10000);
    assert_true(a.total >= small + 10000);
    arena_reset(&a);
    size_t kept = a.total;
    assert_true(kept > 0 && kept < 20000);
    arena_alloc(&a, 10000);
    assert_int_equal(a.total, kept);
    /* a giant is not kept by an idle session */
    arena_alloc(&a, 1024 * 1024);
    arena_reset(&a);
    assert_true(a.total <= 64 * 1024);
    arena_alloc(&a, 100);
    arena_fini(&a);
}

static void grows_by_bounded_steps(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (size_t taken = 0; taken < 1024 * 1024; taken += 1024)
        arena_alloc(&a, 1024);
    assert_true(a.total < 1024 * 1024 + 3 * 64 * 1024);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_aligned_memory),
        cmocka_unit_test(keeps_what_was_given),
        cmocka_unit_test(copies),
        cmocka_unit_test(reuses_one_ordinary_chunk),
        cmocka_unit_test(grows_by_bounded_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
