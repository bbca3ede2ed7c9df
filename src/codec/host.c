#include "codec/host.h"

#include "base/utf8.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { NAME_MAX_LEN = 253, LABEL_MAX_LEN = 63 };

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_let_dig(char c, bool utf8)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || (utf8 && (unsigned char)c >= 0x80);
}

static bool is_label(slice s, bool utf8)
{
    /* the bound on labels counts A-labels; a U-label is bounded by the name's */
    if (s.len == 0 || (s.len > LABEL_MAX_LEN && utf8_is_ascii(s)))
        return false;
    if (s.ptr[0] == '-' || s.ptr[s.len - 1] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_let_dig(s.ptr[i], utf8) && s.ptr[i] != '-')
            return false;
    return true;
}

bool host_is_name(slice s, bool utf8)
{
    if (s.len == 0 || s.len > NAME_MAX_LEN || s.ptr[s.len - 1] == '.')
        return false;
    slice label;
    slice rest = s;
    while (slice_split(&rest, '.', &label))
        if (!is_label(label, utf8))
            return false;
    return !utf8 || utf8_is_valid(s);
}

bool host_is_helo(slice s)
{
    struct address a;
    return host_is_name(s, false) || address_literal_parse(s, &a);
}

bool address_parse(slice s, struct address *out)
{
    char text[ADDRESS_TEXT_MAX];
    if (s.len == 0 || s.len >= sizeof(text) || slice_find(s, '\0') >= 0)
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    struct address a = {0};
    if (inet_pton(AF_INET, text, a.bytes) == 1) {
        a.family = 4;
    } else if (inet_pton(AF_INET6, text, a.bytes) == 1) {
        a.family = 6;
        if (memcmp(a.bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
            struct address v4 = {.family = 4};
            memcpy(v4.bytes, a.bytes + sizeof(mapped_prefix), 4);
            a = v4;
        }
    } else {
        return false;
    }
    *out = a;
    return true;
}

bool address_literal_parse(slice s, struct address *out)
{
    static const slice tag = SLICE_INIT("IPv6:");
    if (s.len < 3 || s.ptr[0] != '[' || s.ptr[s.len - 1] != ']')
        return false;
    slice inner = {s.ptr + 1, s.len - 2};
    bool is_v6 = slice_istarts(inner, tag);
    if (is_v6)
        inner = slice_from(inner, tag.len);
    /* a colon tells the notations apart: IPv4 needs no tag, IPv6 must have one */
    if (is_v6 != (slice_find(inner, ':') >= 0))
        return false;
    return address_parse(inner, out);
}

void address_format(const struct address *a, char text[ADDRESS_TEXT_MAX])
{
    text[0] = '\0';
    if (a->family != 0)
        inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->bytes, text, ADDRESS_TEXT_MAX);
}

static size_t address_len(const struct address *a)
{
    return a->family == 4 ? 4 : a->family == 6 ? 16 : 0;
}

bool address_eq(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, address_len(a)) == 0;
}

bool address_is_loopback(const struct address *a)
{
    static const struct address v6 = {.family = 6, .bytes = {[15] = 1}};
    return (a->family == 4 && a->bytes[0] == 127) || address_eq(a, &v6);
}

struct address address_network(const struct address *a)
{
    struct address network = *a;
    if (network.family == 6)
        memset(network.bytes + 8, 0, 8);
    return network;
}

/* The first `bits` bits of both are the same. */
static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool host_bits_are_zero(const struct cidr *c)
{
    for (unsigned bit = c->prefix; bit < address_len(&c->address) * 8; bit++)
        if (c->address.bytes[bit / 8] & (0x80 >> (bit % 8)))
            return false;
    return true;
}

bool cidr_parse(slice s, struct cidr *out)
{
    ptrdiff_t slash = slice_find(s, '/');
    slice text = slash < 0 ? s : slice_to(s, (size_t)slash);
    struct cidr c = {0};
    if (!address_parse(text, &c.address))
        return false;
    unsigned bits = (unsigned)address_len(&c.address) * 8;
    /* an IPv4 range may be written as IPv4-mapped IPv6 */
    unsigned mapped = bits == 32 && slice_find(text, ':') >= 0 ? 96 : 0;
    uint64_t prefix = bits + mapped;
    if (slash >= 0) {
        slice digits = slice_from(s, (size_t)slash + 1);
        if (digits.len > 3 || !slice_to_u64(digits, &prefix))
            return false;
    }
    if (prefix < mapped || prefix - mapped > bits)
        return false;
    c.prefix = (uint8_t)(prefix - mapped);
    if (!host_bits_are_zero(&c))
        return false;
    *out = c;
    return true;
}

bool cidr_has(const struct cidr *c, const struct address *a)
{
    return a->family != 0 && a->family == c->address.family &&
           same_prefix(a->bytes, c->address.bytes, c->prefix);
}

void cidr_format(const struct cidr *c, char text[ADDRESS_TEXT_MAX])
{
    address_format(&c->address, text);
    size_t len = strlen(text);
    if (c->prefix != address_len(&c->address) * 8)
        snprintf(text + len, ADDRESS_TEXT_MAX - len, "/%u", c->prefix);
}
