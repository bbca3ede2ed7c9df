/* retry: when a recipient is tried again (RFC 5321 section 4.5.4.1). */
#ifndef POLICY_RETRY_H
#define POLICY_RETRY_H

#include "base/stamp.h"

#include <stdbool.h>

struct retry_policy {
    span first;   /* after the first failure */
    span longest; /* the back-off doubles up to this */
    span expiry;  /* since acceptance: then the recipient has failed */
};

/* The next attempt after `attempts` failed ones (>= 1); random: 32 bits for the jitter of ±10
 * %. STAMP_NEVER when the message has expired. An attempt is made at the moment of expiry at
 * the latest. */
stamp retry_next(const struct retry_policy *p, stamp accepted, stamp now, unsigned attempts,
                 uint32_t random) __attribute__((nonnull(1)));

#endif
