/* quoted-printable, written. That programs read it as it was meant, Python's does in
 * test/wire/messages_test.py and dsn_test.py. */
#include "codec/quoted.h"

#include "../check.h"

#define X25 "xxxxxxxxxxxxxxxxxxxxxxxxx"

static void texts(void **state UNUSED)
{
    static const struct {
        const char *name;
        const char *in;
        const char *want;
    } rows[] = {
        {"nothing", "", ""},
        {"a line", "a b\n", "a b\r\n"},
        {"without its end", "a", "a\r\n"},
        {"an empty line", "a\n\nb\n", "a\r\n\r\nb\r\n"},
        {"beyond ASCII", "Bl\xc3\xa5 = x\n", "Bl=C3=A5 =3D x\r\n"},
        {"a blank at the end", "a \nb\t\n", "a=20\r\nb=09\r\n"},
        {"a blank before another", " \t \n", " \t=20\r\n"},
        {"controls", "a\x01\x7f\r\n", "a=01=7F=0D\r\n"},
        {"mbox", "From me\nFrome\n", "=46rom me\r\nFrome\r\n"},
        {"dots", ".\n..a.\n", "=2E\r\n=2E.a.\r\n"},
        {"75 octets", X25 X25 X25 "\n", X25 X25 X25 "\r\n"},
        {"76 octets", X25 X25 X25 "y\n", X25 X25 X25 "=\r\ny\r\n"},
        {"no octet is split", X25 X25 X25 "\xc3\n", X25 X25 X25 "=\r\n=C3\r\n"},
        {"a dot after a soft end", X25 X25 X25 ".\n", X25 X25 X25 "=\r\n=2E\r\n"},
        {"From after a soft end", X25 X25 X25 "From x\n", X25 X25 X25 "=\r\n=46rom x\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = BUF_INIT;
        quoted_put_text(&out, slice_of(rows[i].in));
        check_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].want));
        buf_fini(&out);
    }
}

static void hexadecimal(void **state UNUSED)
{
    struct buf out = BUF_INIT;
    quoted_put_hex(&out, '%', 0xc3);
    quoted_put_hex(&out, '=', 0x0a);
    check_slice("hex", buf_slice(&out), SLICE("%C3=0A"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts), cmocka_unit_test(hexadecimal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
