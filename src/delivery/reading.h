/* reading: a message's own record, read from its journal in one piece and checked. */
#ifndef DELIVERY_READING_H
#define DELIVERY_READING_H

#include "delivery/letter.h"

struct reading {
    struct parcel_facts facts; /* where the record is; the caller's to set */
    struct record_header header;
    struct buf bytes; /* all of it; the caller frees it */
};

/* Blocks; touches nothing but the store and r. 0; -EBADMSG: the record is damaged, or another
 * message's; -ENOENT: its segment is gone; another -errno. */
int reading_read(const struct letter_store *store, struct reading *r) MUST_USE NONNULL(1, 2);
/* Of a record that was read; borrowed from r. */
slice reading_fields(const struct reading *r) NONNULL(1);
slice reading_body(const struct reading *r) NONNULL(1);

#endif
