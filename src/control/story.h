/* story: the story of a message as a text for people who do not know SMTP: what happened, what
 * comes next and when, what to do. Pure: from the rows of the ledger to text. What others
 * wrote is shown without bytes that a terminal would obey. Times are UTC. */
#ifndef CONTROL_STORY_H
#define CONTROL_STORY_H

#include "base/buf.h"
#include "control/ledger.h"

void story_write(struct buf *out, const struct ledger_message *m, stamp now) NONNULL(1, 2);

/* One line about an attempt that did not deliver: "The address does not exist there." */
const char *story_meaning(const struct ledger_attempt *a) NONNULL(1);
const char *story_advice(const struct ledger_attempt *a) NONNULL(1);

#endif
