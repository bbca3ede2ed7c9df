#include "../check.h"

#include "codec/dot.h"

/* The rules once more, one byte at a time and without any thought of speed: what the decoder
 * must agree with. */
struct model {
    char content[64];
    size_t len;
    enum dot_fault fault;
    size_t used; /* bytes up to and with the end of data; 0: not seen */
};

static void model_note(struct model *m, enum dot_fault fault)
{
    if (m->fault == DOT_FINE)
        m->fault = fault;
}

/* The octets of a line of the content, from `from` to before its LF if it has one. */
static void model_run(struct model *m, slice in, size_t line_max)
{
    bool at_start = true;
    size_t line_len = 0;
    *m = (struct model){0};
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        slice rest = slice_from(in, i);
        if (at_start && slice_starts(rest, SLICE(".\r\n"))) {
            m->used = i + 3;
            return;
        }
        bool is_dot = at_start && c == '.';
        at_start = false;
        if (is_dot)
            continue;
        if (i > 0 && in.ptr[i - 1] == '\r' && c != '\n')
            model_note(m, DOT_BARE_CR);
        bool is_crlf = c == '\n' && i > 0 && in.ptr[i - 1] == '\r';
        if (c == '\n' && !is_crlf)
            model_note(m, DOT_BARE_LF);
        if (c == '\0')
            model_note(m, DOT_NUL);
        line_len++;
        if (line_max && line_len > line_max)
            model_note(m, DOT_LINE_TOO_LONG);
        if (c == '\n')
            line_len = 0;
        at_start = is_crlf;
        m->content[m->len++] = c;
    }
}

struct got {
    char content[64];
    size_t len;
    bool ended;
};

/* Feeds one piece; what it used. */
static size_t feed(struct dot_decoder *d, slice piece, struct got *g)
{
    slice in = piece;
    do {
        slice out;
        g->ended = dot_decode(d, &in, &out);
        if (out.len) {
            assert_true(out.ptr >= piece.ptr && out.ptr + out.len <= piece.ptr + piece.len);
            memcpy(g->content + g->len, out.ptr, out.len);
            g->len += out.len;
        }
    } while (in.len && !g->ended);
    return piece.len - in.len;
}

static void check_split(slice in, size_t a, size_t b, size_t line_max)
{
    struct model m;
    model_run(&m, in, line_max);
    struct dot_decoder d;
    struct got g = {0};
    dot_decoder_init(&d, line_max);
    size_t used = feed(&d, slice_to(in, a), &g);
    if (!g.ended)
        used += feed(&d, slice_to(slice_from(in, a), b - a), &g);
    if (!g.ended)
        used += feed(&d, slice_from(in, b), &g);
    check_int("end seen", g.ended, m.used != 0);
    check_int("used", (long long)used, (long long)(m.used ? m.used : in.len));
    if (m.used || in.len == 0 || in.ptr[in.len - 1] != '\r')
        check_int("fault", d.fault, m.fault);
    if (d.fault == DOT_FINE && g.ended)
        check_slice("content", (slice){g.content, g.len}, (slice){m.content, m.len});
}

/* Every string up to 6 bytes over these, at every split into three: the message ends only at
 * CRLF "." CRLF, faults and contents are those of the rules. */
static void agrees_with_the_rules_exhaustively(void **state)
{
    (void)state;
    static const char letters[] = {'\r', '\n', '.', '\0', 'x'};
    static const slice tails[] = {SLICE_INIT(""), SLICE_INIT("\r\n.\r\n")};
    char text[16];
    for (size_t len = 0; len <= 6; len++) {
        size_t count = 1;
        for (size_t i = 0; i < len; i++)
            count *= COUNT_OF(letters);
        for (size_t n = 0; n < count; n++) {
            size_t code = n;
            for (size_t i = 0; i < len; i++, code /= COUNT_OF(letters))
                text[i] = letters[code % COUNT_OF(letters)];
            slice tail = tails[n % 2];
            memcpy(text + len, tail.ptr, tail.len);
            slice in = {text, len + tail.len};
            for (size_t a = 0; a <= in.len; a++)
                check_split(in, a, in.len, 4);
            check_split(in, 1 < in.len ? 1 : in.len,
                        in.len / 2 + 1 < in.len ? in.len / 2 + 1 : in.len, 0);
        }
    }
}

/* Long lines, which are compared in blocks, with something special at each place. */
static void agrees_in_long_lines(void **state)
{
    (void)state;
    static const char specials[] = {'\r', '\n', '\0', '.', '\t', '\x0e', '\xff'};
    char text[48];
    for (size_t at = 0; at < 40; at++) {
        for (size_t i = 0; i < COUNT_OF(specials); i++) {
            memset(text, 'x', 40);
            text[at] = specials[i];
            memcpy(text + 40, "\r\n.\r\n", 5);
            for (size_t split = 0; split <= 45; split++)
                check_split((slice){text, 45}, split, 45, 0);
        }
    }
}

static const struct {
    const char *name;
    slice in;
    slice content;
    enum dot_fault fault;
    size_t used; /* 0: the end is not in it */
} rows[] = {
    {"empty message", SLICE_INIT(".\r\n"), SLICE_INIT(""), DOT_FINE, 3},
    {"a line", SLICE_INIT("hello\r\n.\r\n"), SLICE_INIT("hello\r\n"), DOT_FINE, 10},
    {"commands behind it stay", SLICE_INIT("a\r\n.\r\nQUIT\r\n"), SLICE_INIT("a\r\n"), DOT_FINE,
     6},
    {"doubled dot", SLICE_INIT("..\r\n..a\r\n.\r\n"), SLICE_INIT(".\r\n.a\r\n"), DOT_FINE, 12},
    {"single dot before text", SLICE_INIT(".a\r\n.\r\n"), SLICE_INIT("a\r\n"), DOT_FINE, 7},
    {"dot inside a line", SLICE_INIT("a.b.\r\n.\r\n"), SLICE_INIT("a.b.\r\n"), DOT_FINE, 9},
    {"LF . LF is no end", SLICE_INIT("a\n.\nQUIT\r\n.\r\n"), SLICE_INIT(""), DOT_BARE_LF, 13},
    {"LF . CRLF is no end", SLICE_INIT("a\n.\r\nQUIT\r\n.\r\n"), SLICE_INIT(""), DOT_BARE_LF,
     14},
    {"CRLF . LF is no end", SLICE_INIT("a\r\n.\nQUIT\r\n.\r\n"), SLICE_INIT(""), DOT_BARE_LF,
     14},
    {"CRLF . CR is no end", SLICE_INIT("a\r\n.\rQUIT\r\n.\r\n"), SLICE_INIT(""), DOT_BARE_CR,
     14},
    {"CR . CR is no end", SLICE_INIT("a\r.\rQUIT\r\n.\r\n"), SLICE_INIT(""), DOT_BARE_CR, 13},
    {"dot CR CR LF is no end", SLICE_INIT(".\r\r\n.\r\n"), SLICE_INIT(""), DOT_BARE_CR, 7},
    {"NUL", SLICE_INIT("a\0b\r\n.\r\n"), SLICE_INIT(""), DOT_NUL, 8},
    {"long line", SLICE_INIT("0123456789abcdef01234\r\n.\r\n"), SLICE_INIT(""),
     DOT_LINE_TOO_LONG, 26},
    {"line that just fits", SLICE_INIT("0123456789abcdef01\r\n.\r\n"),
     SLICE_INIT("0123456789abcdef01\r\n"), DOT_FINE, 23},
    {"its doubled dot does not count", SLICE_INIT("..123456789abcdef01\r\n.\r\n"),
     SLICE_INIT(".123456789abcdef01\r\n"), DOT_FINE, 24},
    {"not ended", SLICE_INIT("a\r\n."), SLICE_INIT("a\r\n"), DOT_FINE, 0},
};

static void decodes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t step = 1; step <= rows[i].in.len; step++) {
            struct dot_decoder d;
            struct got g = {0};
            dot_decoder_init(&d, 20);
            size_t used = 0;
            while (used < rows[i].in.len && !g.ended)
                used += feed(&d, slice_to(slice_from(rows[i].in, used), step), &g);
            check_int(rows[i].name, g.ended ? (long long)used : 0, (long long)rows[i].used);
            check_int(rows[i].name, d.fault, rows[i].fault);
            if (d.fault == DOT_FINE)
                check_slice(rows[i].name, (slice){g.content, g.len}, rows[i].content);
        }
    }
}

/* A long run of ordinary lines comes out as one slice. */
static void gives_ordinary_lines_as_one_run(void **state)
{
    (void)state;
    slice in = SLICE("one\r\ntwo\r\nthree\r\n..four\r\n.\r\n");
    slice out;
    struct dot_decoder d;
    dot_decoder_init(&d, 998);
    assert_false(dot_decode(&d, &in, &out));
    check_slice("first run", out, SLICE("one\r\ntwo\r\nthree\r\n"));
    assert_false(dot_decode(&d, &in, &out));
    check_slice("second run", out, SLICE(".four\r\n"));
    assert_true(dot_decode(&d, &in, &out));
    assert_int_equal(out.len, 0);
    assert_int_equal(in.len, 0);
}

static const struct {
    const char *name;
    const char *body;
    const char *wire;
} encoded[] = {
    {"empty", "", ".\r\n"},
    {"a line", "a\r\n", "a\r\n.\r\n"},
    {"no CRLF at the end", "a", "a\r\n.\r\n"},
    {"dots", ".\r\n..\r\na.b\r\n.c\r\n", "..\r\n...\r\na.b\r\n..c\r\n.\r\n"},
    {"only a dot", ".", "..\r\n.\r\n"},
};

static void encodes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(encoded); i++) {
        slice body = slice_of(encoded[i].body);
        for (size_t at = 0; at <= body.len; at++) {
            struct buf b = BUF_INIT;
            bool at_line_start = true;
            dot_encode(&b, slice_to(body, at), &at_line_start);
            dot_encode(&b, slice_from(body, at), &at_line_start);
            dot_finish(&b, at_line_start);
            check_slice(encoded[i].name, buf_slice(&b), slice_of(encoded[i].wire));
            buf_fini(&b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_rules_exhaustively),
        cmocka_unit_test(agrees_in_long_lines),
        cmocka_unit_test(decodes),
        cmocka_unit_test(gives_ordinary_lines_as_one_run),
        cmocka_unit_test(encodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
