/* dns: the data of DNS records (RFC 1035 sections 3.1, 3.3.9, 3.4.1; RFC 3596), as a resolver
 * hands it over: names are whole, never compressed. */
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

#endif
