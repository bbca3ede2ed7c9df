/* policy_internal: what the files of the policy service share. Nobody else's.
 *
 *   policy_service.c      connections: the socket, questions in, answers out
 *   policy_transaction.c  one message of theirs: whose it is, what it holds, its record */
#ifndef SMTPD_POLICY_INTERNAL_H
#define SMTPD_POLICY_INTERNAL_H

#include "codec/policyd.h"
#include "net/stream.h"
#include "smtpd/policy_service.h"

enum { POLICY_INSTANCE_MAX = 128, POLICY_LOST_MAX = 10000 };

struct policy_service {
    struct role *role;
    struct service *service;
    struct listener *listener;
    struct list connections;
    struct list lost;       /* transactions without a connection, oldest first */
    struct list committing; /* whose record is on its way */
    size_t lost_count;
    /* The committer's thread alone: whose record is of the running batch. */
    struct policy_transaction *done;
    struct limiting_after after;
};

struct policy_connection {
    struct list node;
    struct policy_service *owner;
    struct stream *stream;
    struct buf in;
    size_t seen; /* octets of `in` that hold no end of a question */
    struct policy_transaction *current;
    struct policy_transaction *committing; /* the answer is owed when its record is kept */
    char client[ADDRESS_TEXT_MAX];
};

/* One message that Postfix asks about, from its first question to its record. */
struct policy_transaction {
    struct list node; /* lost, or committing */
    struct policy_service *owner;
    struct policy_connection *connection; /* NULL: it was lost */
    struct journal_entry entry;
    struct policy_transaction *done_next;
    struct loop_task task;
    struct timer timer; /* lost: counts when it fires */
    struct buf fields;
    struct arena arena;
    struct account account;
    struct limiting_view view;
    struct limiting_charge charge;
    struct submission_transaction facts;
    /* Where new recipients count, fields of the record: who is held. Who does not fit counts as
     * new again. */
    struct buf recipients;
    uint64_t directory_version; /* under which the lock was looked at */
    uint64_t lock_version;
    char instance[POLICY_INSTANCE_MAX];
};

/* What the answer is. */
enum policy_verdict {
    POLICY_DUNNO,  /* no objection */
    POLICY_REFUSE, /* with this wording */
    POLICY_LATER,  /* when the record is durable: policy_answered */
};

/* A question at RCPT or END-OF-MESSAGE, of the connection's current transaction: which it
 * begins, goes on with, or ends. */
enum policy_verdict policy_ask(struct policy_connection *c, const struct policyd_request *q,
                               struct wording *refusal) MUST_USE NONNULL(1, 2, 3);
/* Gives back what it holds. Clears the pointer, takes NULL. */
void policy_transaction_drop(struct policy_transaction **t);
/* Its connection is gone. */
void policy_transaction_lose(struct policy_transaction *t) NONNULL(1);
/* Counts all that were lost, now. */
void policy_transactions_count(struct policy_service *p) NONNULL(1);
void policy_transactions_fini(struct policy_service *p) NONNULL(1);
/* On the committer's thread: the records of those in p->done were settled. */
void policy_transactions_settled(struct limiting_after *a) NONNULL(1);

/* The record of its transaction is durable (err 0), or could not be made so. */
void policy_answered(struct policy_connection *c, int err) NONNULL(1);

#endif
