#include "../check.h"

#include "base/stamp.h"

static const struct {
    stamp at;
    const char *text;
    const char *mail;
} rows[] = {
    {0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 +0000"},
    {1795309323 * SPAN_SECOND + 456789, "2026-11-22T01:02:03.456Z",
     "Sun, 22 Nov 2026 01:02:03 +0000"},
    {951782400 * SPAN_SECOND, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 +0000"},
    {-1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 +0000"},
    {-SPAN_SECOND, "1969-12-31T23:59:59.000Z", "Wed, 31 Dec 1969 23:59:59 +0000"},
    {4102444799 * SPAN_SECOND + 999999, "2099-12-31T23:59:59.999Z",
     "Thu, 31 Dec 2099 23:59:59 +0000"},
};

static void formats(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[STAMP_TEXT_MAX];
        stamp_format(rows[i].at, text);
        assert_string_equal(text, rows[i].text);
        stamp_format_mail(rows[i].at, text);
        assert_string_equal(text, rows[i].mail);
    }
}

static void fits_at_both_ends(void **state)
{
    (void)state;
    static const stamp ends[] = {INT64_MIN, STAMP_NEVER};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        char text[STAMP_TEXT_MAX];
        stamp_format(ends[i], text);
        assert_true(strlen(text) < 32);
        stamp_format_mail(ends[i], text);
        assert_true(strlen(text) < 40);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats),
        cmocka_unit_test(fits_at_both_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
