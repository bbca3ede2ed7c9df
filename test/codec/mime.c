/* mime: what is composed from parts, and what may be given. That programs read it as it was
 * meant, Python's does in test/wire/messages_test.py. */
#include "codec/base64.h"
#include "codec/mime.h"

#include "../check.h"

static const struct mime_mailbox anna = {.address = SLICE_INIT("anna@example.com")};
static const struct mime_mailbox bo = {SLICE_INIT("Bo Ek"), SLICE_INIT("bo@example.net")};

static struct mime_letter letter(void)
{
    return (struct mime_letter){
        .from = anna, .to = {&bo, 1}, .subject = SLICE("Hi"), .boundary = SLICE("b")};
}

static void composes(const char *row, const struct mime_letter *l, const char *want)
{
    struct buf out = BUF_INIT;
    mime_compose(&out, l);
    assert_int_equal(out.error, 0);
    check_slice(row, buf_slice(&out), slice_of(want));
    buf_fini(&out);
}

#define TOP "From: anna@example.com\r\nTo: Bo Ek <bo@example.net>\r\nSubject: Hi\r\n"
#define PLAIN "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
#define HTML "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
#define MULTI(kind, n) "Content-Type: multipart/" kind ";\r\n boundary=\"=_b_" n "\"\r\n\r\n"

static void texts(void **state UNUSED)
{
    static const struct {
        const char *name;
        const char *text;
        const char *want;
    } rows[] = {
        {"plain", "a\r\nb\n", "7bit\r\n\r\na\r\nb\r\n"},
        {"no end", "a", "7bit\r\n\r\na\r\n"},
        {"empty", "", "7bit\r\n\r\n"},
        {"old ends", "a\rb\r\r\nc\n", "7bit\r\n\r\na\r\nb\r\n\r\nc\r\n"},
        {"8 bits", "Bl\xc3\xa5 = x\t\n", "quoted-printable\r\n\r\nBl=C3=A5 =3D x=09\r\n"},
        {"mbox", "From me\n", "quoted-printable\r\n\r\n=46rom me\r\n"},
        {"mostly strange", "\xe6\x97\xa5\xe6\x9c\xac\n", "base64\r\n\r\n5pel5pysDQo=\r\n"},
        {"control", "a very harmless text but for \x01\n",
         "quoted-printable\r\n\r\na very harmless text but for =01\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct mime_letter l = letter();
        char want[600];
        l.text = slice_of(rows[i].text);
        snprintf(want, sizeof(want), TOP "MIME-Version: 1.0\r\n" PLAIN "%s", rows[i].want);
        composes(rows[i].name, &l, want);
    }
}

static void long_lines(void **state UNUSED)
{
    char text[1200];
    struct buf out = BUF_INIT;
    memset(text, 'x', sizeof(text));
    struct mime_letter l = letter();
    l.text = slice_make(text, sizeof(text));
    l.subject = slice_make(text, sizeof(text));
    mime_compose(&out, &l);
    slice rest = buf_slice(&out);
    for (slice line; slice_split(&rest, '\n', &line);)
        CHECK("a line", line.len <= 77);
    buf_fini(&out);
}

static void parts(void **state UNUSED)
{
    const struct mime_part file = {
        SLICE("a.txt"), SLICE("text/x-log"), {0}, SLICE("QUJD\r\nREVG")};
    const struct mime_part shown = {
        .type = SLICE("image/png"), .id = SLICE("logo"), .base64 = SLICE("AA==")};
    const struct mime_part both[] = {file, shown};
    struct mime_letter l = letter();
    l.text = SLICE("t\n");
    l.html = SLICE("<p>\n");
    composes("alternatives", &l,
             TOP "MIME-Version: 1.0\r\n" MULTI("alternative",
                                               "2") "\r\n--=_b_2\r\n" PLAIN
                                                    "7bit\r\n\r\nt\r\n\r\n--=_b_2\r\n" HTML
                                                    "<p>\r\n\r\n--=_b_2--\r\n");
    l.text = (slice){0};
    l.parts = &shown;
    l.part_count = 1;
    composes("shown", &l,
             TOP "MIME-Version: 1.0\r\n" MULTI(
                 "related",
                 "3") "\r\n--=_b_3\r\n" HTML "<p>\r\n\r\n--=_b_3\r\nContent-Type: image/png\r\n"
                      "Content-Transfer-Encoding: base64\r\nContent-ID: <logo>\r\n"
                      "Content-Disposition: inline\r\n\r\nAA==\r\n\r\n--=_b_3--\r\n");
    l.html = (slice){0};
    l.parts = both;
    l.part_count = 2;
    composes(
        "attached", &l,
        TOP "MIME-Version: 1.0\r\n" MULTI(
            "mixed",
            "1") "\r\n--=_b_1\r\n" PLAIN
                 "7bit\r\n\r\n\r\n--=_b_1\r\nContent-Type: text/x-log\r\n"
                 "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n"
                 " filename=\"a.txt\"\r\n\r\nQUJDREVG\r\n\r\n--=_b_1\r\nContent-Type: image/png"
                 "\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <logo>\r\n"
                 "Content-Disposition: inline\r\n\r\nAA==\r\n\r\n--=_b_1--\r\n");
}

/* Nothing that is given ends a field or a part early. */
static void nothing_breaks_out(void **state UNUSED)
{
    const struct mime_mailbox evil = {SLICE("x\r\nBcc: y@z.test\r\n\r\n"), SLICE("a@b.test")};
    const struct mime_field field = {SLICE("X-A"), SLICE("1\r\nX-B: 2")};
    const struct mime_part part = {SLICE("a\"\r\nX: y"), SLICE("a/b\r\nX: y"), {0}, SLICE("")};
    struct mime_letter l = letter();
    l.to = (struct mime_mailboxes){&evil, 1};
    l.subject = SLICE("s\r\n\r\nbody");
    l.fields = &field;
    l.field_count = 1;
    l.parts = &part;
    l.part_count = 1;
    struct buf out = BUF_INIT;
    mime_compose(&out, &l);
    slice header = buf_slice(&out);
    header = slice_to(header, (size_t)slice_search(header, SLICE("MIME-Version")));
    CHECK("header", slice_search(header, SLICE("\nBcc")) < 0);
    CHECK("header", slice_search(header, SLICE("\nX-B")) < 0);
    CHECK("header", slice_search(header, SLICE("\r\n\r\n")) < 0);
    CHECK("part", slice_search(buf_slice(&out), SLICE("\nX: y")) < 0);
    CHECK("part", slice_search(buf_slice(&out), SLICE("application/octet-stream")) > 0);
    buf_fini(&out);
}

static void what_may_be_given(void **state UNUSED)
{
    static const char *const fields[] = {"X-Campaign", "List-Unsubscribe", "Auto-Submitted",
                                         "x_1"};
    static const char *const no_fields[] = {"",   "from", "BCC",       "Content-Type",  "X Y",
                                            "X:", "X\r",  "Resent-To", "DKIM-Signature"};
    static const char *const types[] = {"image/png", "application/vnd.ms-excel", "text/x-log"};
    static const char *const no_types[] = {
        "",         "image", "image/", "/png", "multipart/mixed", "message/rfc822",
        "a/b; c=d", "a/b/c"};
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        CHECK(fields[i], mime_is_free_field(slice_of(fields[i])));
    for (size_t i = 0; i < COUNT_OF(no_fields); i++)
        CHECK(no_fields[i], !mime_is_free_field(slice_of(no_fields[i])));
    for (size_t i = 0; i < COUNT_OF(types); i++)
        CHECK(types[i], mime_is_leaf_type(slice_of(types[i])));
    for (size_t i = 0; i < COUNT_OF(no_types); i++)
        CHECK(no_types[i], !mime_is_leaf_type(slice_of(no_types[i])));
}

static void base64(void **state UNUSED)
{
    static const struct {
        const char *coded;
        const char *octets; /* NULL: it is none */
    } rows[] = {
        {"", ""},
        {"Zg==", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"Zm9v\r\nYmFy", "foobar"},
        {"Z m 9 v\n", "foo"},
        {"Zg", NULL},
        {"Zg=", NULL},
        {"Zh==", NULL},
        {"Zm9=", NULL},
        {"=Zg=", NULL},
        {"Zg==Zg==", NULL},
        {"Zg===", NULL},
        {"Zm9-", NULL},
        {"====", NULL},
        {"Z===", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = BUF_INIT;
        bool is_good = mime_base64_decode(&out, slice_of(rows[i].coded));
        check_int(rows[i].coded, is_good, rows[i].octets != NULL);
        check_int(rows[i].coded, mime_is_base64(slice_of(rows[i].coded)), is_good);
        if (is_good)
            check_slice(rows[i].coded, buf_slice(&out), slice_of(rows[i].octets));
        buf_fini(&out);
    }
    struct buf lines = BUF_INIT;
    base64_write_lines(&lines, SLICE("foobarfo"), 8);
    check_slice("lines", buf_slice(&lines), SLICE("Zm9vYmFy\r\nZm8=\r\n"));
    buf_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(parts),
        cmocka_unit_test(nothing_breaks_out),
        cmocka_unit_test(what_may_be_given),
        cmocka_unit_test(base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
