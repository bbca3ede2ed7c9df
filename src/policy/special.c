#include "policy/special.h"

#define V4(prefix_, ...) .range = {.address = {4, {__VA_ARGS__}}, .prefix = (prefix_)}
#define V6(prefix_, ...) .range = {.address = {6, {__VA_ARGS__}}, .prefix = (prefix_)}

/* First match counts. */
static const struct {
    struct cidr range;
    enum special special;
} ranges[] = {
    {V4(8, 0), SPECIAL_UNSPECIFIED},
    {V4(8, 10), SPECIAL_PRIVATE},
    {V4(10, 100, 64), SPECIAL_SHARED},
    {V4(8, 127), SPECIAL_LOOPBACK},
    {V4(16, 169, 254), SPECIAL_LINK_LOCAL},
    {V4(12, 172, 16), SPECIAL_PRIVATE},
    {V4(24, 192, 0, 0), SPECIAL_RESERVED}, /* RFC 6890: protocol assignments */
    {V4(24, 192, 0, 2), SPECIAL_DOCUMENTATION},
    {V4(24, 192, 88, 99), SPECIAL_RESERVED}, /* RFC 7526: once the relays of 6to4 */
    {V4(16, 192, 168), SPECIAL_PRIVATE},
    {V4(15, 198, 18), SPECIAL_RESERVED}, /* RFC 2544: benchmarks */
    {V4(24, 198, 51, 100), SPECIAL_DOCUMENTATION},
    {V4(24, 203, 0, 113), SPECIAL_DOCUMENTATION},
    {V4(4, 224), SPECIAL_MULTICAST},
    {V4(32, 255, 255, 255, 255), SPECIAL_MULTICAST},
    {V4(4, 240), SPECIAL_RESERVED},

    {V6(128, 0), SPECIAL_UNSPECIFIED},
    {V6(128, [15] = 1), SPECIAL_LOOPBACK},
    {V6(48, 0, 0x64, 0xff, 0x9b, 0, 1), SPECIAL_PRIVATE}, /* RFC 8215: local translation */
    {V6(64, 1), SPECIAL_RESERVED},                        /* RFC 6666: discard */
    {V6(23, 0x20, 0x01), SPECIAL_RESERVED},               /* RFC 2928: Teredo, benchmarks */
    {V6(32, 0x20, 0x01, 0x0d, 0xb8), SPECIAL_DOCUMENTATION},
    {V6(20, 0x3f, 0xff), SPECIAL_DOCUMENTATION}, /* RFC 9637 */
    {V6(16, 0x5f), SPECIAL_RESERVED},            /* RFC 9602: segment identifiers */
    {V6(7, 0xfc), SPECIAL_PRIVATE},
    {V6(10, 0xfe, 0x80), SPECIAL_LINK_LOCAL},
    {V6(10, 0xfe, 0xc0), SPECIAL_PRIVATE}, /* RFC 3879: once site-local */
    {V6(8, 0xff), SPECIAL_MULTICAST},
};

/* IPv6 ranges whose addresses carry an IPv4 one, and at which octet. */
static const struct {
    struct cidr range;
    size_t at;
} carriers[] = {
    {V6(96, 0, 0x64, 0xff, 0x9b), 12}, /* RFC 6052: NAT64 */
    {V6(16, 0x20, 0x02), 2},           /* RFC 3056: 6to4 */
    {V6(96, 0), 12},                   /* RFC 4291 2.5.5.1: IPv4-compatible */
    {V6(96, [10] = 0xff, [11] = 0xff), 12},
};

enum special special_of(const struct address *a)
{
    for (size_t i = 0; i < COUNT_OF(ranges); i++)
        if (cidr_has(&ranges[i].range, a))
            return ranges[i].special;
    for (size_t i = 0; i < COUNT_OF(carriers); i++) {
        if (!cidr_has(&carriers[i].range, a))
            continue;
        struct address carried = {.family = 4};
        memcpy(carried.bytes, a->bytes + carriers[i].at, 4);
        return special_of(&carried);
    }
    return SPECIAL_NOT;
}

const char *special_name(enum special s)
{
    static const char *const names[] = {
        [SPECIAL_NOT] = "a public",
        [SPECIAL_LOOPBACK] = "a loopback",
        [SPECIAL_UNSPECIFIED] = "an unspecified",
        [SPECIAL_PRIVATE] = "a private",
        [SPECIAL_SHARED] = "a carrier's internal",
        [SPECIAL_LINK_LOCAL] = "a link-local",
        [SPECIAL_MULTICAST] = "a multicast",
        [SPECIAL_DOCUMENTATION] = "a documentation",
        [SPECIAL_RESERVED] = "a reserved",
    };
    return (unsigned)s < COUNT_OF(names) ? names[s] : "an unknown";
}
