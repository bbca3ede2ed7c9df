/* Encoded words: read for people, written for fields. */
#include "codec/words.h"

#include "../check.h"

static const struct {
    const char *name;
    const char *in;
    const char *out;
} reads[] = {
    {"nothing", "", ""},
    {"plain", "Win now", "Win now"},
    {"one word in Q", "=?utf-8?q?bl=C3=A5_b=C3=A4r?=", "blå bär"},
    {"one word in B", "=?UTF-8?B?YmzDpQ==?=", "blå"},
    {"blanks between words go", "=?utf-8?q?a?=   =?utf-8?q?b?=", "ab"},
    {"blanks beside text stay", "x =?utf-8?q?a?= y", "x a y"},
    {"blanks at the end stay", "=?utf-8?q?a?= ", "a "},
    {"latin", "=?iso-8859-1?Q?sm=F6r?=", "smör"},
    {"windows", "=?windows-1252?q?10_=80?=", "10 €"},
    {"a language", "=?us-ascii*en?q?hi?=", "hi"},
    {"another charset stays", "=?koi8-r?q?a?= x", "=?koi8-r?q?a?= x"},
    {"another encoding stays", "=?utf-8?x?a?=", "=?utf-8?x?a?="},
    {"bad hex stays", "=?utf-8?q?=G1?=", "=?utf-8?q?=G1?="},
    {"a cut hex stays", "=?utf-8?q?a=C?=", "=?utf-8?q?a=C?="},
    {"bad UTF-8 stays", "=?utf-8?q?=C3?=", "=?utf-8?q?=C3?="},
    {"bad base64 stays", "=?utf-8?b?!?=", "=?utf-8?b?!?="},
    {"no end stays", "=?utf-8?q?a", "=?utf-8?q?a"},
    {"a blank inside stays", "=?utf-8?q?a b?=", "=?utf-8?q?a b?="},
    {"an empty word",
     "x=?utf-8?b?"
     "?=y",
     "xy"},
    {"only the mark", "=?", "=?"},
    {"raw UTF-8 stays", "blå", "blå"},
};

static void words_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(reads); i++) {
        struct arena a = ARENA_INIT;
        slice out = words_decode(&a, slice_of(reads[i].in));
        if (!slice_eq(out, slice_of(reads[i].out)))
            fail_msg("%s: \"%.*s\"", reads[i].name, SLICE_ARG(out));
        arena_fini(&a);
    }
}

/* Every beginning of every row is read without a word of harm. */
static void beginnings_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(reads); i++) {
        for (size_t len = 0; len <= strlen(reads[i].in); len++) {
            struct arena a = ARENA_INIT;
            char *exact = malloc(len + 1); /* the sanitizer sees what is read behind it */
            memcpy(exact, reads[i].in, len);
            exact = realloc(exact, len ? len : 1);
            slice out = words_decode(&a, slice_make(exact, len));
            assert_true(out.len <= 3 * len);
            free(exact);
            arena_fini(&a);
        }
    }
}

static const struct {
    const char *name;
    const char *in;
    size_t column;
    const char *out;
} writes[] = {
    {"plain", "Your account is locked", 9, "Your account is locked"},
    {"empty", "", 9, ""},
    {"beyond ASCII", "Ditt konto är spärrat", 9,
     "=?utf-8?b?RGl0dCBrb250byDDpHIgc3DDpHJyYXQ=?="},
    {"what looks like a word", "=?x", 9, "=?utf-8?b?PT94?="},
    {"a line end is a blank", "a\r\nb", 9, "a  b"},
    {"not UTF-8", "a\xff", 9, "a?"},
    {"blanks at the ends", " a ", 9, "=?utf-8?b?IGEg?="},
};

static void words_are_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        struct buf out = BUF_INIT;
        words_encode(&out, slice_of(writes[i].in), writes[i].column);
        if (!slice_eq(buf_slice(&out), slice_of(writes[i].out)))
            fail_msg("%s: \"%.*s\"", writes[i].name, SLICE_ARG(buf_slice(&out)));
        buf_fini(&out);
    }
}

/* Lines are short, no character is split, and what was written is read again. */
static void long_text_is_folded(void **state)
{
    (void)state;
    for (size_t column = 0; column < 100; column += 7) {
        struct arena a = ARENA_INIT;
        struct buf text = BUF_INIT, out = BUF_INIT, unfolded = BUF_INIT;
        for (int i = 0; i < 60; i++)
            buf_printf(&text, "%då€", i);
        words_encode(&out, buf_slice(&text), column);
        slice rest = buf_slice(&out);
        slice line;
        size_t had = column;
        while (slice_split(&rest, '\n', &line)) {
            size_t len = line.len - (line.len > 0 && line.ptr[line.len - 1] == '\r');
            assert_true(had > 60 || had + len <= 76);
            assert_true(len <= 76);
            had = 0;
            buf_append(&unfolded, slice_to(line, len));
        }
        assert_true(
            slice_eq(buf_slice(&text), words_decode(&a, slice_trim(buf_slice(&unfolded)))));
        buf_fini(&text);
        buf_fini(&out);
        buf_fini(&unfolded);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_read),
        cmocka_unit_test(beginnings_are_read),
        cmocka_unit_test(words_are_written),
        cmocka_unit_test(long_text_is_folded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
