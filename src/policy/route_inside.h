/* route_inside: what the parts of route share. For route*.c alone. */
#ifndef POLICY_ROUTE_INSIDE_H
#define POLICY_ROUTE_INSIDE_H

#include "policy/route.h"

/* Why there is no way, for one host or for the domain. The higher one decides when hosts
 * differ: what may be better the next time comes before what is for good. */
enum trouble {
    TROUBLE_NONE,
    TROUBLE_NO_ADDRESS,
    TROUBLE_SPECIAL, /* only addresses to which nothing is sent, see special.h */
    TROUBLE_HOME,    /* the same, where nobody but this machine would answer */
    TROUBLE_SELF,
    TROUBLE_BOGUS,
    TROUBLE_UNANSWERED,
    TROUBLE_BAD_DOMAIN,
    TROUBLE_NO_DOMAIN,
    TROUBLE_NO_MAIL_HOST,
    TROUBLE_NULL_MX,
};

/* There is a way to r->targets. */
void route_make(struct route *r) NONNULL(1);
/* There is none, because of this host, whose note says why. */
void route_make_trouble(struct route *r, enum trouble trouble, const struct route_host *h)
    NONNULL(1, 3);

bool route_is_unanswered(const struct dns_answer *answer) NONNULL(1);
/* "SERVFAIL", "no answer in time": why an answer is none. */
slice route_answer_why(struct route *r, const struct dns_answer *answer) NONNULL(1, 2);

/* Of those with targets: which names are asked for TLSA records. False: none. */
bool route_ask_tlsa(struct route *r) NONNULL(1);

#endif
