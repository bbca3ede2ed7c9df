/* host: host names, address literals, addresses and CIDR ranges (RFC 5321 4.1.2-3, RFC 1123).
 */
#ifndef CODEC_HOST_H
#define CODEC_HOST_H

#include "base/arena.h"

/* An IPv4 or IPv6 address; IPv4-mapped IPv6 is stored as IPv4. */
struct address {
    uint8_t family; /* 4, 6, or 0: none (a Unix socket) */
    uint8_t bytes[16];
};

enum { ADDRESS_TEXT_MAX = 48 };

struct cidr {
    struct address address;
    uint8_t prefix;
};

/* Labels of letters, digits, hyphens (and underscores, which live hosts use), at most 253
 * octets; U-labels allowed when `utf8`. A final dot is not allowed. */
bool host_is_name(slice s, bool utf8);
/* EHLO's argument: a name or a literal. */
bool host_is_helo(slice s);

/* "192.0.2.1", "2001:db8::1" (inet_pton): false for anything else. */
bool address_parse(slice s, struct address *out) NONNULL(2);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]". */
bool address_literal_parse(slice s, struct address *out) NONNULL(2);
/* As inet_ntop writes it, NUL-terminated; empty for family 0. */
void address_format(const struct address *a, char text[ADDRESS_TEXT_MAX]) NONNULL(1);
bool address_eq(const struct address *a, const struct address *b) NONNULL(1, 2);
/* 127.0.0.0/8 or ::1. */
bool address_is_loopback(const struct address *a) NONNULL(1);
/* The network to which per-address limits apply: the address itself for IPv4, its /64 for IPv6.
 */
struct address address_network(const struct address *a) NONNULL(1);

/* "192.0.2.0/24"; without a slash one address. Host bits must be zero: false otherwise. */
bool cidr_parse(slice s, struct cidr *out) NONNULL(2);
/* Is the address in the range, and of its family? */
bool cidr_has(const struct cidr *c, const struct address *a) NONNULL(1, 2);
/* As cidr_parse reads it, NUL-terminated; without a prefix when it is one address. */
void cidr_format(const struct cidr *c, char text[ADDRESS_TEXT_MAX]) NONNULL(1);

#endif
