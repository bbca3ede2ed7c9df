#include "../check.h"

#include "base/utf8.h"

static const struct {
    const char *name;
    slice text;
    bool is_valid;
} rows[] = {
    {"ASCII", SLICE_INIT("abc"), true},
    {"empty", SLICE_INIT(""), true},
    {"two octets", SLICE_INIT("\xc3\xbc"), true},
    {"three octets", SLICE_INIT("\xe2\x82\xac"), true},
    {"four octets", SLICE_INIT("\xf0\x9f\x93\xa7"), true},
    {"last code point", SLICE_INIT("\xf4\x8f\xbf\xbf"), true},
    {"over the last", SLICE_INIT("\xf4\x90\x80\x80"), false},
    {"overlong slash", SLICE_INIT("\xc0\xaf"), false},
    {"overlong in three", SLICE_INIT("\xe0\x80\xaf"), false},
    {"overlong in four", SLICE_INIT("\xf0\x80\x80\xaf"), false},
    {"surrogate", SLICE_INIT("\xed\xa0\x80"), false},
    {"lone tail", SLICE_INIT("\x80"), false},
    {"cut short", SLICE_INIT("\xe2\x82"), false},
    {"bad tail", SLICE_INIT("\xe2\x82x"), false},
    {"five octets", SLICE_INIT("\xf8\x88\x80\x80\x80"), false},
    {"0xff", SLICE_INIT("\xff"), false},
};

static void validates_utf8(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_int(rows[i].name, utf8_is_valid(rows[i].text), rows[i].is_valid);
}

static void cuts_between_sequences(void **state)
{
    (void)state;
    slice s = SLICE("a\xe2\x82\xac"
                    "b");
    static const size_t lengths[] = {0, 1, 1, 1, 4, 5, 5};
    for (size_t max = 0; max < COUNT_OF(lengths); max++)
        assert_int_equal(utf8_cut(s, max).len, lengths[max]);
    assert_int_equal(utf8_cut(SLICE("\x80\x80\x80\x80\x80\x80"), 5).len, 5);
}

/* The table against the definition, for every sequence of two bytes and many of more. */
static void agrees_with_the_code_points(void **state)
{
    (void)state;
    for (unsigned cp = 0; cp <= 0x10ffff; cp++) {
        char text[4];
        size_t len = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
        static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (size_t i = len; i-- > 1;)
            text[i] = (char)(0x80 | (cp >> 6 * (len - 1 - i) & 0x3f));
        text[0] = (char)(first[len] | cp >> 6 * (len - 1));
        bool is_surrogate = cp >= 0xd800 && cp <= 0xdfff;
        assert_int_equal(utf8_sequence((slice){text, len}), is_surrogate ? 0 : len);
        assert_int_equal(utf8_sequence((slice){text, len - 1}), 0);
    }
}

static void knows_ascii(void **state)
{
    (void)state;
    assert_true(utf8_is_ascii(SLICE("abc\x7f")));
    assert_true(utf8_is_ascii(SLICE("")));
    assert_false(utf8_is_ascii(SLICE("a\x80")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validates_utf8),
        cmocka_unit_test(cuts_between_sequences),
        cmocka_unit_test(agrees_with_the_code_points),
        cmocka_unit_test(knows_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
