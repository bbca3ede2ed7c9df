/* tls_level: how well the connection to a mail host must be protected, and what happens when it
 * cannot be.
 *
 *   NONE           TLS is not spoken
 *   OPPORTUNISTIC  when it is offered, with any certificate; in plain text if it fails (RFC
 * 7435) ENCRYPT        a must; any certificate VERIFY         a must; the certificate comes
 * from a trusted authority and is for the right name (RFC 6125) DANE           a must; the
 * certificate fits a TLSA record (RFC 7672)
 *
 * A must that cannot be had is tried again later and never weakened. */
#ifndef POLICY_TLS_LEVEL_H
#define POLICY_TLS_LEVEL_H

#include "policy/route.h"

enum tls_level {
    TLS_LEVEL_NONE,
    TLS_LEVEL_OPPORTUNISTIC,
    TLS_LEVEL_ENCRYPT,
    TLS_LEVEL_VERIFY,
    TLS_LEVEL_DANE,
};

/* From what the operator wants of a destination and what DANE says of its host. TLSA records
 * raise OPPORTUNISTIC and ENCRYPT, and take the place of VERIFY; NONE is the operator's word.
 */
enum tls_level tls_level_of(enum tls_level wanted, const struct route_dane *dane);

#endif
