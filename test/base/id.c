#include "../check.h"

#include "base/id.h"

/* 2026-11-22 01:02:03.456789 UTC */
#define NOW (1795309323 * SPAN_SECOND + 456789)

static void grows_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        span step;
        int count;
    } rows[] = {
        {"a usual second", SPAN_SECOND, 10},
        {"the clock stands still", 0, 100},
        {"more than 4096 in a millisecond", 0, 10000},
        {"the clock steps back an hour", -SPAN_HOUR, 100},
        {"and goes on from there", SPAN_MS, 100},
        {"and forward again", 2 * SPAN_HOUR, 10},
        {"to before 1970", -60 * 365 * SPAN_DAY, 10},
    };
    struct id_source s;
    stamp now = NOW;
    uint64_t last = 0;
    id_source_init(&s, 7, ID_DELIVERY);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        now += rows[i].step;
        for (int k = 0; k < rows[i].count; k++) {
            uint64_t id = id_next(&s, now);
            CHECK(rows[i].name, id > last);
            /* node and writer stay what they are, whatever the sequence carries */
            CHECK(rows[i].name, (id >> 14 & 0xff) == 7 && (id >> 12 & 3) == ID_DELIVERY);
            last = id;
        }
    }
}

static void says_when_it_was_made(void **state)
{
    (void)state;
    struct id_source s;
    id_source_init(&s, 255, ID_CONTROL);
    assert_int_equal(id_stamp(id_next(&s, NOW)), NOW / SPAN_MS * SPAN_MS);
    /* the 4,097th of a millisecond takes the next */
    for (int i = 1; i < 4096; i++)
        assert_int_equal(id_stamp(id_next(&s, NOW)), NOW / SPAN_MS * SPAN_MS);
    assert_int_equal(id_stamp(id_next(&s, NOW)), (NOW / SPAN_MS + 1) * SPAN_MS);
}

static void goes_on_after_recovery(void **state)
{
    (void)state;
    struct id_source before;
    struct id_source after;
    uint64_t seen = 0;
    id_source_init(&before, 3, ID_SMTPD);
    for (int i = 0; i < 5000; i++)
        seen = id_next(&before, NOW);
    id_source_init(&after, 3, ID_SMTPD);
    id_source_raise(&after, seen);
    id_source_raise(&after, 1); /* never lowers */
    assert_true(id_next(&after, NOW - SPAN_DAY) > seen);
    assert_true(id_next(&after, NOW) > seen);
}

static void is_never_zero(void **state)
{
    (void)state;
    struct id_source s;
    id_source_init(&s, 0, ID_SMTPD);
    assert_true(id_next(&s, 0) > 0);
    assert_true(id_next(&s, INT64_MIN) > 1);
}

static void differs_between_sources(void **state)
{
    (void)state;
    struct id_source a, b, c;
    id_source_init(&a, 1, ID_SMTPD);
    id_source_init(&b, 1, ID_DELIVERY);
    id_source_init(&c, 2, ID_SMTPD);
    uint64_t x = id_next(&a, NOW), y = id_next(&b, NOW), z = id_next(&c, NOW);
    assert_true(x != y && y != z && x != z);
}

static void has_text_in_the_same_order(void **state)
{
    (void)state;
    uint64_t random = 1;
    uint64_t last = 0;
    char last_text[ID_TEXT_LEN + 1];
    id_format(last, last_text);
    assert_string_equal(last_text, "0000000000000");
    for (int i = 0; i < 10000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t id = random >> (i % 64);
        char text[ID_TEXT_LEN + 1];
        uint64_t back;
        id_format(id, text);
        assert_int_equal(strlen(text), ID_TEXT_LEN);
        assert_true(id_parse(slice_of(text), &back) && back == id);
        int order = strcmp(text, last_text);
        assert_int_equal((order > 0) - (order < 0), (id > last) - (id < last));
        last = id;
        memcpy(last_text, text, sizeof(text));
    }
    id_format(UINT64_MAX, last_text);
    assert_string_equal(last_text, "fzzzzzzzzzzzz");
}

static const struct {
    const char *text;
    bool is_good;
} texts[] = {
    {"fzzzzzzzzzzzz", true},  {"FZZZZZZZZZZZZ", true},  {"0123456789abc", true},
    {"gzzzzzzzzzzzz", false}, {"000000000000", false},  {"00000000000000", false},
    {"000000000000i", false}, {"000000000000l", false}, {"000000000000o", false},
    {"000000000000u", false}, {"000000000000-", false}, {"", false},
    {"             ", false},
};

static void reads_only_ids(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        uint64_t id = 77;
        check_int(texts[i].text, id_parse(slice_of(texts[i].text), &id), texts[i].is_good);
        CHECK(texts[i].text, texts[i].is_good || id == 77);
    }
    uint64_t id;
    assert_false(id_parse(SLICE("000000000000\0"), &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_strictly),          cmocka_unit_test(says_when_it_was_made),
        cmocka_unit_test(goes_on_after_recovery),  cmocka_unit_test(is_never_zero),
        cmocka_unit_test(differs_between_sources), cmocka_unit_test(has_text_in_the_same_order),
        cmocka_unit_test(reads_only_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
