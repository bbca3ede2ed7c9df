#include "../check.h"

#include "codec/host.h"

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *text;
    bool is_name;
    bool is_name_utf8;
    bool is_helo;
} names[] = {
    {"mail.example", true, true, true},
    {"DESKTOP-1", true, true, true},
    {"under_score.example", true, true, true},
    {"1.2.3.4", true, true, true},
    {A63 ".example", true, true, true},
    {"a" A63 ".example", false, false, false},
    {A63 "." A63 "." A63 "."
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     true, true, true},
    {A63 "." A63 "." A63 "."
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     false, false, false},
    {"", false, false, false},
    {".", false, false, false},
    {"mail.example.", false, false, false},
    {".mail.example", false, false, false},
    {"mail..example", false, false, false},
    {"-mail.example", false, false, false},
    {"mail-.example", false, false, false},
    {"mail example", false, false, false},
    {"mail\r\n.example", false, false, false},
    {"b\xc3\xbc\x63her.example", false, true, false},
    {"b\xff.example", false, false, false},
    {"[192.0.2.1]", false, false, true},
    {"[IPv6:::1]", false, false, true},
    {"[192.0.2.1", false, false, false},
    {"[mail.example]", false, false, false},
};

static void knows_host_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        slice s = slice_of(names[i].text);
        check_int(names[i].text, host_is_name(s, false), names[i].is_name);
        check_int(names[i].text, host_is_name(s, true), names[i].is_name_utf8);
        check_int(names[i].text, host_is_helo(s), names[i].is_helo);
    }
}

static const struct {
    const char *text;
    const char *format; /* NULL: refused */
    uint8_t family;
    bool is_loopback;
    const char *network;
} addresses[] = {
    {"192.0.2.1", "192.0.2.1", 4, false, "192.0.2.1"},
    {"127.1.2.3", "127.1.2.3", 4, true, "127.1.2.3"},
    {"::1", "::1", 6, true, "::"},
    {"2001:DB8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", 6, false, "2001:db8:1:2::"},
    {"::ffff:192.0.2.1", "192.0.2.1", 4, false, "192.0.2.1"},
    {"::ffff:127.0.0.1", "127.0.0.1", 4, true, "127.0.0.1"},
    {"", NULL, 0, false, NULL},
    {"192.0.2", NULL, 0, false, NULL},
    {"192.0.2.256", NULL, 0, false, NULL},
    {"192.0.2.1 ", NULL, 0, false, NULL},
    {"fe80::1%eth0", NULL, 0, false, NULL},
    {"2001:db8::1::2", NULL, 0, false, NULL},
    {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", NULL, 0, false, NULL},
};

static void parses_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        const char *row = addresses[i].text;
        struct address a;
        char text[ADDRESS_TEXT_MAX];
        check_int(row, address_parse(slice_of(row), &a), addresses[i].format != NULL);
        if (!addresses[i].format)
            continue;
        address_format(&a, text);
        assert_string_equal(text, addresses[i].format);
        check_int(row, a.family, addresses[i].family);
        check_int(row, address_is_loopback(&a), addresses[i].is_loopback);
        struct address network = address_network(&a);
        address_format(&network, text);
        assert_string_equal(text, addresses[i].network);
    }
    struct address a;
    assert_false(address_parse(SLICE("192.0.2.1\0"), &a));
}

static void has_no_text_for_no_address(void **state)
{
    (void)state;
    struct address none = {0};
    struct address other = {0};
    char text[ADDRESS_TEXT_MAX];
    address_format(&none, text);
    assert_string_equal(text, "");
    assert_true(address_eq(&none, &other));
    assert_false(address_is_loopback(&none));
}

static const struct {
    const char *text;
    const char *format; /* NULL: refused */
} literals[] = {
    {"[192.0.2.1]", "192.0.2.1"}, {"[IPv6:2001:db8::1]", "2001:db8::1"},
    {"[ipv6:::1]", "::1"},        {"[IPv6:::ffff:192.0.2.1]", "192.0.2.1"},
    {"[2001:db8::1]", NULL},      {"[IPv6:192.0.2.1]", NULL},
    {"192.0.2.1", NULL},          {"[]", NULL},
    {"[192.0.2.1]x", NULL},       {"[ 192.0.2.1]", NULL},
};

static void parses_literals(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(literals); i++) {
        struct address a;
        char text[ADDRESS_TEXT_MAX];
        bool ok = address_literal_parse(slice_of(literals[i].text), &a);
        check_int(literals[i].text, ok, literals[i].format != NULL);
        if (!ok)
            continue;
        address_format(&a, text);
        assert_string_equal(text, literals[i].format);
    }
}

static const struct {
    const char *text;
    const char *format; /* NULL: refused */
    const char *inside;
    const char *outside;
} cidrs[] = {
    {"192.0.2.0/24", "192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
    {"192.0.2.128/25", "192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
    {"192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.6"},
    {"192.0.2.7/32", "192.0.2.7", "192.0.2.7", "192.0.2.6"},
    {"0.0.0.0/0", "0.0.0.0/0", "203.0.113.9", "2001:db8::1"},
    {"::/0", "::/0", "2001:db8::1", "203.0.113.9"},
    {"2001:db8::/33", "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
    {"::1", "::1", "::1", "::2"},
    {"::ffff:192.0.2.0/120", "192.0.2.0/24", "192.0.2.1", "192.0.3.1"},
    {"::ffff:192.0.2.0/24", NULL, NULL, NULL},
    {"192.0.2.1/24", NULL, NULL, NULL},
    {"192.0.2.0/33", NULL, NULL, NULL},
    {"2001:db8::/129", NULL, NULL, NULL},
    {"192.0.2.0/", NULL, NULL, NULL},
    {"192.0.2.0/-1", NULL, NULL, NULL},
    {"192.0.2.0/24/8", NULL, NULL, NULL},
    {"192.0.2.0/0024", NULL, NULL, NULL},
    {"/24", NULL, NULL, NULL},
    {"", NULL, NULL, NULL},
    {"localhost", NULL, NULL, NULL},
};

static void parses_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cidrs); i++) {
        const char *row = cidrs[i].text;
        struct cidr c;
        struct address a;
        char text[ADDRESS_TEXT_MAX];
        check_int(row, cidr_parse(slice_of(row), &c), cidrs[i].format != NULL);
        if (!cidrs[i].format)
            continue;
        cidr_format(&c, text);
        assert_string_equal(text, cidrs[i].format);
        assert_true(address_parse(slice_of(cidrs[i].inside), &a));
        CHECK(row, cidr_has(&c, &a));
        assert_true(address_parse(slice_of(cidrs[i].outside), &a));
        CHECK(row, !cidr_has(&c, &a));
    }
    struct cidr any;
    struct address none = {0};
    assert_true(cidr_parse(SLICE("0.0.0.0/0"), &any));
    assert_false(cidr_has(&any, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_host_names),
        cmocka_unit_test(parses_addresses),
        cmocka_unit_test(has_no_text_for_no_address),
        cmocka_unit_test(parses_literals),
        cmocka_unit_test(parses_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
