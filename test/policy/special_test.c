/* Which addresses are not of the Internet: each range at both its ends and just outside. */
#include "policy/special.h"
#include "../check.h"

static const struct {
    const char *address;
    enum special special;
} rows[] = {
    {"0.0.0.0", SPECIAL_UNSPECIFIED},
    {"0.255.255.255", SPECIAL_UNSPECIFIED},
    {"1.0.0.0", SPECIAL_NOT},
    {"9.255.255.255", SPECIAL_NOT},
    {"10.0.0.0", SPECIAL_PRIVATE},
    {"10.255.255.255", SPECIAL_PRIVATE},
    {"11.0.0.0", SPECIAL_NOT},
    {"100.63.255.255", SPECIAL_NOT},
    {"100.64.0.0", SPECIAL_SHARED},
    {"100.127.255.255", SPECIAL_SHARED},
    {"100.128.0.0", SPECIAL_NOT},
    {"126.255.255.255", SPECIAL_NOT},
    {"127.0.0.0", SPECIAL_LOOPBACK},
    {"127.0.0.1", SPECIAL_LOOPBACK},
    {"127.255.255.255", SPECIAL_LOOPBACK},
    {"128.0.0.0", SPECIAL_NOT},
    {"169.253.255.255", SPECIAL_NOT},
    {"169.254.169.254", SPECIAL_LINK_LOCAL},
    {"169.255.0.0", SPECIAL_NOT},
    {"172.15.255.255", SPECIAL_NOT},
    {"172.16.0.0", SPECIAL_PRIVATE},
    {"172.31.255.255", SPECIAL_PRIVATE},
    {"172.32.0.0", SPECIAL_NOT},
    {"192.0.0.8", SPECIAL_RESERVED},
    {"192.0.1.0", SPECIAL_NOT},
    {"192.0.2.255", SPECIAL_DOCUMENTATION},
    {"192.0.3.0", SPECIAL_NOT},
    {"192.88.99.1", SPECIAL_RESERVED},
    {"192.167.255.255", SPECIAL_NOT},
    {"192.168.0.0", SPECIAL_PRIVATE},
    {"192.168.255.255", SPECIAL_PRIVATE},
    {"192.169.0.0", SPECIAL_NOT},
    {"198.17.255.255", SPECIAL_NOT},
    {"198.18.0.0", SPECIAL_RESERVED},
    {"198.19.255.255", SPECIAL_RESERVED},
    {"198.20.0.0", SPECIAL_NOT},
    {"198.51.100.7", SPECIAL_DOCUMENTATION},
    {"203.0.113.7", SPECIAL_DOCUMENTATION},
    {"223.255.255.255", SPECIAL_NOT},
    {"224.0.0.0", SPECIAL_MULTICAST},
    {"239.255.255.255", SPECIAL_MULTICAST},
    {"240.0.0.0", SPECIAL_RESERVED},
    {"255.255.255.254", SPECIAL_RESERVED},
    {"255.255.255.255", SPECIAL_MULTICAST},
    {"::", SPECIAL_UNSPECIFIED},
    {"::1", SPECIAL_LOOPBACK},
    {"64:ff9b:1::", SPECIAL_PRIVATE},
    {"100::1", SPECIAL_RESERVED},
    {"2001::1", SPECIAL_RESERVED},
    {"2001:1ff:ffff::", SPECIAL_RESERVED},
    {"2001:200::", SPECIAL_NOT},
    {"2001:db7:ffff::", SPECIAL_NOT},
    {"2001:db8::1", SPECIAL_DOCUMENTATION},
    {"2001:db9::", SPECIAL_NOT},
    {"2a00::1", SPECIAL_NOT},
    {"3fff:fff::", SPECIAL_DOCUMENTATION},
    {"3fff:1000::", SPECIAL_NOT},
    {"5f00::1", SPECIAL_RESERVED},
    {"fbff::", SPECIAL_NOT},
    {"fc00::", SPECIAL_PRIVATE},
    {"fdff::", SPECIAL_PRIVATE},
    {"fe80::1", SPECIAL_LINK_LOCAL},
    {"febf::1", SPECIAL_LINK_LOCAL},
    {"fec0::1", SPECIAL_PRIVATE},
    {"ff02::1", SPECIAL_MULTICAST},
    /* IPv4 inside */
    {"::ffff:127.0.0.1", SPECIAL_LOOPBACK},
    {"::ffff:1.2.3.4", SPECIAL_NOT},
    {"::127.0.0.1", SPECIAL_LOOPBACK},
    {"::1.2.3.4", SPECIAL_NOT},
    {"64:ff9b::10.1.2.3", SPECIAL_PRIVATE},
    {"64:ff9b::1.2.3.4", SPECIAL_NOT},
    {"2002:7f00:1::1", SPECIAL_LOOPBACK},
    {"2002:c0a8:101::1", SPECIAL_PRIVATE},
    {"2002:102:304::1", SPECIAL_NOT},
};

static void every_range_has_its_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address a;
        assert_true(address_parse(slice_of(rows[i].address), &a));
        check_int(rows[i].address, special_of(&a), rows[i].special);
    }
}

static void mapped_addresses_are_ipv4_even_when_somebody_kept_them(void **state)
{
    (void)state;
    struct address a = {.family = 6, .bytes = {[10] = 0xff, [11] = 0xff, [12] = 10}};
    assert_int_equal(special_of(&a), SPECIAL_PRIVATE);
    a.bytes[12] = 8;
    assert_int_equal(special_of(&a), SPECIAL_NOT);
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    for (enum special s = SPECIAL_NOT; s <= SPECIAL_RESERVED; s++)
        assert_true(strlen(special_name(s)) > 2);
    assert_string_equal(special_name(99), "an unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_range_has_its_ends),
        cmocka_unit_test(mapped_addresses_are_ipv4_even_when_somebody_kept_them),
        cmocka_unit_test(every_kind_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
