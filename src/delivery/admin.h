/* admin: what people ask about the queue. One JSON object in, one out (net/query); read-only.
 *
 *   {"question":"status"}
 *     {"ok":true,"transport":"smarthost"|"direct"|"capture","held":false,"draining":false,
 *      "caught_up":true,"messages":2,"queued":3,"failed":1,"ready":1,
 *      "snapshot":"2026-…Z" or null,
 *      "site":{"host":"relay.test","port":25,"connections":2,"idle":1,"failures":0,
 *              "paused_ms":0,"trouble":null or {"at","remote","stage","text"}} or null,
 *      "sites":{"count":4,"paused":1,"connections":3} or null (direct),
 *      "journal":{"records","batches","syncs","bytes","failures","disk_bytes"},
 *      "smtpd_position":…,"delivery_position":…}
 *     queued and failed count recipients: failed ones are those that failed or expired and were
 *     not reported yet.
 *
 *   {"question":"queue-list","limit":100,"after":"<id>","account":7,"customer":3,
 *    "domain":"x.test","before":MICROSECONDS,"state":"queued"}
 *     all but the question may be left out; limit at most 1000. state: queued (sending and held
 *     count), held, frozen, failed, expired: messages with such a recipient. before: accepted
 *     up to that stamp. With a domain a page may have fewer messages than the limit, or none,
 *     and still not be the last.
 *     {"ok":true,"messages":[MESSAGE…],"more":true,"next":"<id>"}   in order of id; ask again
 *     with after = next while more. Each message shows its first 20 recipients.
 *
 *   {"question":"queue-show","id":"<id>"}
 *     {"ok":true,"message":MESSAGE} with every recipient, or {"ok":false,"error":"…"}
 *
 *   {"question":"queue-command","command":"<id>"}
 *     {"ok":true,"state":"unknown"|"waiting"|"running"|"done","verb","messages","recipients",
 *      "busy","paced","stopped","percent"}   (struct order_progress)
 *   {"question":"queue-count","account":7} or "customer", or neither
 *     {"ok":true,"messages","recipients","held","stopped":STOPPED}
 *   {"question":"queue-domain","domain":"x.test"}
 *     {"ok":true,"transport","held","domain_held","site":like status or null,"parcels",
 *      "queued"}
 *
 *   STOPPED: null or {"by":"lock"|"operator"|"hold","of":"account"|"customer","id","until"}
 *   MESSAGE: {"id","accepted","customer","account","login","from","message_id","size",
 *             "recipient_count","stopped":STOPPED,"recipients":[RECIPIENT…]}
 *     login, message_id and size are null when the message's own record is not needed any more.
 *   RECIPIENT: {"address","state":"queued"|"frozen"|"held"|"sending"|"failed"|"expired",
 *               "attempts","next":"2026-…Z" or null,"not_before":when a pace lets it go,
 *               "held_by":"order"|"domain"|"lock" or null,
 *               "trouble":null or {"at","remote","stage","code","enhanced","text"}}
 *     A queued recipient without trouble of its own has that of a site that cannot be reached.
 *
 *   Anything else: {"ok":false,"error":"…"}. */
#ifndef DELIVERY_ADMIN_H
#define DELIVERY_ADMIN_H

#include "delivery/keeper.h"
#include "delivery/transport.h"
#include "net/follow.h"

struct admin {
    struct courier *courier;
    const struct tail *tail;
    const struct keeper *keeper;
    const struct follow *follow;
    const struct orders *orders;
    const struct transport *transport;
};

/* The answer to one question, as net/query wants it. ctx: a struct admin. */
void admin_answer(void *ctx, slice question, struct buf *out) NONNULL(1, 3);

#endif
