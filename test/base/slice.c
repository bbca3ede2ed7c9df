#include "../check.h"

static void compares(void **state)
{
    (void)state;
    slice none = {0};
    assert_true(slice_eq(none, SLICE("")));
    assert_true(slice_eq(SLICE("a\0b"), SLICE("a\0b")));
    assert_false(slice_eq(SLICE("a\0b"), SLICE("a\0c")));
    assert_true(slice_ieq(SLICE("Ab-9"), SLICE("aB-9")));
    assert_false(slice_ieq(SLICE("["), SLICE("{")));
    assert_false(slice_ieq(SLICE("\xc3\x9c"), SLICE("\xc3\xbc")));
    assert_int_equal(slice_cmp(SLICE("a"), SLICE("a")), 0);
    assert_true(slice_cmp(SLICE("a"), SLICE("ab")) < 0);
    assert_true(slice_cmp(SLICE("b"), SLICE("ab")) > 0);
    assert_true(slice_cmp(SLICE("\xff"), SLICE("a")) > 0);
    assert_true(slice_cmp(none, SLICE("a")) < 0);
    assert_int_equal(slice_cmp(none, none), 0);
}

static void knows_starts_and_ends(void **state)
{
    (void)state;
    assert_true(slice_starts(SLICE("abc"), SLICE("ab")));
    assert_true(slice_starts(SLICE("abc"), SLICE("")));
    assert_false(slice_starts(SLICE("a"), SLICE("ab")));
    assert_true(slice_istarts(SLICE("FROM:x"), SLICE("from:")));
    assert_false(slice_istarts(SLICE("FRO"), SLICE("from:")));
    assert_true(slice_ends(SLICE("abc"), SLICE("bc")));
    assert_true(slice_ends(SLICE(""), SLICE("")));
    assert_false(slice_ends(SLICE("c"), SLICE("bc")));
}

static void finds(void **state)
{
    (void)state;
    slice none = {0};
    assert_int_equal(slice_find(SLICE("abca"), 'a'), 0);
    assert_int_equal(slice_rfind(SLICE("abca"), 'a'), 3);
    assert_int_equal(slice_find(SLICE("a\0b"), 'b'), 2);
    assert_int_equal(slice_find(SLICE("abc"), 'x'), -1);
    assert_int_equal(slice_find(none, 'x'), -1);
    assert_int_equal(slice_rfind(none, 'x'), -1);
    assert_int_equal(slice_search(SLICE("ab\r\n\r\n"), SLICE("\r\n\r\n")), 2);
    assert_int_equal(slice_search(SLICE("ab"), SLICE("abc")), -1);
    assert_int_equal(slice_search(none, SLICE("a")), -1);
    assert_int_equal(slice_search(none, none), 0);
}

static void cuts(void **state)
{
    (void)state;
    slice none = {0};
    check_slice("from", slice_from(SLICE("abc"), 1), SLICE("bc"));
    check_slice("from beyond", slice_from(SLICE("abc"), 9), SLICE(""));
    check_slice("from of none", slice_from(none, 9), SLICE(""));
    check_slice("to", slice_to(SLICE("abc"), 2), SLICE("ab"));
    check_slice("to beyond", slice_to(SLICE("abc"), 9), SLICE("abc"));
    check_slice("trim", slice_trim(SLICE(" \ta b\t ")), SLICE("a b"));
    check_slice("trim all", slice_trim(SLICE(" \t ")), SLICE(""));
    check_slice("no CR or LF", slice_trim(SLICE("\r\n")), SLICE("\r\n"));
}

static void splits(void **state)
{
    (void)state;
    slice s = SLICE("a,,b");
    slice head;
    assert_true(slice_split(&s, ',', &head));
    check_slice("first", head, SLICE("a"));
    assert_true(slice_split(&s, ',', &head));
    check_slice("empty", head, SLICE(""));
    assert_true(slice_split(&s, ',', &head));
    check_slice("last", head, SLICE("b"));
    assert_false(slice_split(&s, ',', &head));
}

static const struct {
    const char *text;
    bool is_good;
    uint64_t value;
} numbers[] = {
    {"0", true, 0},
    {"007", true, 7},
    {"18446744073709551615", true, UINT64_MAX},
    {"18446744073709551616", false, 0},
    {"99999999999999999999", false, 0},
    {"", false, 0},
    {"-1", false, 0},
    {"+1", false, 0},
    {" 1", false, 0},
    {"1 ", false, 0},
    {"1x", false, 0},
};

static void reads_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        uint64_t n = 77;
        check_int(numbers[i].text, slice_to_u64(slice_of(numbers[i].text), &n),
                  numbers[i].is_good);
        CHECK(numbers[i].text, n == (numbers[i].is_good ? numbers[i].value : 77));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares), cmocka_unit_test(knows_starts_and_ends),
        cmocka_unit_test(finds),    cmocka_unit_test(cuts),
        cmocka_unit_test(splits),   cmocka_unit_test(reads_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
