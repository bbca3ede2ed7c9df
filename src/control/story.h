/* story: the story of a message as a text for people who do not know SMTP: what happened, what
 * comes next and when, what to do. Pure: from the rows of the ledger to text. What others
 * wrote is shown without bytes that a terminal would obey. Times are UTC. */
#ifndef CONTROL_STORY_H
#define CONTROL_STORY_H

#include "base/buf.h"
#include "control/ledger.h"

void story_write(struct buf *out, const struct ledger_message *m, stamp now) NONNULL(1, 2);
/* Only why it is where it is: of each recipient that was not delivered the last attempt, what
 * it means, what comes next and what to do. */
void story_why(struct buf *out, const struct ledger_message *m, stamp now) NONNULL(1, 2);

/* What delivery says of the mail for a domain. */
struct story_domain {
    slice domain;
    slice transport; /* "direct", "smarthost", "capture" */
    slice relay;     /* the smarthost */
    bool is_held;    /* [delivery] hold */
    bool is_domain_held;
    bool is_known;    /* something waits or was sent a moment ago */
    uint64_t waiting; /* messages; of a smarthost, recipients of all domains */
    uint64_t connections;
    span pause; /* until the next attempt; 0: none */
    /* the last failure to reach it; text empty: none */
    struct ledger_attempt failure;
};
void story_why_domain(struct buf *out, const struct story_domain *d, stamp now) NONNULL(1, 2);

/* One line about an attempt that did not deliver: "The address does not exist there." */
const char *story_meaning(const struct ledger_attempt *a) NONNULL(1);
const char *story_advice(const struct ledger_attempt *a) NONNULL(1);

#endif
