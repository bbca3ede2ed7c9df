#include "../check.h"

#include "codec/chunk.h"

static const struct {
    const char *argument;
    bool is_good;
    uint64_t size;
    bool is_last;
} rows[] = {
    {"0", true, 0, false},
    {"86", true, 86, false},
    {"86 LAST", true, 86, true},
    {" 86 \t last ", true, 86, true},
    {"0 LAST", true, 0, true},
    {"007", true, 7, false},
    {"9223372036854775807", true, INT64_MAX, false},
    {"9223372036854775808", false, 0, false},
    {"18446744073709551615", false, 0, false},
    {"18446744073709551616", false, 0, false},
    {"00000000000000000001", false, 0, false},
    {"-1", false, 0, false},
    {"+1", false, 0, false},
    {"", false, 0, false},
    {"LAST", false, 0, false},
    {"1 LAST LAST", false, 0, false},
    {"1 FIRST", false, 0, false},
    {"1LAST", false, 0, false},
    {"0x10", false, 0, false},
    {"1.5", false, 0, false},
};

static void parses_the_argument(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t size = 77;
        bool is_last = false;
        bool ok = chunk_parse(slice_of(rows[i].argument), &size, &is_last);
        check_int(rows[i].argument, ok, rows[i].is_good);
        CHECK(rows[i].argument, size == (ok ? rows[i].size : 77));
        check_int(rows[i].argument, is_last, rows[i].is_last);
    }
}

static const struct {
    const char *name;
    slice in;
    enum dot_fault fault;
} contents[] = {
    {"empty", SLICE_INIT(""), DOT_FINE},
    {"lines", SLICE_INIT("a\r\n\r\nb\r\n"), DOT_FINE},
    {"last line without CRLF", SLICE_INIT("a\r\nb"), DOT_FINE},
    {"a dot means nothing", SLICE_INIT(".\r\n..\r\n"), DOT_FINE},
    {"bare LF", SLICE_INIT("a\nb"), DOT_BARE_LF},
    {"bare LF first", SLICE_INIT("\n"), DOT_BARE_LF},
    {"bare CR", SLICE_INIT("a\rb"), DOT_BARE_CR},
    {"bare CR before a dot", SLICE_INIT("\r."), DOT_BARE_CR},
    {"CR at the end", SLICE_INIT("a\r"), DOT_BARE_CR},
    {"two CR", SLICE_INIT("a\r\r\n"), DOT_BARE_CR},
    {"NUL", SLICE_INIT("a\0"), DOT_NUL},
    {"line that fits", SLICE_INIT("12345678\r\n12345678\r\n"), DOT_FINE},
    {"long line", SLICE_INIT("12345678\r\n123456789\r\n"), DOT_LINE_TOO_LONG},
    {"first fault counts", SLICE_INIT("a\nb\r\0"), DOT_BARE_LF},
};

/* At every split into three. */
static void checks_contents(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        slice in = contents[i].in;
        for (size_t a = 0; a <= in.len; a++) {
            for (size_t b = a; b <= in.len; b++) {
                struct content_check c;
                content_check_init(&c, 10);
                content_check_feed(&c, slice_to(in, a));
                content_check_feed(&c, slice_to(slice_from(in, a), b - a));
                content_check_feed(&c, slice_from(in, b));
                content_check_end(&c);
                check_int(contents[i].name, c.fault, contents[i].fault);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_the_argument),
        cmocka_unit_test(checks_contents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
