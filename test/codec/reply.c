#include "../check.h"

#include "codec/reply.h"

static const struct {
    const char *name;
    unsigned code;
    struct enhanced enhanced;
    slice text;
    const char *wire;
} written[] = {
    {"plain", 220, {0}, SLICE_INIT("mail.example ESMTP"), "220 mail.example ESMTP\r\n"},
    {"enhanced", 250, {2, 1, 0}, SLICE_INIT("Ok"), "250 2.1.0 Ok\r\n"},
    {"no enhanced code in 3xx", 354, {2, 0, 0}, SLICE_INIT("Go on"), "354 Go on\r\n"},
    {"two lines", 550, {5, 7, 1}, SLICE_INIT("one\ntwo"), "550-5.7.1 one\r\n550 5.7.1 two\r\n"},
    {"empty line inside", 250, {0}, SLICE_INIT("a\n\nb"), "250-a\r\n250-\r\n250 b\r\n"},
    {"no text", 250, {0}, SLICE_INIT(""), "250 \r\n"},
    {"only an enhanced code", 250, {2, 0, 0}, SLICE_INIT(""), "250 2.0.0\r\n"},
    {"not printable", 550, {0}, SLICE_INIT("a\rb\0c\td\x7f"), "550 a?b?c?d?\r\n"},
    {"UTF-8 stays", 550, {0}, SLICE_INIT("\xc3\xbc\xff"), "550 \xc3\xbc?\r\n"},
};

static void writes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(written); i++) {
        struct buf b = BUF_INIT;
        reply_write(&b, written[i].code, written[i].enhanced, written[i].text);
        check_slice(written[i].name, buf_slice(&b), slice_of(written[i].wire));
        buf_fini(&b);
    }
}

/* Each line has the code, none is over 512 octets, no UTF-8 sequence is split, all the text is
 * there. */
static void breaks_long_lines(void **state)
{
    (void)state;
    char text[2500];
    for (size_t i = 0; i + 2 <= sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xbc", 2);
    for (int with_blanks = 0; with_blanks < 2; with_blanks++) {
        if (with_blanks)
            for (size_t i = 100; i + 2 <= sizeof(text); i += 100)
                memcpy(text + i, "x ", 2);
        struct buf b = BUF_INIT;
        reply_write(&b, 450, (struct enhanced){4, 7, 1}, (slice){text, sizeof(text)});
        slice rest = buf_slice(&b);
        slice line;
        size_t total = 0;
        while (slice_split(&rest, '\n', &line)) {
            assert_true(line.len + 1 <= REPLY_LINE_MAX);
            assert_true(
                slice_starts(line, rest.len ? SLICE("450-4.7.1 ") : SLICE("450 4.7.1 ")));
            assert_true(slice_find(line, '?') < 0);
            assert_true(!with_blanks || rest.len == 0 || line.ptr[line.len - 2] == 'x');
            total += line.len - 10 - 1 + (with_blanks && rest.len);
        }
        assert_int_equal(total, sizeof(text));
        buf_fini(&b);
    }
}

static const struct {
    const char *name;
    slice wire;
    enum reply_result result;
    uint16_t code;
    struct enhanced enhanced;
    const char *text;
    const char *lines; /* what on_line saw, each with '|' */
    size_t left;
} parsed[] = {
    {"plain", SLICE_INIT("250 Ok\r\n"), REPLY_DONE, 250, {0}, "Ok", "Ok|", 0},
    {"enhanced",
     SLICE_INIT("550 5.1.1 No such user\r\n"),
     REPLY_DONE,
     550,
     {5, 1, 1},
     "No such user",
     "No such user|",
     0},
    {"enhanced alone", SLICE_INIT("250 2.0.0\r\n"), REPLY_DONE, 250, {2, 0, 0}, "", "|", 0},
    {"multi-line",
     SLICE_INIT("250-mx.example\r\n250-SIZE 100\r\n250 DSN\r\n"),
     REPLY_DONE,
     250,
     {0},
     "mx.example\nSIZE 100\nDSN",
     "mx.example|SIZE 100|DSN|",
     0},
    {"multi-line enhanced",
     SLICE_INIT("550-5.7.1 one\r\n550 5.7.1 two\r\n"),
     REPLY_DONE,
     550,
     {5, 7, 1},
     "one\ntwo",
     "one|two|",
     0},
    {"enhanced on the second line",
     SLICE_INIT("550-one\r\n550 5.7.1 two\r\n"),
     REPLY_DONE,
     550,
     {5, 7, 1},
     "one\ntwo",
     "one|two|",
     0},
    {"class that does not fit",
     SLICE_INIT("450 5.7.1 x\r\n"),
     REPLY_DONE,
     450,
     {0},
     "5.7.1 x",
     "5.7.1 x|",
     0},
    {"address is no enhanced code",
     SLICE_INIT("250 2.0.0.1 x\r\n"),
     REPLY_DONE,
     250,
     {0},
     "2.0.0.1 x",
     "2.0.0.1 x|",
     0},
    {"number too long",
     SLICE_INIT("250 2.0.1000 x\r\n"),
     REPLY_DONE,
     250,
     {0},
     "2.0.1000 x",
     "2.0.1000 x|",
     0},
    {"bare LF", SLICE_INIT("250-a\n250 b\n"), REPLY_DONE, 250, {0}, "a\nb", "a|b|", 0},
    {"code alone", SLICE_INIT("354\r\n"), REPLY_DONE, 354, {0}, "", "|", 0},
    {"code and blank", SLICE_INIT("354 \r\n"), REPLY_DONE, 354, {0}, "", "|", 0},
    {"next reply stays", SLICE_INIT("250 a\r\n354 b\r\n"), REPLY_DONE, 250, {0}, "a", "a|", 7},
    {"not printable",
     SLICE_INIT("250 a\0b\rc\xff\r\n"),
     REPLY_DONE,
     250,
     {0},
     "a?b?c?",
     NULL,
     0},
    {"not ended", SLICE_INIT("250-a\r\n250 b\r"), REPLY_MORE, 0, {0}, NULL, "a|", 0},
    {"codes differ", SLICE_INIT("250-a\r\n550 b\r\n"), REPLY_BAD, 0, {0}, NULL, "a|", 0},
    {"no code", SLICE_INIT("hello\r\n"), REPLY_BAD, 0, {0}, NULL, "", 0},
    {"empty line", SLICE_INIT("\r\n"), REPLY_BAD, 0, {0}, NULL, "", 0},
    {"1xx", SLICE_INIT("150 x\r\n"), REPLY_BAD, 0, {0}, NULL, "", 0},
    {"6xx", SLICE_INIT("650 x\r\n"), REPLY_BAD, 0, {0}, NULL, "", 0},
    {"four digits", SLICE_INIT("2500 x\r\n"), REPLY_BAD, 0, {0}, NULL, "", 0},
    {"other mark", SLICE_INIT("250+x\r\n"), REPLY_BAD, 0, {0}, NULL, "", 0},
};

static void note_line(void *ctx, slice text)
{
    struct buf *seen = ctx;
    buf_append(seen, text);
    buf_byte(seen, '|');
}

static void parses_at_every_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(parsed); i++) {
        slice wire = parsed[i].wire;
        for (size_t step = 1; step <= wire.len; step++) {
            const char *row = parsed[i].name;
            struct reply_parser p;
            struct reply r = {0};
            struct buf seen = BUF_INIT;
            reply_parser_init(&p);
            size_t used = 0;
            enum reply_result result = REPLY_MORE;
            while (used < wire.len && result == REPLY_MORE) {
                slice piece = slice_to(slice_from(wire, used), step);
                slice in = piece;
                result = reply_parse(&p, &in, &r, note_line, &seen);
                used += piece.len - in.len;
            }
            check_int(row, result, parsed[i].result);
            check_int(row, (long long)(wire.len - used), (long long)parsed[i].left);
            check_int(row, r.code, parsed[i].code);
            if (parsed[i].text)
                check_slice(row, r.text, slice_of(parsed[i].text));
            check_int(row, memcmp(&r.enhanced, &parsed[i].enhanced, sizeof(r.enhanced)), 0);
            if (parsed[i].lines)
                check_slice(row, buf_slice(&seen), slice_of(parsed[i].lines));
            buf_fini(&seen);
        }
    }
}

static void parses_one_reply_after_the_other(void **state)
{
    (void)state;
    struct reply_parser p;
    struct reply r;
    reply_parser_init(&p);
    slice in = SLICE("550-5.1.1 a\r\n550 5.1.1 b\r\n250 c\r\n");
    assert_int_equal(reply_parse(&p, &in, &r, NULL, NULL), REPLY_DONE);
    check_slice("first", r.text, SLICE("a\nb"));
    assert_int_equal(reply_parse(&p, &in, &r, NULL, NULL), REPLY_DONE);
    check_slice("second", r.text, SLICE("c"));
    assert_int_equal(r.enhanced.class, 0);
    assert_int_equal(r.code, 250);
}

static void is_bounded(void **state)
{
    (void)state;
    struct reply_parser p;
    struct reply r = {0};
    reply_parser_init(&p);
    int lines = 0;
    enum reply_result result;
    do {
        slice in = SLICE("250-for ever and ever\r\n");
        result = reply_parse(&p, &in, &r, NULL, NULL);
        lines++;
    } while (result == REPLY_MORE && lines < 1000);
    assert_int_equal(result, REPLY_BAD);
    assert_int_equal(lines, REPLY_LINES_MAX + 1);

    char text[5000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "250 ", 4);
    memcpy(text + sizeof(text) - 2, "\r\n", 2);
    reply_parser_init(&p);
    slice in = {text, sizeof(text)};
    assert_int_equal(reply_parse(&p, &in, &r, NULL, NULL), REPLY_DONE);
    assert_int_equal(r.text.len, REPLY_TEXT_MAX);
    assert_int_equal(in.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes),
        cmocka_unit_test(breaks_long_lines),
        cmocka_unit_test(parses_at_every_step),
        cmocka_unit_test(parses_one_reply_after_the_other),
        cmocka_unit_test(is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
