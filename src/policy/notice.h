/* notice: the mail that tells people of a lock, its end, a limit that was passed or a plan that
 * is used up: to the account's contact, the customer's, and the operator of the service.
 *
 * The reader's language first, English below it. Pure: from facts to a whole message (RFC 5322,
 * text/plain in quoted-printable, marked as automatic by RFC 3834), lines ended by CRLF, ASCII
 * only. Nothing that others wrote can end a line of the header. Date and Message-ID are left to
 * the door that takes it. */
#ifndef POLICY_NOTICE_H
#define POLICY_NOTICE_H

#include "policy/rule.h"
#include "policy/wording.h"
#include "policy/zone.h"

/* Numbers are in the ledger: for ever. */
enum notice_kind {
    NOTICE_LOCKED = 1,
    NOTICE_UNLOCKED = 2,
    NOTICE_PASSED = 3,    /* a rule that notifies */
    NOTICE_SUSPENDED = 4, /* a plan is used up */
    NOTICE_KINDS
};
enum notice_reader {
    NOTICE_TO_ACCOUNT = 1,
    NOTICE_TO_CUSTOMER = 2,
    NOTICE_TO_OPERATOR = 3,
    NOTICE_READERS
};

struct notice {
    enum notice_kind kind;
    enum notice_reader reader;
    enum wording_language language;
    const struct zone *zone;
    slice from; /* address */
    slice to;   /* address */
    slice host; /* the service's name */

    bool is_customer; /* it is about all accounts of the customer */
    slice name;       /* login, or the customer's name */
    slice customer;   /* an account's, when the reader may like to know; else empty */
    stamp at;
    stamp until; /* LOCKED: STAMP_NEVER: until it is lifted */
    bool has_rule;
    struct rule rule;
    uint64_t used;
    uint64_t max;
    slice reason;    /* an operator's words; may be empty */
    bool is_in_time; /* UNLOCKED: the lock's time was over; else somebody lifted it */
    slice id;        /* of the lock, as people name it; may be empty */
    slice details;   /* English, lines ended by LF, for the operator; may be empty */
};

/* Appends the message. out->error is to be checked. */
void notice_compose(struct buf *out, const struct notice *n) NONNULL(1, 2);

#endif
