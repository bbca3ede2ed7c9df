/* account: what the data plane knows about who sends, in the form in which policy reads it. */
#ifndef POLICY_ACCOUNT_H
#define POLICY_ACCOUNT_H

#include "base/slice.h"
#include "base/stamp.h"
#include "policy/zone.h"

#include <stdint.h>

enum sender_right {
    SENDERS_ANY = 0,     /* any address */
    SENDERS_DOMAINS = 1, /* addresses in the listed domains */
    SENDERS_EXACT = 2,   /* the listed addresses */
};

enum account_state {
    ACCOUNT_ACTIVE = 0,
    ACCOUNT_LOCKED = 1,    /* by a rule or an operator, until `until` (STAMP_NEVER: for good) */
    ACCOUNT_SUSPENDED = 2, /* by its plan */
};

/* A copy for one session: it owns nothing, everything but the zone lives in the arena that it
 * was made in. */
struct account {
    uint64_t id;
    uint64_t customer;
    uint64_t credential; /* the one that signed in */
    uint64_t version;    /* of the directory, when this copy was made */
    slice login;
    slice language;           /* "en", "sv", "nb", "de" */
    const struct zone *zone;  /* lives as long as the directory that it is from */
    enum account_state state; /* the stricter of the account's and the customer's */
    stamp until;
    slice reason; /* of the lock, for people */
    enum sender_right right;
    const slice *senders; /* canonical domains or addresses */
    size_t sender_count;
    uint32_t max_recipients;  /* per message; 0: the server's limit alone */
    uint64_t max_size;        /* octets; 0: the server's limit alone */
    uint32_t told_recipients; /* RCPTMAX of a rule (RFC 9422), to be told; 0: none */
    uint64_t unlocked; /* locks by rule under older versions of the directory are lifted */
    bool is_control;   /* control sends, for the account or (id 0) for the system: tokens too */
};

#endif
