/* outcome: what a failure means. The one table for it: stage × reply or fault → what to do
 * next, and for whom (the site, the message, or one recipient).
 *
 * What it holds to:
 *  - What a host says before it has seen a sender or a recipient (greeting, EHLO, STARTTLS,
 *    AUTH) is about us or about it: never a recipient's fault, 5xx included. The site waits.
 *    A site that refuses us for good is seen by the expiry, and long before by the operator.
 *  - So is what names our address or our rights at any stage: 530, and the codes X.7.25 (no
 *    reverse DNS) and X.7.28 (too much from us). 550 and 554 with 5.7.1 in reply to MAIL are
 *    mostly blocks of our address, but a sender's address can provoke them too: the message
 *    waits, and the site does not, or one tenant could stop the others' mail.
 *  - A block of our address that is told in words alone (policy/blocked), with X.7.Y or without
 *    a code, is waited for wherever it comes: by the recipient at RCPT, where most hosts say
 * it, else by the message. Not by the site: words can be provoked.
 *  - For the same reason a connection lost in the content or at its end, 421 there included,
 *    delays that message only: a dead site is found by the next connection.
 *  - AUTH refused is our own credential: the site waits (an alarm for the operator), and no
 *    other address is tried, which could lock the account.
 *  - 552 to RCPT without an enhanced code, or with 5.5.3, is "too many recipients" (RFC 5321
 *    4.5.3.1.10): temporary. With another code (5.2.2, mailbox full) it is what it says.
 *  - What the table does not know is tried again: only a clear refusal fails anybody.
 *  - A host that does not exist: for good in RESOLVE (the recipient's domain, 5.1.2), not in
 *    CONNECT (an MX or our own smarthost's name: somebody's mistake that will be mended). */
#ifndef POLICY_OUTCOME_H
#define POLICY_OUTCOME_H

#include "codec/reply.h"

/* Numbers are in the journal (TAG_STAGE): for ever. */
enum relay_stage {
    STAGE_RESOLVE, /* asking DNS where a domain's mail goes */
    STAGE_CONNECT, /* the address of one host, and the connection to it */
    STAGE_GREETING,
    STAGE_EHLO,
    STAGE_STARTTLS,
    STAGE_TLS,
    STAGE_AUTH,
    STAGE_MAIL,
    STAGE_RCPT,
    STAGE_DATA,
    STAGE_BODY,  /* sending the content */
    STAGE_END,   /* waiting for the reply to end of data */
    STAGE_LOCAL, /* our own disk, our own decision */
    STAGE_COUNT
};

/* What happened instead of a reply. */
enum relay_fault {
    FAULT_NONE, /* there is a reply */
    FAULT_TIMEOUT,
    FAULT_CLOSED,     /* the peer closed or reset */
    FAULT_REFUSED,    /* connection refused, host or network unreachable */
    FAULT_GARBAGE,    /* not SMTP */
    FAULT_TLS,        /* handshake or certificate */
    FAULT_NO_TLS,     /* required, not offered */
    FAULT_NO_AUTH,    /* required, not offered */
    FAULT_CAPABILITY, /* the message needs what the host does not offer (8BITMIME, SMTPUTF8,
                         SIZE) */
    FAULT_LOCAL,      /* EIO, ENOMEM, EMFILE here */
    FAULT_NO_HOST,    /* DNS: does not exist */
    FAULT_DNS,        /* DNS: no answer for now */
    FAULT_COUNT
};

/* Numbers are in the journal (TAG_OUTCOME): for ever. */
enum outcome_kind {
    OUTCOME_DELIVERED = 1,
    OUTCOME_RETRY = 2,   /* not now: again after a while */
    OUTCOME_FAILED = 3,  /* for good; reported to the sender */
    OUTCOME_EXPIRED = 4, /* tried for too long; reported to the sender */
    OUTCOME_REMOVED = 5, /* by an operator */
    OUTCOME_SUPPRESSED = 6,
};

enum outcome_scope { SCOPE_RECIPIENT, SCOPE_MESSAGE, SCOPE_SITE };

enum outcome_next {
    NEXT_CONTINUE, /* nothing failed */
    NEXT_ADDRESS,  /* try another address or host of the site now; if none is left: RETRY */
    NEXT_RETRY,
    NEXT_FAIL,
    NEXT_PLAIN, /* reconnect without TLS (opportunistic only) */
};

struct outcome {
    enum outcome_next next;
    enum outcome_scope scope;
    bool close;             /* the connection is of no more use */
    struct enhanced status; /* the remote's, or one of ours that fits (RFC 3463) */
};

/* reply: NULL when there was a fault instead. A reply of a class that the stage does not know
 * counts as FAULT_GARBAGE. SCOPE_SITE implies close once there is a connection. The status is
 * the remote's subject and detail when it gave an enhanced code, and the class that fits `next`
 * (2, 4 or 5); else ours. Never NEXT_PLAIN, see below. */
struct outcome outcome_of(enum relay_stage stage, const struct reply *reply,
                          enum relay_fault fault);

/* Did TLS itself fail, so that a client with opportunistic TLS does well to connect again
 * without it (RFC 7435 section 3)? */
bool outcome_plain_helps(enum relay_stage stage, const struct reply *reply,
                         enum relay_fault fault);

/* Static texts, for people and for the journal's readers. */
const char *stage_name(enum relay_stage s); /* the phrase for people: "while sending RCPT TO" */
const char *fault_name(enum relay_fault f);
const char *outcome_name(enum outcome_kind k); /* "delivered" */

#endif
