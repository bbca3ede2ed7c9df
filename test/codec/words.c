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
    {"empty", "", 9, ""},
    {"plain", "Hi there!", 9, "=?utf-8?Q?Hi_there!?="},
    {"beyond ASCII", "Ditt konto är spärrat", 9, "=?utf-8?Q?Ditt_konto_=C3=A4r_sp=C3=A4rrat?="},
    {"what looks like a word", "=?x", 9, "=?utf-8?Q?=3D=3Fx?="},
    {"what a phrase reads", "a_b (\"c\")", 9, "=?utf-8?Q?a=5Fb_=28=22c=22=29?="},
    {"a line end is a blank", "a\r\nb", 9, "=?utf-8?Q?a__b?="},
    {"not UTF-8", "a\xff", 9, "=?utf-8?Q?a=3F?="},
    {"blanks at the ends", " a ", 9, "=?utf-8?Q?_a_?="},
    {"the last place on the line", "€", 52, "=?utf-8?Q?=E2=82=AC?="},
    {"no place on the line", "€", 53, "\r\n =?utf-8?Q?=E2=82=AC?="},
    {"no character is split", "xxxxxxxxxxxxxxxx€", 40,
     "=?utf-8?Q?xxxxxxxxxxxxxxxx?=\r\n =?utf-8?Q?=E2=82=AC?="},
};

static void words_are_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        struct buf out = BUF_INIT;
        size_t column = words_encode(&out, slice_of(writes[i].in), writes[i].column);
        slice line = buf_slice(&out);
        check_slice(writes[i].name, line, slice_of(writes[i].out));
        ptrdiff_t fold = slice_search(line, SLICE("\n"));
        check_int(
            writes[i].name, (long long)column,
            (long long)(fold < 0 ? writes[i].column + line.len : line.len - (size_t)fold - 1));
        buf_fini(&out);
    }
}

/* Lines are short, no character is split, and what was written is read again. */
static void long_text_is_folded(void **state)
{
    (void)state;
    for (size_t column = 1; column < 100; column += 7) {
        struct arena a = ARENA_INIT;
        struct buf text = BUF_INIT, out = BUF_INIT, unfolded = BUF_INIT;
        for (int i = 0; i < 60; i++)
            buf_printf(&text, "%då€ _", i);
        words_encode(&out, buf_slice(&text), column);
        slice rest = buf_slice(&out);
        slice line;
        size_t had = column;
        while (slice_split(&rest, '\n', &line)) {
            size_t len = line.len - (line.len > 0 && line.ptr[line.len - 1] == '\r');
            assert_true(had + len <= 76 || (len == 0 && had == column));
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
