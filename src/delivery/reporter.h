/* reporter: tells senders what became of their mail, in notifications (RFC 3464).
 *
 * One notification per message and round. A round of a message is over when none of its
 * recipients is READY or SENDING any more, wherever they go; what is to be reported of it waits
 * for that, REPORT_GATHER at most, so that 5,000 dead recipients give one notification. What
 * fails later is a later round's.
 *
 * What is reported is looked for in the queue, where failed recipients (and those that were
 * delivered, if the sender wants to know) stay until then, over restarts and updates too: the
 * queue tells of new ones, and all of it is walked through once a minute, which also finds
 * those that are to be warned of a delay.
 *
 * A notification is one DSN record in our own journal. When it was synced, and never before,
 * the recipients are forgotten and the mail is queued: nothing is lost by a crash, nothing told
 * twice. It comes from <>, and about a message from <> nobody is told (it is logged, counted
 * and recorded that nobody was), so that no notification ever causes another. */
#ifndef DELIVERY_REPORTER_H
#define DELIVERY_REPORTER_H

#include "delivery/courier.h"

#define REPORT_GATHER (5 * SPAN_MINUTE)
/* The status part has at most so many recipients and about so many octets; who does not fit is
 * reported in the next notification, at once. */
enum { REPORT_RECIPIENTS_MAX = 20000, REPORT_STATUS_MAX = 4 * 1024 * 1024 };
/* RET=FULL gives the whole message up to so many octets, else its header; that is cut at a line
 * end when it is longer. */
enum { REPORT_FULL_MAX = 128 * 1024, REPORT_HEADER_MAX = 32 * 1024 };

struct reporter_config {
    struct courier *courier;
    const struct conf *conf; /* our name and number, the usual spans; copied */
    uint64_t highest_id;     /* of our own journal: ids go on behind it */
    /* Would a warning leave the machine before what it warns of? Else none is written. May be
     * NULL: always. */
    bool (*may_warn)(void *ctx);
    void *ctx;
};

struct reporter;
struct reporter *reporter_new(const struct reporter_config *c) NONNULL(1);
void reporter_free(struct reporter **r);
/* After a reload. */
void reporter_configure(struct reporter *r, const struct conf *conf) NONNULL(1, 2);
/* Something of the message is to be reported: queue's on_unreported. */
void reporter_note(struct reporter *r, uint64_t id) NONNULL(1);
/* Writes what can be written; called after everything that a turn of the loop brought. */
void reporter_pump(struct reporter *r) NONNULL(1);

#endif
