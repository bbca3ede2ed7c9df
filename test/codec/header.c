#include "../check.h"

#include "codec/header.h"

static const struct {
    const char *name;
    slice in;
    const char *fields; /* name=value|, in order */
    enum header_result last;
    size_t left;
} blocks[] = {
    {"empty", SLICE_INIT(""), "", HEADER_END, 0},
    {"empty line", SLICE_INIT("\r\nbody"), "", HEADER_END, 4},
    {"two fields", SLICE_INIT("A: 1\r\nB:2\r\n\r\nbody"), "A= 1|B=2|", HEADER_END, 4},
    {"no empty line", SLICE_INIT("A: 1\r\n"), "A= 1|", HEADER_END, 0},
    {"folded", SLICE_INIT("A: 1\r\n 2\r\n\t3\r\nB:\r\n"), "A= 1\r\n 2\r\n\t3|B=|", HEADER_END,
     0},
    {"blank before the colon", SLICE_INIT("From : x\r\n"), "From= x|", HEADER_END, 0},
    {"colons in the value", SLICE_INIT("A:b:c\r\n"), "A=b:c|", HEADER_END, 0},
    {"empty value", SLICE_INIT("A:\r\n"), "A=|", HEADER_END, 0},
    {"8-bit value", SLICE_INIT("A:\xff\r\n"), "A=\xff|", HEADER_END, 0},
    {"body without an empty line", SLICE_INIT("A: 1\r\nhello\r\n"), "A= 1|", HEADER_BAD, 7},
    {"continuation first", SLICE_INIT(" A: 1\r\n"), "", HEADER_BAD, 7},
    {"no name", SLICE_INIT(": 1\r\n"), "", HEADER_BAD, 5},
    {"blank in the name", SLICE_INIT("From x: 1\r\n"), "", HEADER_BAD, 11},
    {"mbox line", SLICE_INIT("From a@b Sun Nov 22 01:02:03 2026\r\n"), "", HEADER_BAD, 35},
    {"8-bit name", SLICE_INIT("\xc3\xbc: 1\r\n"), "", HEADER_BAD, 7},
    {"bare LF", SLICE_INIT("A: 1\nB: 2\r\n"), "", HEADER_BAD, 11},
    {"bare CR", SLICE_INIT("A: 1\rB: 2\r\n"), "", HEADER_BAD, 11},
    {"NUL", SLICE_INIT("A: \0\r\n"), "", HEADER_BAD, 6},
    {"bare LF in a continuation", SLICE_INIT("A: 1\r\n b\nc\r\n"), "", HEADER_BAD, 12},
    {"line not ended", SLICE_INIT("A: 1\r\nB: 2"), "A= 1|", HEADER_BAD, 4},
    {"LF alone", SLICE_INIT("\n"), "", HEADER_BAD, 1},
};

static void takes_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        char got[200];
        size_t len = 0;
        slice in = blocks[i].in;
        struct header_field f;
        enum header_result r;
        while ((r = header_next(&in, &f)) == HEADER_FIELD) {
            len += (size_t)snprintf(got + len, sizeof(got) - len, "%.*s=%.*s|",
                                    SLICE_ARG(f.name), SLICE_ARG(f.value));
            CHECK(blocks[i].name, slice_ends(f.raw, SLICE("\r\n")));
            CHECK(blocks[i].name, f.raw.ptr + f.raw.len == in.ptr);
            CHECK(blocks[i].name, f.raw.ptr == f.name.ptr);
        }
        check_int(blocks[i].name, r, blocks[i].last);
        check_slice(blocks[i].name, (slice){got, len}, slice_of(blocks[i].fields));
        check_int(blocks[i].name, (long long)in.len, (long long)blocks[i].left);
    }
}

static const struct {
    const char *message;
    size_t end;
} ends[] = {
    {"A: 1\r\n\r\nbody", 8}, {"\r\nbody", 2}, {"A: 1\r\nbody\r\n", 0},
    {"A: 1\r\n\r", 0},       {"", 0},         {"A\n\r\nB\r\n\r\n", 9},
    {"\n\r\n", 0},
};

static void finds_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        slice m = slice_of(ends[i].message);
        check_int(ends[i].message, (long long)header_end(m, 0), (long long)ends[i].end);
        size_t from = 0;
        size_t end = 0;
        for (size_t n = 0; n <= m.len && end == 0; n++) {
            end = header_end(slice_to(m, n), from);
            from = n;
        }
        check_int(ends[i].message, (long long)end, (long long)ends[i].end);
    }
}

static const struct {
    const char *value;
    const char *unfolded;
} folds[] = {
    {" a", "a"},
    {" a\r\n b\r\n\tc", "a b c"},
    {" a \r\n \t b  c ", "a b  c"},
    {"\r\n a", "a"},
    {" a\r\n ", "a"},
    {"", ""},
    {" ", ""},
    {"\r\n \r\n x", "x"},
};

static void unfolds(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT_OF(folds); i++)
        check_slice(folds[i].value, header_unfold(&a, slice_of(folds[i].value)),
                    slice_of(folds[i].unfolded));
    arena_fini(&a);
}

static const struct {
    const char *value;
    const char *found; /* each with '|'; NULL: MAILBOXES_SYNTAX */
} lists[] = {
    {"a@b.example", "a@b.example|"},
    {" A.b@C.Example ", "A.b@c.example|"},
    {"<a@b.example>", "a@b.example|"},
    {"Joe <a@b.example>", "a@b.example|"},
    {"Joe User <a@b.example>", "a@b.example|"},
    {"John Q. Public <a@b.example>", "a@b.example|"},
    {"\"Joe\" <a@b.example>", "a@b.example|"},
    {"Joe \"the\" User<a@b.example>", "a@b.example|"},
    {"a@b.example, Joe <c@d.example>", "a@b.example|c@d.example|"},
    {"a@b.example,\r\n\tc@d.example", "a@b.example|c@d.example|"},
    {"a@b.example, ,c@d.example,", "a@b.example|c@d.example|"},
    /* quoted names and comments may hold anything */
    {"\"a@b, <c@d>\" <real@x.example>", "real@x.example|"},
    {"\"a@b\" <real@x.example>", "real@x.example|"},
    {"\"say \\\"hi\\\" <a@b>\" <real@x.example>", "real@x.example|"},
    {"(<a@b>, \"c) real@x.example (d@e)", "real@x.example|"},
    {"a@b.example (Joe (the) User)", "a@b.example|"},
    {"(a\\)b@c) real@x.example", "real@x.example|"},
    {"Joe (x@y) <(z) a@b.example(w)> (v)", "a@b.example|"},
    {"a(x)@(y)b.example", "a@b.example|"},
    {"\"folded\r\n name\" <a@b.example>", "a@b.example|"},
    {"(folded\r\n comment) a@b.example", "a@b.example|"},
    /* encoded words */
    {"=?utf-8?q?J=C3=BCrgen?= <a@b.example>", "a@b.example|"},
    {"=?utf-8?B?w7w=?= =?utf-8?q?x?= <a@b.example>", "a@b.example|"},
    {"=?utf-8?q?M,_H:?= <a@b.example>", "a@b.example|"},
    {"=?utf-8?q?a=40c?= <a@b.example>", "a@b.example|"},
    {"=?utf-8?q?x@y?= <a@b.example>", NULL},
    {"=?utf-8?q?<x?= <a@b.example>", NULL},
    /* UTF-8 */
    {"J\xc3\xbcrgen <a@b.example>", "a@b.example|"},
    {"j\xc3\xbc@b\xc3\xbc\x63her.example", "j\xc3\xbc@xn--bcher-kva.example|"},
    {"J\xfcrgen <a@b.example>", NULL},
    {"\"J\xfcrgen\" <a@b.example>", NULL},
    /* local parts and domains */
    {"\"a b\"@c.example", "\"a b\"@c.example|"},
    {"\"a\"@c.example", "a@c.example|"},
    {"\"a\r\n b\"@c.example", "\"a b\"@c.example|"},
    {"a@[192.0.2.1]", "a@[192.0.2.1]|"},
    {"a @ b.example", "a@b.example|"},
    {"a@b.example.", NULL},
    {"a. b@c.example", NULL},
    {"\"a\".b@c.example", NULL},
    {"a..b@c.example", NULL},
    {".a@c.example", NULL},
    {"a@[b", NULL},
    {"a@b@c.example", NULL},
    {"a@", NULL},
    {"@b.example", NULL},
    /* groups */
    {"friends: a@b.example, Joe <c@d.example>;", "a@b.example|c@d.example|"},
    {"\"my friends\": a@b.example; , c@d.example", "a@b.example|c@d.example|"},
    {"undisclosed-recipients:;", ""},
    {"undisclosed recipients: ; (none)", ""},
    {"a@b.example, g:;", "a@b.example|"},
    {"g: a@b.example", NULL},
    {"g: h: a@b.example;;", NULL},
    {"g: h: a@b.example;", NULL},
    {"g: a@b.example; c@d.example", NULL},
    {": a@b.example;", NULL},
    {"a@b.example;", NULL},
    {"a@b.example; c@d.example", NULL},
    {"<a@b.example>:;", NULL},
    /* what could be read two ways, or not at all */
    {"", NULL},
    {" ", NULL},
    {",", NULL},
    {"(only a comment)", NULL},
    {"Joe", NULL},
    {"Joe User", NULL},
    {"a@b <c@d.example>", NULL},
    {"a@b.example <c@d.example>", NULL},
    {"Joe a@b.example", NULL},
    {"a@b.example Joe", NULL},
    {"Joe a@b <c@d.example>", NULL},
    {"<a@b.example> <c@d.example>", NULL},
    {"<a@b.example> c@d.example", NULL},
    {"a@b.example c@d.example", NULL},
    {"<<a@b.example>>", NULL},
    {"<a@b.example", NULL},
    {"a@b.example>", NULL},
    {"<a@b.example>>", NULL},
    {"<>", NULL},
    {"< >", NULL},
    {"<Joe a@b.example>", NULL},
    {"<@x.example:a@b.example>", NULL},
    {"<a@b.example,c@d.example>", NULL},
    {"\"Joe <a@b.example>", NULL},
    {"Joe\" <a@b.example>", NULL},
    {"(Joe <a@b.example>", NULL},
    {"((Joe) <a@b.example>", NULL},
    {"Joe) <a@b.example>", NULL},
    {"\"Joe\\\" <a@b.example>", NULL},
    {"Joe, User <a@b.example>", NULL},
    {"Joe: User <a@b.example>", NULL},
    {"Joe [x] <a@b.example>", NULL},
    {"Joe \\<x <a@b.example>", NULL},
    {".Joe <a@b.example>", NULL},
    {"a@b.example\r\nc@d.example", NULL},
    {"Joe\r\n<a@b.example>", NULL},
    {"a@b.example\n", NULL},
    {"\"Joe\x01\" <a@b.example>", NULL},
};

static void finds_the_addresses(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        const char *row = lists[i].value;
        slice *found = NULL;
        size_t count = 0;
        char got[200];
        size_t len = 0;
        check_int(row, header_mailboxes(&a, slice_of(row), 10, &found, &count),
                  lists[i].found ? MAILBOXES_OK : MAILBOXES_SYNTAX);
        for (size_t k = 0; k < count; k++)
            len += (size_t)snprintf(got + len, sizeof(got) - len, "%.*s|", SLICE_ARG(found[k]));
        check_slice(row, (slice){got, len}, slice_of(lists[i].found));
    }
    arena_fini(&a);
}

static void bounds_their_number(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    slice *found;
    size_t count;
    slice value = SLICE("a@x, b@x, c@x, d@x, e@x");
    assert_int_equal(header_mailboxes(&a, value, 5, &found, &count), MAILBOXES_OK);
    assert_int_equal(count, 5);
    check_slice("last", found[4], SLICE("e@x"));
    assert_int_equal(header_mailboxes(&a, value, 4, &found, &count), MAILBOXES_TOO_MANY);
    assert_int_equal(header_mailboxes(&a, SLICE("a@x\0, b@x"), 4, &found, &count),
                     MAILBOXES_SYNTAX);
    arena_fini(&a);
}

/* No prefix of any of them is read beyond its end. */
static void stays_inside_every_prefix(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        for (size_t n = 0; n < strlen(lists[i].value); n++) {
            char *copy = malloc(n + 1);
            memcpy(copy, lists[i].value, n);
            slice *found;
            size_t count;
            (void)header_mailboxes(&a, (slice){copy, n}, 10, &found, &count);
            free(copy);
        }
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_fields),
        cmocka_unit_test(finds_the_end),
        cmocka_unit_test(unfolds),
        cmocka_unit_test(finds_the_addresses),
        cmocka_unit_test(bounds_their_number),
        cmocka_unit_test(stays_inside_every_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
