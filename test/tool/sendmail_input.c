#include "../check.h"

#include "tool/sendmail_input.h"

#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X1000 X100 X100 X100 X100 X100 X100 X100 X100 X100 X100

static const struct row {
    const char *name;
    slice in;
    bool ends_at_dot;
    slice header;
    slice body;
    bool is_over;
    bool has_8bit;
    bool has_nul;
} rows[] = {
    {"LF", SLICE_INIT("A: 1\nB: 2\n\nx\ny\n"), true, SLICE_INIT("A: 1\r\nB: 2\r\n"),
     SLICE_INIT("x\r\ny\r\n")},
    {"CRLF", SLICE_INIT("A: 1\r\nB: 2\r\n\r\nx\r\ny\r\n"), true, SLICE_INIT("A: 1\r\nB: 2\r\n"),
     SLICE_INIT("x\r\ny\r\n")},
    {"mixed", SLICE_INIT("A: 1\nB: 2\r\n\nx\r\ny\n"), true, SLICE_INIT("A: 1\r\nB: 2\r\n"),
     SLICE_INIT("x\r\ny\r\n")},
    {"CR CR LF", SLICE_INIT("A: 1\r\r\n\r\r\nx\r\r\n"), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT("x\r\n")},
    {"nothing", SLICE_INIT(""), true, SLICE_INIT(""), SLICE_INIT("")},
    {"only a header", SLICE_INIT("A: 1\nB: 2"), true, SLICE_INIT("A: 1\r\nB: 2\r\n"),
     SLICE_INIT("")},
    {"no last line end", SLICE_INIT("A: 1\n\nx"), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT("x\r\n")},
    {"CR at the end", SLICE_INIT("A: 1\n\nx\r"), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT("x\r\n")},
    {"no header", SLICE_INIT("hello there\nx\n"), true, SLICE_INIT(""),
     SLICE_INIT("hello there\r\nx\r\n")},
    {"no header but an empty line", SLICE_INIT("\nA: 1\n"), true, SLICE_INIT(""),
     SLICE_INIT("A: 1\r\n")},
    {"a body without an empty line", SLICE_INIT("A: 1\nhello there\n\nB: 2\n"), true,
     SLICE_INIT("A: 1\r\n"), SLICE_INIT("hello there\r\n\r\nB: 2\r\n")},
    {"a colon in the first word of the text", SLICE_INIT("A: 1\nso it is: x\n"), true,
     SLICE_INIT("A: 1\r\n"), SLICE_INIT("so it is: x\r\n")},
    {"folded", SLICE_INIT("A: 1\n\t2\n  3\n\nx\n"), true, SLICE_INIT("A: 1\r\n\t2\r\n  3\r\n"),
     SLICE_INIT("x\r\n")},
    {"a fold without a field", SLICE_INIT(" A: 1\n\nx\n"), true, SLICE_INIT(""),
     SLICE_INIT(" A: 1\r\n\r\nx\r\n")},
    {"a blank before the colon", SLICE_INIT("A : 1\n\nx\n"), true, SLICE_INIT("A : 1\r\n"),
     SLICE_INIT("x\r\n")},
    {"no name", SLICE_INIT("A: 1\n: 2\n"), true, SLICE_INIT("A: 1\r\n"), SLICE_INIT(": 2\r\n")},
    {"mbox line", SLICE_INIT("From anna@example.com Sun Nov 22\nA: 1\n\nx\n"), true,
     SLICE_INIT("A: 1\r\n"), SLICE_INIT("x\r\n")},
    {"quoted mbox line", SLICE_INIT(">From anna Sun\nA: 1\n\nx\n"), true,
     SLICE_INIT("A: 1\r\n"), SLICE_INIT("x\r\n")},
    {"mbox line further down", SLICE_INIT("A: 1\nFrom anna Sun\nx\n"), true,
     SLICE_INIT("A: 1\r\n"), SLICE_INIT("From anna Sun\r\nx\r\n")},
    {"only an mbox line", SLICE_INIT("From anna Sun"), true, SLICE_INIT(""), SLICE_INIT("")},
    {"CR in a field", SLICE_INIT("A: 1\rBcc: eve@example.net\r\n\nx\n"), true,
     SLICE_INIT("A: 1 Bcc: eve@example.net\r\n"), SLICE_INIT("x\r\n")},
    {"CR in a name", SLICE_INIT("A\rB: 1\n\nx\n"), true, SLICE_INIT(""),
     SLICE_INIT("A\r\nB: 1\r\n\r\nx\r\n")},
    {"CRs in the body", SLICE_INIT("A: 1\n\none\rtwo\r\rthree\r\r\r\r\nfour\r\r\r\r"), true,
     SLICE_INIT("A: 1\r\n"),
     SLICE_INIT("one\r\ntwo\r\n\r\nthree\r\n\r\n\r\nfour\r\n\r\n\r\n\r\n")},
    {"dot", SLICE_INIT("A: 1\n\nx\n.\ny\n"), true, SLICE_INIT("A: 1\r\n"), SLICE_INIT("x\r\n"),
     true},
    {"dot, CRLF", SLICE_INIT("A: 1\r\n\r\nx\r\n.\r\ny\r\n"), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT("x\r\n"), true},
    {"dot at once", SLICE_INIT(".\nx\n"), true, SLICE_INIT(""), SLICE_INIT(""), true},
    {"dot in the header", SLICE_INIT("A: 1\n.\nx\n"), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT(""), true},
    {"dot first in the body", SLICE_INIT("A: 1\n\n.\nx\n"), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT(""), true},
    {"dot without a line end", SLICE_INIT("A: 1\n\nx\n."), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT("x\r\n"), true},
    {"what begins with a dot", SLICE_INIT("A: 1\n\n..\n.x\n. \n"), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT("..\r\n.x\r\n. \r\n")},
    {"dot behind a CR", SLICE_INIT("A: 1\n\nx\r.\ny\r.\r\nz\n"), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT("x\r\n.\r\ny\r\n.\r\nz\r\n")},
    {"dot before CRs", SLICE_INIT("A: 1\n\n.\rx\n.\r\r\r\n"), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT(".\r\nx\r\n.\r\n\r\n")},
    {"-i: dot", SLICE_INIT("A: 1\n\nx\n.\ny\n."), false, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT("x\r\n.\r\ny\r\n.\r\n")},
    {"-i: dot at once", SLICE_INIT(".\nx\n"), false, SLICE_INIT(""), SLICE_INIT(".\r\nx\r\n")},
    {"8 bits in the header", SLICE_INIT("A: \xc3\xa5\n\nx\n"), true,
     SLICE_INIT("A: \xc3\xa5\r\n"), SLICE_INIT("x\r\n"), false, true},
    {"8 bits in the body", SLICE_INIT("A: 1\n\n\xff\xfe\n"), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT("\xff\xfe\r\n"), false, true},
    {"8 bits behind the dot", SLICE_INIT("A: 1\n\n.\n\xff\n"), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT(""), true, false},
    {"NUL in the header", SLICE_INIT("A: \0\n\nx\n"), true, SLICE_INIT("A: \0\r\n"),
     SLICE_INIT("x\r\n"), false, false, true},
    {"NUL in the body", SLICE_INIT("A: 1\n\n\0\n"), true, SLICE_INIT("A: 1\r\n"),
     SLICE_INIT("\0\r\n"), false, false, true},
    {"a long line of text first", SLICE_INIT(X1000 "y\r\nz: 1\n"), true, SLICE_INIT(""),
     SLICE_INIT(X1000 "y\r\nz: 1\r\n")},
    {"a long line of text second", SLICE_INIT("A: 1\n." X1000 ": y\nz"), true,
     SLICE_INIT("A: 1\r\n"), SLICE_INIT("." X1000 ": y\r\nz\r\n")},
    {"a long field", SLICE_INIT("A: " X1000 "\n " X1000 "\n\nx\n"), true,
     SLICE_INIT("A: " X1000 "\r\n " X1000 "\r\n"), SLICE_INIT("x\r\n")},
    {"a long mbox line", SLICE_INIT("From " X1000 "\nA: 1\n\nx\n"), true,
     SLICE_INIT("A: 1\r\n"), SLICE_INIT("x\r\n")},
};

static void check_row(const struct row *row, size_t step)
{
    struct sendmail_input i;
    struct buf body = BUF_INIT;
    sendmail_input_init(&i, row->ends_at_dot);
    for (size_t at = 0; at < row->in.len; at += step) {
        /* memory of its own, so that a sanitizer sees what is read beyond a piece */
        slice piece = slice_to(slice_from(row->in, at), step);
        char *copy = malloc(piece.len);
        assert_non_null(copy);
        memcpy(copy, piece.ptr, piece.len);
        sendmail_input_feed(&i, slice_make(copy, piece.len), &body);
        free(copy);
    }
    sendmail_input_end(&i, &body);
    check_slice(row->name, buf_slice(&i.header), row->header);
    check_slice(row->name, buf_slice(&body), row->body);
    check_int(row->name, i.is_over, row->is_over);
    check_int(row->name, i.has_8bit, row->has_8bit);
    check_int(row->name, i.has_nul, row->has_nul);
    check_int(row->name, i.is_header_too_large, false);
    sendmail_input_fini(&i);
    buf_fini(&body);
}

static void mends_rows_in_pieces(void **state)
{
    static const size_t steps[] = {100000, 1, 2, 3, 5, 7, 998, 999, 1000};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t k = 0; k < COUNT_OF(steps); k++)
            check_row(&rows[i], steps[k]);
}

/* Every string of up to 7 of these: whole and byte by byte alike, and nothing bare comes out.
 */
static void check_string(slice in, bool ends_at_dot)
{
    struct buf bodies[2] = {BUF_INIT, BUF_INIT};
    for (int k = 0; k < 2; k++) {
        struct sendmail_input i;
        sendmail_input_init(&i, ends_at_dot);
        i.in_body = true;
        size_t step = k == 0 ? in.len : 1;
        for (size_t at = 0; at < in.len; at += step)
            sendmail_input_feed(&i, slice_to(slice_from(in, at), step), &bodies[k]);
        sendmail_input_end(&i, &bodies[k]);
        sendmail_input_fini(&i);
    }
    slice out = buf_slice(&bodies[0]);
    check_slice("whole and in pieces", buf_slice(&bodies[1]), out);
    assert_true(out.len == 0 || slice_ends(out, SLICE("\r\n")));
    for (size_t n = 0; n < out.len; n++) {
        if (out.ptr[n] == '\r')
            assert_true(out.ptr[n + 1] == '\n');
        if (out.ptr[n] == '\n')
            assert_true(n > 0 && out.ptr[n - 1] == '\r');
    }
    buf_fini(&bodies[0]);
    buf_fini(&bodies[1]);
}

static void puts_out_no_bare_line_end(void **state)
{
    static const char letters[] = "\r\n.x";
    (void)state;
    for (size_t len = 1; len <= 7; len++) {
        for (size_t n = 0; n < (size_t)1 << (2 * len); n++) {
            char text[7];
            for (size_t k = 0; k < len; k++)
                text[k] = letters[n >> (2 * k) & 3];
            check_string(slice_make(text, len), true);
            check_string(slice_make(text, len), false);
        }
    }
}

static void feed_many(struct sendmail_input *i, slice in, size_t times, struct buf *body)
{
    for (size_t n = 0; n < times; n++)
        sendmail_input_feed(i, in, body);
}

static void bounds_the_header(void **state)
{
    (void)state;
    static const slice field = SLICE_INIT("A: " X100 "\n");
    struct sendmail_input i;
    struct buf body = BUF_INIT;
    sendmail_input_init(&i, true);
    feed_many(&i, field, SENDMAIL_HEADER_MAX / (field.len + 1), &body);
    assert_false(i.is_header_too_large);
    feed_many(&i, field, 1, &body);
    assert_true(i.is_header_too_large);
    feed_many(&i, field, 10, &body);
    sendmail_input_end(&i, &body);
    assert_true(i.header.len <= SENDMAIL_HEADER_MAX);
    sendmail_input_fini(&i);
    sendmail_input_init(&i, true);
    sendmail_input_feed(&i, SLICE("A: "), &body);
    feed_many(&i, SLICE(X100), SENDMAIL_HEADER_MAX / 100 + 1, &body);
    assert_true(i.is_header_too_large);
    sendmail_input_fini(&i);
    assert_int_equal(body.len, 0);
    buf_fini(&body);
}

static void does_not_bound_a_line_of_text(void **state)
{
    (void)state;
    struct sendmail_input i;
    struct buf body = BUF_INIT;
    size_t times = 2 * SENDMAIL_HEADER_MAX / 100;
    sendmail_input_init(&i, true);
    feed_many(&i, SLICE(X100), times, &body);
    sendmail_input_end(&i, &body);
    assert_false(i.is_header_too_large);
    assert_int_equal(body.len, times * 100 + 2);
    sendmail_input_fini(&i);
    buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mends_rows_in_pieces),
        cmocka_unit_test(puts_out_no_bare_line_end),
        cmocka_unit_test(bounds_the_header),
        cmocka_unit_test(does_not_bound_a_line_of_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
