/* settlement: the OUTCOME record: what became of recipients of one message in one attempt.
 *
 * The fields of a record are those of the message (TAG_ID, TAG_REMOTE, TAG_TLS, and, when a
 * recipient failed for good, what a report needs of the message's own record, which may be
 * deleted: TAG_REVERSE_PATH, TAG_ENVID, TAG_RET, TAG_MESSAGE_ID, TAG_ORIGIN_STAMP), then one
 * group per recipient. A group begins with TAG_RECIPIENT_INDEX and has TAG_OUTCOME,
 * TAG_ATTEMPT, TAG_STAGE, TAG_CODE, TAG_ENHANCED, TAG_REPLY; for a retry TAG_NEXT_ATTEMPT; for
 * a success that the sender wants to be told TAG_REPORT; for that, FAILED and EXPIRED at its
 * end TAG_RECIPIENT, TAG_RECIPIENT_NOTIFY and TAG_RECIPIENT_ORCPT. Unknown tags are passed
 * over. Applying a record twice is harmless. */
#ifndef DELIVERY_SETTLEMENT_H
#define DELIVERY_SETTLEMENT_H

#include "base/buf.h"
#include "base/stamp.h"
#include "codec/record.h"
#include "codec/reply.h"
#include "policy/notify.h"
#include "policy/outcome.h"

/* One recipient's group. */
struct settled {
    uint32_t index;
    enum outcome_kind kind;
    uint32_t attempt; /* attempts had, this one included */
    stamp next;       /* RETRY */
    enum relay_stage stage;
    struct reply reply; /* the remote's, or our own text with code 0 */
    enum report report; /* DELIVERED: what the sender is to be told, or NONE */
    slice facts;        /* of what is to be reported: fields of the recipient */
};

/* The part before the groups. */
struct settlement {
    uint64_t id;
    slice remote;
    slice reporting; /* fields of the message for a report, or empty */
    stamp at;        /* the record's; not in the fields */
    slice tls;       /* of the connection; empty: none */
};

void settlement_put(struct buf *fields, const struct settlement *s) NONNULL(1, 2);
void settled_put(struct buf *fields, const struct settled *r) NONNULL(1, 2);
/* The same without the index, which has been put. */
void settled_put_attempt(struct buf *fields, const struct settled *r) NONNULL(1, 2);

/* Reads the part before the groups off *fields. 0 or -EBADMSG. Slices are borrowed. */
int settlement_read(slice *fields, struct settlement *out) MUST_USE NONNULL(1, 2);
/* Reads the next group off *fields: 1, 0 at the end, -EBADMSG. */
int settled_read(slice *fields, struct settled *out) MUST_USE NONNULL(1, 2);

#endif
