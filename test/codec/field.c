/* Header fields, written: what is folded, quoted and encoded. */
#include "codec/field.h"

#include "../check.h"

#define TEN "ten-octets"
#define FIFTY "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void unstructured(void **state UNUSED)
{
    static const struct {
        const char *name;
        const char *in;
        const char *want;
    } rows[] = {
        {"empty", "", "S:\r\n"},
        {"plain", "Your account is locked", "S: Your account is locked\r\n"},
        {"beyond ASCII", "Ditt konto är spärrat",
         "S: =?utf-8?Q?Ditt_konto_=C3=A4r_sp=C3=A4rrat?=\r\n"},
        {"what looks like a word", "=?x", "S: =?utf-8?Q?=3D=3Fx?=\r\n"},
        {"blanks that a fold would lose", "a  b", "S: =?utf-8?Q?a__b?=\r\n"},
        {"blanks at the ends", " a", "S: =?utf-8?Q?_a?=\r\n"},
        {"a line end", "a\r\nBcc: x", "S: =?utf-8?Q?a__Bcc=3A_x?=\r\n"},
        {"folded", TEN " " TEN " " TEN " " TEN " " TEN " " TEN " " TEN,
         "S: " TEN " " TEN " " TEN " " TEN " " TEN " " TEN "\r\n " TEN "\r\n"},
        {"a word longer than a line", FIFTY FIFTY, "S:\r\n " FIFTY FIFTY "\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = BUF_INIT;
        field_write(&out, SLICE("S"), slice_of(rows[i].in));
        check_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].want));
        buf_fini(&out);
    }
}

static void a_word_without_end_is_encoded(void **state UNUSED)
{
    struct buf out = BUF_INIT;
    field_write(&out, SLICE("S"), SLICE(FIFTY FIFTY FIFTY FIFTY "x"));
    slice rest = buf_slice(&out), line;
    CHECK("encoded", slice_starts(rest, SLICE("S: =?utf-8?Q?x")));
    while (slice_split(&rest, '\n', &line))
        CHECK("a line", line.len <= 77);
    buf_fini(&out);
}

static void phrases(void **state UNUSED)
{
    static const struct {
        const char *name;
        const char *in;
        const char *want;
    } rows[] = {
        {"atoms", "Bo O'Ek_1", "F: Bo O'Ek_1\r\n"},
        {"quoted", "Ek, Bo \"b\\o\"", "F: \"Ek, Bo \\\"b\\\\o\\\"\"\r\n"},
        {"encoded", "Bo Åkesson", "F: =?utf-8?Q?Bo_=C3=85kesson?=\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = BUF_INIT;
        struct field_fold f = field_begin(&out, SLICE("F"));
        field_put_phrase(&f, slice_of(rows[i].in));
        field_end(&f);
        check_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].want));
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unstructured),
        cmocka_unit_test(a_word_without_end_is_encoded),
        cmocka_unit_test(phrases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
