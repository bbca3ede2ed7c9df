/* outcome: what a failure means. The one table for it: stage × reply or fault → what to do
 * next, and for whom (the site, the message, or one recipient). */
#ifndef POLICY_OUTCOME_H
#define POLICY_OUTCOME_H

#include "codec/reply.h"

enum relay_stage {
    STAGE_RESOLVE,
    STAGE_CONNECT,
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

/* reply: NULL when there was a fault instead. */
struct outcome outcome_of(enum relay_stage stage, const struct reply *reply,
                          enum relay_fault fault);

const char *stage_name(enum relay_stage s); /* the phrase for people: "while sending RCPT TO" */
const char *fault_name(enum relay_fault f);
const char *outcome_name(enum outcome_kind k); /* "delivered" */

#endif
