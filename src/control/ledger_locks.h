/* ledger_locks: locks in the ledger: who was locked when and why, how it ended, and the
 * evidence.
 *
 * A lock by rule is a record of smtpd, its end another one; a lock by an operator is a state of
 * the account or customer, which the control journal tells with every change of theirs: it
 * begins with the first record that says so and ends with the first that no longer does, or at
 * its time. Records that come again change nothing.
 *
 * Evidence is what the message log says of the time before the lock: gathered once, a moment
 * after it, when outcomes and refusals that were on their way have been read too; bounded per
 * lock (LEDGER_EVIDENCE_*), so that it stays readable and small. Nobody is told of a lock
 * before.
 */
#ifndef CONTROL_LEDGER_LOCKS_H
#define CONTROL_LEDGER_LOCKS_H

#include "control/ledger.h"

struct ledger_reader;

/* Numbers are in the database: for ever. */
enum ledger_lock_kind { LOCK_BY_RULE = 1, LOCK_BY_OPERATOR = 2 };
enum ledger_lock_end {
    LOCK_HOLDS = 0,
    LOCK_ENDED_IN_TIME = 1,
    LOCK_LIFTED = 2,     /* by an operator's unlock */
    LOCK_OWNER_GONE = 3, /* the account or customer was removed */
};

enum ledger_evidence_kind {
    EVIDENCE_CLIENT = 1, /* address, or "uid=N" */
    EVIDENCE_HELO = 2,
    EVIDENCE_CREDENTIAL = 3, /* "17 (phone)" */
    EVIDENCE_SENDER = 4,     /* reverse-path */
    EVIDENCE_SUBJECT = 5,
    EVIDENCE_RECIPIENT = 6,
    EVIDENCE_DOMAIN = 7,   /* of recipients */
    EVIDENCE_SCRIPT = 8,   /* of `sendmail` */
    EVIDENCE_ACCOUNT = 9,  /* of a lock of a whole customer */
    EVIDENCE_REFUSAL = 10, /* the rule that refused; counted: attempts */
    EVIDENCE_KINDS
};

enum {
    LEDGER_EVIDENCE_ROWS = 20,        /* of a kind: those that occur most */
    LEDGER_EVIDENCE_MESSAGES = 10000, /* looked at, the newest */
    LEDGER_EVIDENCE_RECIPIENTS = 50000,
};

struct ledger_evidence {
    enum ledger_evidence_kind kind;
    slice value;
    uint64_t count; /* messages, of recipients and domains: recipients */
    stamp first;
    stamp last;
};

struct ledger_lock {
    uint64_t id;
    enum ledger_lock_kind kind;
    uint64_t customer;
    uint64_t account; /* 0: all of the customer's */
    slice name;       /* login, or the customer's name, at that time */
    stamp since;
    stamp until; /* STAMP_NEVER: for good */
    uint64_t version;
    slice rule;
    uint64_t used; /* of the rule's window */
    slice reason;
    slice made_by; /* of an operator's: "uid=0", "token=3" */
    stamp ended;   /* 0: it holds */
    enum ledger_lock_end end_kind;
    slice ended_by;

    stamp gathered; /* 0: not yet */
    stamp looked_from;
    uint64_t messages;
    uint64_t recipients;
    uint64_t delivered;
    uint64_t failed;
    const struct ledger_evidence *evidence; /* ledger_lock_get only; by kind, most first */
    size_t evidence_count;
};

/* ---- in a transaction of the ledger ---- */

/* A lock by rule; one that is there already stays as it is. name is the ledger's to find. */
int ledger_put_lock(struct ledger *l, const struct ledger_lock *lock) MUST_USE NONNULL(1, 2);
/* Its end. Why is the ledger's to find: an unlock that it was made before, or its time. */
int ledger_end_lock(struct ledger *l, uint64_t id, stamp at) MUST_USE NONNULL(1);

/* What a record of the directory says of an account or customer. */
struct ledger_owner {
    bool is_customer;
    uint64_t id;
    uint64_t parent; /* customer, or reseller */
    slice name;
    bool is_gone;
    bool is_locked; /* by an operator; at `at` */
    stamp until;
    slice reason;
    uint64_t version;
    bool is_unlock; /* locks by rule under older versions are lifted by this change */
    stamp at;
    slice by;
    uint16_t node;
};
int ledger_put_owner(struct ledger *l, const struct ledger_owner *o) MUST_USE NONNULL(1, 2);
int ledger_put_credential(struct ledger *l, uint64_t id, slice label) MUST_USE NONNULL(1);

/* Attempts of the account that limits refused, in a second. */
int ledger_put_refusals(struct ledger *l, uint64_t account, slice rule, uint64_t count,
                        stamp at) MUST_USE NONNULL(1);

/* Ends the operators' locks whose time is over and gathers the evidence of new ones. */
int ledger_settle_locks(struct ledger *l, stamp now) MUST_USE NONNULL(1);
/* The same in a transaction of its own: from time to time, as no record tells it. */
int ledger_look_at_locks(struct ledger *l, stamp now) MUST_USE NONNULL(1);

/* ---- on a reader ---- */

struct ledger_lock_query {
    uint64_t account;  /* 0: any; its customer's locks too */
    uint64_t customer; /* 0: any; of its accounts too */
    bool is_open;      /* only those that hold */
    uint64_t before;   /* only ids below; 0: from the newest on */
    unsigned limit;
    stamp now;
};
/* Newest first: the count or -errno. */
int ledger_lock_list(struct ledger_reader *r, const struct ledger_lock_query *q,
                     struct arena *a, struct ledger_lock **out) MUST_USE NONNULL(1, 2, 3, 4);
/* With its evidence. -ENOENT: there is no such lock. */
int ledger_lock_get(struct ledger_reader *r, uint64_t id, struct arena *a,
                    struct ledger_lock *out) MUST_USE NONNULL(1, 3, 4);

#endif
