/* special: addresses that are not of the public Internet (the IANA registries of
 * special-purpose addresses): no mail host of the world can be there, whatever DNS says.
 *
 * An IPv6 address that carries an IPv4 one (NAT64, 6to4, IPv4-compatible) is what the IPv4
 * address is, so that none is reached through a translator. */
#ifndef POLICY_SPECIAL_H
#define POLICY_SPECIAL_H

#include "codec/host.h"

enum special {
    SPECIAL_NOT, /* an address of the Internet */
    SPECIAL_LOOPBACK,
    SPECIAL_UNSPECIFIED, /* "this host" */
    SPECIAL_PRIVATE,     /* RFC 1918, RFC 4193 */
    SPECIAL_SHARED,      /* behind a carrier's NAT, RFC 6598 */
    SPECIAL_LINK_LOCAL,
    SPECIAL_MULTICAST, /* and broadcast */
    SPECIAL_DOCUMENTATION,
    SPECIAL_RESERVED,
};

enum special special_of(const struct address *a) NONNULL(1);
/* "a loopback", "a private": what stands before the word address. */
const char *special_name(enum special s);

#endif
