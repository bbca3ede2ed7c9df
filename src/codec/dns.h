/* dns: the data of DNS records (RFC 1035 sections 3.1, 3.3.9, 3.4.1; RFC 3596; RFC 6698), as a
 * resolver hands it over: names are whole, never compressed. */
#ifndef CODEC_DNS_H
#define CODEC_DNS_H

#include "codec/host.h"

/* MX. The host is text without a final dot, "" for the root. An octet that has no place in
 * text, or a dot inside a label, becomes '?': the name is then no host name. False when the
 * data is malformed; nothing is changed then. */
bool dns_mx_read(struct arena *a, slice data, uint16_t *preference, slice *host)
    NONNULL(1, 3, 4);
/* A or AAAA, by its length; IPv4-mapped IPv6 is IPv4. */
bool dns_address_read(slice data, struct address *out) NONNULL(2);

/* A TLSA record (RFC 6698 section 2.1). */
struct dns_tlsa {
    uint8_t usage;    /* 2: an authority's certificate, 3: the server's own; 0, 1: see there */
    uint8_t selector; /* 0: the whole certificate, 1: its public key */
    uint8_t matching; /* 0: itself, 1: its SHA-256, 2: its SHA-512 */
    slice data;       /* borrowed */
};
/* False when the data is shorter than its three numbers and an octet; *out is untouched then.
 */
bool dns_tlsa_read(slice data, struct dns_tlsa *out) NONNULL(2);

#endif
