/* submission_fixup: what a submission server may mend in a header, and what it must refuse
 * (RFC 6409 section 8; PRODUCT: sender rights). Pure: header in, header out. */
#ifndef POLICY_SUBMISSION_FIXUP_H
#define POLICY_SUBMISSION_FIXUP_H

#include "base/arena.h"
#include "base/buf.h"
#include "codec/trace.h"
#include "policy/account.h"

enum fixup_result {
    FIXUP_OK,
    FIXUP_BAD_HEADER, /* a line that is no field */
    FIXUP_FROM_MISSING,
    FIXUP_FROM_TWICE,
    FIXUP_FROM_SYNTAX,   /* could be read two ways, or not at all */
    FIXUP_FROM_DENIED,   /* an address that the account may not use */
    FIXUP_SENDER_SYNTAX, /* Sender: more than one mailbox, or twice */
    FIXUP_SENDER_DENIED,
    FIXUP_LOOP,      /* more than `hops_max` Received fields */
    FIXUP_DUPLICATE, /* a field that may stand once (Date, Message-ID, Subject, To …) twice */
};

/* More of a subject is not kept. */
enum { SUBMISSION_SUBJECT_MAX = 250 };

struct fixup_request {
    const struct account *account;
    const struct trace_facts *trace;
    unsigned hops_max;
};

struct fixup_answer {
    slice message_id; /* the value that the message now has, in the arena */
    slice subject;    /* its first SUBMISSION_SUBJECT_MAX octets, unfolded, in the arena */
    slice offender;   /* the address or field that was refused, in the arena */
};

/* header: the block as received, up to and with its empty line (which may be missing when the
 * message has no body). Appends to out: our Received field, Date and Message-ID when they are
 * missing, then the fields as they were received without Bcc, Resent-Bcc and Return-Path. A
 * missing From is refused unless the account may use any sender. out is unchanged when the
 * result is not FIXUP_OK; with FIXUP_OK its `error` is to be checked. */
enum fixup_result submission_fixup(struct arena *a, const struct fixup_request *q, slice header,
                                   struct buf *out, struct fixup_answer *answer)
    NONNULL(1, 2, 4, 5);

#endif
