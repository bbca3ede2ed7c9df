/* projection_inside: what the files of the projection share. */
#ifndef CONTROL_PROJECTION_INSIDE_H
#define CONTROL_PROJECTION_INSIDE_H

#include "control/projection.h"

/* RECORD_DIRECTORY, RECORD_NOTICE, RECORD_REFUSALS, RECORD_LOCK; as projection_put. */
int projection_put_directory(struct ledger *l, const struct journal_record *r) MUST_USE
    NONNULL(1, 2);
int projection_put_notice(struct ledger *l, const struct journal_record *r) MUST_USE
    NONNULL(1, 2);
int projection_put_refusals(struct ledger *l, const struct journal_record *r) MUST_USE
    NONNULL(1, 2);
int projection_put_lock(struct ledger *l, const struct journal_record *r) MUST_USE
    NONNULL(1, 2);

#endif
