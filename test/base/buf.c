#include "../check.h"

#include "base/buf.h"

#include <errno.h>

static void appends(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_append(&b, (slice){0});
    assert_null(b.ptr);
    buf_append(&b, SLICE("ab"));
    buf_byte(&b, 'c');
    buf_printf(&b, "%d", 42);
    check_slice("all", buf_slice(&b), SLICE("abc42"));
    buf_consume(&b, 3);
    check_slice("rest", buf_slice(&b), SLICE("42"));
    buf_consume(&b, 2);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
    buf_consume(&b, 0);
}

static void prints_at_any_length(void **state)
{
    (void)state;
    for (int len = 500; len < 530; len++) {
        struct buf b = BUF_INIT;
        buf_append(&b, SLICE("x"));
        buf_printf(&b, "%0*d", len, 7);
        assert_int_equal(b.len, len + 1);
        assert_int_equal(b.ptr[len], '7');
        assert_int_equal(b.error, 0);
        buf_fini(&b);
    }
}

static const struct {
    const char *name;
    size_t max, first, second;
    bool fits;
} bounds[] = {
    {"far below", 100, 10, 10, true},
    {"just fits", 100, 50, 50, true},
    {"one over", 100, 50, 51, false},
    {"first over", 100, 101, 0, false},
    {"large fits", 1000, 400, 600, true},
    {"large over", 1000, 400, 601, false},
    {"bound above the first step", 257, 256, 1, true},
    {"over it by one", 257, 256, 2, false},
};

static void fill(struct buf *b, size_t len, bool by_printf)
{
    char text[1024];
    memset(text, 'x', sizeof(text));
    if (by_printf)
        buf_printf(b, "%.*s", (int)len, text);
    else
        buf_append(b, (slice){text, len});
}

/* The bound counts bytes of content, whichever way they come. */
static void keeps_its_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bounds) * 2; i++) {
        size_t row = i / 2;
        struct buf b = BUF_BOUNDED(bounds[row].max);
        fill(&b, bounds[row].first, i % 2);
        size_t before = b.len;
        fill(&b, bounds[row].second, i % 2);
        check_int(bounds[row].name, b.error, bounds[row].fits ? 0 : -EMSGSIZE);
        CHECK(bounds[row].name,
              b.len == (bounds[row].fits ? bounds[row].first + bounds[row].second : before));
        /* sticky until cleared */
        size_t len = b.len;
        buf_byte(&b, 'y');
        if (!bounds[row].fits)
            CHECK(bounds[row].name, b.len == len);
        buf_clear(&b);
        CHECK(bounds[row].name, b.error == 0 && b.len == 0);
        buf_byte(&b, 'y');
        CHECK(bounds[row].name, b.len == 1);
        buf_fini(&b);
    }
}

static void reserves(void **state)
{
    (void)state;
    struct buf b = BUF_BOUNDED(1000);
    assert_int_equal(buf_reserve(&b, 1000), 0);
    assert_true(b.cap >= 1000);
    assert_int_equal(buf_reserve(&b, 1001), -EMSGSIZE);
    buf_clear(&b);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), -EMSGSIZE);
    buf_fini(&b);
    struct buf unbounded = BUF_INIT;
    assert_int_equal(buf_reserve(&unbounded, SIZE_MAX / 2), -EMSGSIZE);
    buf_fini(&unbounded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends),
        cmocka_unit_test(prints_at_any_length),
        cmocka_unit_test(keeps_its_bound),
        cmocka_unit_test(reserves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
