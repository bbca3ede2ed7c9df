/* notify: whether the sender is told what became of a recipient (RFC 3461 sections 4.1, 5.2).
 *
 * A recipient without NOTIFY is reported when it failed and when it is delayed. Nobody is ever
 * told about a message from <>: that is what makes loops impossible. Success is reported by the
 * last host that knows DSN: by us when we delivered (into a Maildir) or when the next host does
 * not offer DSN (then the message was relayed, and no more can be said); never when the next
 * host offers DSN, since it was asked to do so. */
#ifndef POLICY_NOTIFY_H
#define POLICY_NOTIFY_H

#include "codec/params.h"

/* What was reported of a recipient. Numbers are in the journal (TAG_REPORT): for ever. */
enum report {
    REPORT_NONE = 0,
    REPORT_FAILED = 1,
    REPORT_DELAYED = 2,
    REPORT_DELIVERED = 3,
    REPORT_RELAYED = 4,
    /* It failed, and nobody is told: */
    REPORT_UNWANTED = 5,   /* as the sender asked */
    REPORT_IMPOSSIBLE = 6, /* the message has no sender: it is a report itself */
};

/* What kind of host has taken the recipient. */
enum notify_taker {
    NOTIFY_TAKER_FINAL,   /* it is delivered */
    NOTIFY_TAKER_DSN,     /* a next host that offers DSN */
    NOTIFY_TAKER_WITHOUT, /* a next host that does not */
};

/* notify: bits of enum dsn_notify, 0 when nothing was asked for. has_sender: the reverse-path
 * is not <>. */
enum report notify_of_failure(unsigned notify, bool has_sender);
enum report notify_of_delay(unsigned notify, bool has_sender); /* REPORT_NONE: none */
enum report notify_of_success(unsigned notify, bool has_sender,
                              enum notify_taker taker); /* REPORT_NONE: none */

#endif
