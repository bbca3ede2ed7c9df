/* DNS record data: whole, cut anywhere, and with octets that have no place in a name. */
#include "../check.h"

#include "codec/dns.h"

#define L63 \
    "\x3f"  \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *name;
    slice data;
    unsigned preference;
    const char *host; /* NULL: malformed */
} mx_rows[] = {
    {"usual", SLICE_INIT("\0\x0a\2mx\7example\3org"), 10, "mx.example.org"},
    {"case is kept", SLICE_INIT("\xff\xff\2Mx\3ORG"), 65535, "Mx.ORG"},
    {"root", SLICE_INIT("\0\0"), 0, ""},
    {"longest label", SLICE_INIT("\0\1" L63), 1, A63},
    {"longest name",
     SLICE_INIT("\0\1" L63 L63 L63 "\x3d"
                "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
     1,
     A63 "." A63 "." A63 "."
         "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},
    {"name too long", SLICE_INIT("\0\1" L63 L63 L63 L63), 0, NULL},
    {"a dot in a label", SLICE_INIT("\0\1\3a.b"), 1, "a?b"},
    {"a NUL in a label", SLICE_INIT("\0\1\3a\0b"), 1, "a?b"},
    {"blank, control, eight bits", SLICE_INIT("\0\1\4 \x1b\x7f\xfc"), 1, "????"},
    {"a pointer", SLICE_INIT("\0\1\xc0\x0c"), 0, NULL},
    {"a label type of old", SLICE_INIT("\0\1\x40x"), 0, NULL},
    {"more behind the root", SLICE_INIT("\0\1\1a\0\1b"), 0, NULL},
    {"more behind a bare root", SLICE_INIT("\0\1\0"), 0, NULL},
};

static void mx_data_is_read(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT_OF(mx_rows); i++) {
        const char *row = mx_rows[i].name;
        uint16_t preference = 4711;
        slice host = SLICE("untouched");
        slice data = mx_rows[i].data;
        data.len++; /* the literal's NUL is the root */
        if (mx_rows[i].host) {
            CHECK(row, dns_mx_read(&a, data, &preference, &host));
            check_int(row, preference, mx_rows[i].preference);
            check_slice(row, host, slice_of(mx_rows[i].host));
        } else {
            CHECK(row, !dns_mx_read(&a, data, &preference, &host));
            check_int(row, preference, 4711);
            check_slice(row, host, SLICE("untouched"));
        }
    }
    arena_fini(&a);
}

static void mx_data_that_is_cut_is_malformed(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT_OF(mx_rows); i++)
        for (size_t len = 0; mx_rows[i].host && len <= mx_rows[i].data.len; len++) {
            char *copy = malloc(len ? len : 1); /* exactly this long, for the sanitizer */
            memcpy(copy, mx_rows[i].data.ptr, len);
            uint16_t preference;
            slice host;
            CHECK(mx_rows[i].name, !dns_mx_read(&a, slice_make(copy, len), &preference, &host));
            arena_reset(&a);
            free(copy);
        }
    arena_fini(&a);
}

static void addresses_are_told_by_their_length(void **state)
{
    (void)state;
    static const struct {
        slice data;
        const char *text; /* NULL: malformed */
    } rows[] = {
        {SLICE_INIT("\x7f\0\0\1"), "127.0.0.1"},
        {SLICE_INIT("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), "2001:db8::1"},
        {SLICE_INIT("\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1"), "10.0.0.1"},
        {SLICE_INIT("\0\0\0\0\0\0\0\0\0\0\xff\xfe\x0a\0\0\1"), "::fffe:a00:1"},
        {SLICE_INIT(""), NULL},
        {SLICE_INIT("\x7f\0\0"), NULL},
        {SLICE_INIT("\x7f\0\0\1\0"), NULL},
        {SLICE_INIT("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"), NULL},
        {SLICE_INIT("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0"), NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address a;
        char text[ADDRESS_TEXT_MAX];
        assert_int_equal(dns_address_read(rows[i].data, &a), rows[i].text != NULL);
        if (!rows[i].text)
            continue;
        address_format(&a, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void tlsa_data_has_three_numbers_and_more(void **state)
{
    (void)state;
    struct dns_tlsa t = {9, 9, 9, SLICE_INIT("untouched")};
    assert_false(dns_tlsa_read(SLICE(""), &t));
    assert_false(dns_tlsa_read(SLICE("\3\1\1"), &t));
    assert_int_equal(t.usage, 9);
    assert_true(dns_tlsa_read(SLICE("\3\1\2abc"), &t));
    assert_int_equal(t.usage, 3);
    assert_int_equal(t.selector, 1);
    assert_int_equal(t.matching, 2);
    assert_true(slice_eq(t.data, SLICE("abc")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mx_data_is_read),
        cmocka_unit_test(mx_data_that_is_cut_is_malformed),
        cmocka_unit_test(addresses_are_told_by_their_length),
        cmocka_unit_test(tlsa_data_has_three_numbers_and_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
