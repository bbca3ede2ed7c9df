/* lock_story: a lock with its evidence as a text for a support person: who was locked and why,
 * what was sent before it and from where, how it ended or can be ended. Pure. What others wrote
 * is shown without bytes that a terminal would obey. Times are UTC. */
#ifndef CONTROL_LOCK_STORY_H
#define CONTROL_LOCK_STORY_H

#include "base/buf.h"
#include "control/ledger_locks.h"

void lock_story_write(struct buf *out, const struct ledger_lock *k, stamp now) NONNULL(1, 2);

/* "uid=0" as "the local user 0", "token=3" as "the API token 3". */
void lock_story_who(struct buf *out, slice by) NONNULL(1);
/* In percent of those whose end is known; false when none is. */
bool lock_story_share(const struct ledger_lock *k, unsigned *percent) NONNULL(1, 2);
/* It holds at this moment: its row may say so a little longer. */
bool lock_story_holds(const struct ledger_lock *k, stamp now) NONNULL(1);

#endif
