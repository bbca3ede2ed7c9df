/* projection: from one journal record to the rows of the ledger. */
#ifndef CONTROL_PROJECTION_H
#define CONTROL_PROJECTION_H

#include "control/ledger.h"
#include "journal/reader.h"

/* In a transaction of the ledger; scratch memory comes from the arena. 0; -ENOTSUP: a record
 * that this program does not know and may not pass over; -EBADMSG: its fields make no sense
 * (nothing was written); another -errno of the ledger. */
int projection_put(struct ledger *l, const struct journal_record *record,
                   struct arena *a) MUST_USE NONNULL(1, 2, 3);

#endif
