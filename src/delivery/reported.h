/* reported: the part of a DSN record that says whom it reports.
 *
 * Behind the fields of the notification itself, which are those of a message (without them
 * nobody is told): TAG_REPORTS, the id of the message that is reported about, then a group per
 * recipient of it: TAG_RECIPIENT_INDEX, TAG_REPORT. What is behind these is passed over.
 * Applying a record twice is harmless. */
#ifndef DELIVERY_REPORTED_H
#define DELIVERY_REPORTED_H

#include "codec/record.h"
#include "policy/notify.h"

void reported_put_head(struct buf *fields, uint64_t id) NONNULL(1);
void reported_put(struct buf *fields, uint32_t index, enum report report) NONNULL(1);

struct reported {
    uint64_t id;
    slice fields; /* from TAG_REPORTS on */
    slice groups;
};
/* 1; 0: the record reports nobody; -EBADMSG: it makes no sense, or one of its groups. */
int reported_find(slice fields, struct reported *out) MUST_USE NONNULL(2);
/* Takes the next group off *groups, of a record that was found: false at the end. */
bool reported_next(slice *groups, uint32_t *index, enum report *report) NONNULL(1, 2, 3);

#endif
