/* ledger_notices: the mails that tell people of locks, their ends and limits that were passed:
 * what is to be sent, to whom it was, and what came of it.
 *
 * A row per event, kind and reader, made in the transaction that knows of the event, so that
 * there is one whatever happens. The first attempt to send it is noted before it is made, with
 * the address; every further one goes to the same address under the same token (control/door),
 * and none is made when the door might have forgotten it. Therefore no notice is sent twice. */
#ifndef CONTROL_LEDGER_NOTICES_H
#define CONTROL_LEDGER_NOTICES_H

#include "control/ledger_locks.h"
#include "policy/notice.h"

/* Numbers are in the database: for ever. */
enum ledger_notice_state {
    NOTICE_WAITS = 0,
    NOTICE_SENT = 1,     /* accepted by the door, with a queue id */
    NOTICE_REFUSED = 2,  /* for good; the answer says why */
    NOTICE_GIVEN_UP = 3, /* could not be sent for most of a day */
    NOTICE_NOBODY = 4,   /* the reader has no contact */
    NOTICE_KNOWN = 5,    /* the address is another reader's, who is told */
    NOTICE_TOO_LATE = 6, /* the event was old when it became known */
    NOTICE_STATES
};

struct ledger_notice {
    uint64_t event; /* id of the lock, or of the record of a limit that was passed */
    enum notice_kind kind;
    enum notice_reader reader;
    uint64_t customer;
    uint64_t account; /* 0: all of the customer's */
    slice name;
    stamp at;
    slice rule; /* empty: an operator's lock */
    uint64_t used;
    uint64_t max;
    slice reason;

    enum ledger_notice_state state;
    stamp tried; /* first; 0: not yet */
    stamp next;
    uint32_t tries;
    slice address;
    uint64_t id; /* of the message */
    slice answer;
};

/* In a transaction: one for each reader that the event has. */
int ledger_put_notice(struct ledger *l, const struct ledger_notice *n) MUST_USE NONNULL(1, 2);

/* The next that is due: 1, 0 or -errno. Outside of a transaction, as are the next two. */
int ledger_next_notice(struct ledger *l, stamp now, struct arena *a,
                       struct ledger_notice *out) MUST_USE NONNULL(1, 3, 4);
/* The notice goes to this address, now. 1; 0: another reader of the event has that address. */
int ledger_notice_try(struct ledger *l, const struct ledger_notice *n, slice address,
                      stamp now) MUST_USE NONNULL(1, 2);
/* What came of it: state, next, id and answer of the notice. */
int ledger_notice_settle(struct ledger *l, const struct ledger_notice *n) MUST_USE
    NONNULL(1, 2);

/* On a reader: all of an event, by kind and reader. The count or -errno. */
int ledger_notice_list(struct ledger_reader *r, uint64_t event, struct arena *a,
                       struct ledger_notice **out) MUST_USE NONNULL(1, 3, 4);
/* How many are in each state. */
int ledger_notice_count(struct ledger_reader *r, uint64_t counts[NOTICE_STATES]) MUST_USE
    NONNULL(1, 2);

#endif
