#include "../check.h"

#include "codec/line.h"

struct row {
    const char *name;
    slice in;
    enum line_result result;
    slice line;
    size_t used;
};

/* with max 12 */
static const struct row rows[] = {
    {"nothing", SLICE_INIT(""), LINE_MORE, SLICE_INIT(""), 0},
    {"part of a line", SLICE_INIT("NOOP"), LINE_MORE, SLICE_INIT(""), 0},
    {"CR at the end may become CRLF", SLICE_INIT("NOOP\r"), LINE_MORE, SLICE_INIT(""), 0},
    {"a line", SLICE_INIT("NOOP\r\n"), LINE_OK, SLICE_INIT("NOOP"), 6},
    {"empty line", SLICE_INIT("\r\n"), LINE_OK, SLICE_INIT(""), 2},
    {"first of two", SLICE_INIT("A\r\nB\r\n"), LINE_OK, SLICE_INIT("A"), 3},
    {"just fits", SLICE_INIT("0123456789\r\n"), LINE_OK, SLICE_INIT("0123456789"), 12},
    {"as long as can be, not ended", SLICE_INIT("0123456789ab"), LINE_TOO_LONG, SLICE_INIT(""),
     12},
    {"all but its LF", SLICE_INIT("0123456789\r"), LINE_MORE, SLICE_INIT(""), 0},
    {"one too long", SLICE_INIT("0123456789a\r\n"), LINE_TOO_LONG, SLICE_INIT(""), 13},
    {"too long, not ended", SLICE_INIT("0123456789abc"), LINE_TOO_LONG, SLICE_INIT(""), 13},
    {"too long, next follows", SLICE_INIT("0123456789abc\r\nX"), LINE_TOO_LONG, SLICE_INIT(""),
     15},
    {"bare LF", SLICE_INIT("NOOP\nX"), LINE_BARE_LF, SLICE_INIT(""), 5},
    {"bare LF alone", SLICE_INIT("\n"), LINE_BARE_LF, SLICE_INIT(""), 1},
    {"bare CR", SLICE_INIT("NO\rOP\r\n"), LINE_BARE_CR, SLICE_INIT(""), 7},
    {"bare CR, not ended", SLICE_INIT("NO\rOP"), LINE_BARE_CR, SLICE_INIT(""), 5},
    {"two CR", SLICE_INIT("NO\r\r\n"), LINE_BARE_CR, SLICE_INIT(""), 5},
    {"NUL", SLICE_INIT("NO\0OP\r\n"), LINE_NUL, SLICE_INIT(""), 7},
    {"NUL, not ended", SLICE_INIT("\0"), LINE_NUL, SLICE_INIT(""), 1},
    {"first fault counts: NUL", SLICE_INIT("\0\rA\n"), LINE_NUL, SLICE_INIT(""), 4},
    {"first fault counts: CR", SLICE_INIT("\rA\0\n"), LINE_BARE_CR, SLICE_INIT(""), 4},
    {"fault beyond max", SLICE_INIT("0123456789abc\0\r\n"), LINE_TOO_LONG, SLICE_INIT(""), 16},
};

static void takes_whole_input(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        slice line = {"", 0};
        size_t used = 99;
        check_int(r->name, line_next(r->in, 12, &line, &used), r->result);
        check_int(r->name, (long long)used, (long long)r->used);
        check_slice(r->name, line, r->line);
    }
}

/* Offering one byte more each time gives the same result as the whole, as soon as there is one.
 */
static void takes_bytes_one_by_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        slice line = {"", 0};
        size_t used = 0;
        enum line_result result = LINE_MORE;
        for (size_t n = 0; n <= r->in.len && result == LINE_MORE; n++)
            result = line_next(slice_to(r->in, n), 12, &line, &used);
        check_int(r->name, result, r->result);
        check_slice(r->name, line, r->line);
        bool ended = used > 0 && r->in.ptr[used - 1] == '\n';
        if (result != LINE_MORE && !ended)
            used += line_skip(slice_from(r->in, used), &ended);
        check_int(r->name, (long long)used, (long long)r->used);
    }
}

static void skips_to_the_end_of_the_line(void **state)
{
    (void)state;
    bool ended;
    assert_int_equal(line_skip(SLICE("abc"), &ended), 3);
    assert_false(ended);
    assert_int_equal(line_skip(SLICE("ab\ncd\n"), &ended), 3);
    assert_true(ended);
    assert_int_equal(line_skip(SLICE(""), &ended), 0);
    assert_false(ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_whole_input),
        cmocka_unit_test(takes_bytes_one_by_one),
        cmocka_unit_test(skips_to_the_end_of_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
