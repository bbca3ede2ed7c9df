/* ledger: what happened to every message, in ledger.db: the message log, use per account, the
 * list of addresses that failed. Control's alone.
 *
 * One connection writes and checkpoints, behind a mutex; everybody else opens a read-only one
 * (control/ledger_read). Rows and the journal positions up to which they were made are
 * committed together, so that each record is counted once, whatever happens.
 *
 * Commits are not synced one by one (synchronous = NORMAL): a power cut may take back the
 * newest ones, whole and in order, with their positions, and the records are read again from
 * the journals. Therefore a journal may only be told that records are no longer needed after
 * ledger_checkpoint, which syncs what was committed. This costs the disk that the mail needs
 * two syncs per checkpoint instead of one per batch. */
#ifndef CONTROL_LEDGER_H
#define CONTROL_LEDGER_H

#include "base/arena.h"
#include "base/id.h"
#include "codec/record.h"
#include "policy/notify.h"
#include "policy/outcome.h"

struct ledger;

enum { LEDGER_JOURNALS = 3 }; /* by enum id_writer */

/* One attempt for one recipient. */
struct ledger_attempt {
    uint32_t number;
    stamp at;
    enum outcome_kind outcome;
    enum relay_stage stage;
    uint32_t code; /* the remote's, 0 without */
    slice enhanced;
    slice reply; /* the remote's words, or ours */
    slice remote;
    slice tls;
    stamp next; /* RETRY */
};

/* What the sender was told of a recipient. */
struct ledger_report {
    enum report report;
    stamp at;
    uint64_t notification; /* its message; 0: nobody was told */
};

enum { LEDGER_QUEUED = 0 }; /* else the enum outcome_kind that ended it */

/* Why a recipient is in the queue, as delivery says now; not the ledger's. */
enum ledger_live {
    LIVE_UNKNOWN,
    LIVE_SENDING,
    LIVE_PACED,        /* until `next` */
    LIVE_HELD,         /* by an operator: this message */
    LIVE_HELD_DOMAIN,  /* its domain */
    LIVE_HELD_LOCK,    /* since a lock that was lifted */
    LIVE_STOPPED_HOLD, /* all of its account or customer is held */
    LIVE_STOPPED_LOCK, /* that is locked by a rule, perhaps until `until` */
    LIVE_STOPPED_OPERATOR,
};

struct ledger_recipient {
    slice address;
    uint32_t index;
    uint32_t state;
    uint32_t attempts;
    stamp at;      /* of the last attempt */
    stamp next;    /* while it is queued; 0: not known */
    slice trouble; /* not the ledger's: why it waits, as delivery says now */
    enum ledger_live live;
    bool of_customer; /* STOPPED: of the customer, not of the account */
    stamp until;      /* STOPPED: 0 when it does not end by itself */
    const struct ledger_attempt *tries;
    size_t try_count;
    const struct ledger_report *reports;
    size_t report_count;
};

struct ledger_message {
    uint64_t id;
    stamp at;
    uint64_t customer;
    uint64_t account;
    uint64_t credential;
    uint64_t session;
    slice login;
    slice client;
    slice helo;
    slice protocol;
    slice tls;
    slice listener;
    slice reverse_path;
    slice message_id;
    slice subject; /* its beginning, as it was sent */
    slice script;  /* of `sendmail`: the program, as it says itself */
    slice directory;
    uint64_t octets;
    uint64_t recipient_count; /* as accepted; erased ones included */
    const struct ledger_recipient *recipients;
    size_t count;
};

/* path: of the file, made when missing. 0 or -errno, logged. */
int ledger_open(struct ledger **out, const char *path) MUST_USE NONNULL(1, 2);
void ledger_close(struct ledger **l);
const char *ledger_path(const struct ledger *l) NONNULL(1);

/* The mutex and a transaction; after a failure neither is held. */
int ledger_begin(struct ledger *l) MUST_USE NONNULL(1);
int ledger_commit(struct ledger *l) MUST_USE NONNULL(1);
void ledger_rollback(struct ledger *l) NONNULL(1);

/* In a transaction. A message that is there already is left as it is and not counted again;
 * is_use: it counts as use of its account now. */
int ledger_put_message(struct ledger *l, const struct ledger_message *m, bool is_use) MUST_USE
    NONNULL(1, 2);
/* Use without a message of ours: one message of an existing Postfix. */
int ledger_put_use(struct ledger *l, uint64_t account, stamp at, uint64_t recipients,
                   uint64_t octets) MUST_USE NONNULL(1);
/* An attempt for the recipient of that index. One that is there already, or of a message that
 * the ledger does not have (any more), is passed over. */
int ledger_put_attempt(struct ledger *l, uint64_t message, uint32_t index, uint64_t account,
                       const struct ledger_attempt *a) MUST_USE NONNULL(1, 5);
/* What was told of it; the same twice is passed over, as above. */
int ledger_put_report(struct ledger *l, uint64_t message, uint32_t index,
                      const struct ledger_report *p) MUST_USE NONNULL(1, 4);
int ledger_put_positions(struct ledger *l, const uint64_t position[LEDGER_JOURNALS]) MUST_USE
    NONNULL(1, 2);

/* Outside of a transaction from here on. */
int ledger_positions(struct ledger *l, uint64_t position[LEDGER_JOURNALS]) MUST_USE
    NONNULL(1, 2);
/* Syncs what was committed: 0; -EAGAIN: a reader is in the way of a part of it, try again
 * later; another -errno. */
int ledger_checkpoint(struct ledger *l) MUST_USE NONNULL(1);
/* Pages that wait for a checkpoint. */
unsigned ledger_waiting(const struct ledger *l) NONNULL(1);

/* What goes after which time; 0: never. */
struct ledger_retention {
    span messages;
    span minutes; /* use per minute */
    span hours;
    span days;
    span errors;
    span evidence; /* of a lock, and the lock itself once it has ended */
};
/* Removes some of what is too old: how many rows (0: nothing is left to do) or -errno. A
 * message with a recipient in the queue stays. */
int ledger_expire(struct ledger *l, const struct ledger_retention *r, stamp now) MUST_USE
    NONNULL(1, 2);

struct ledger_erased {
    uint64_t recipients; /* of messages */
    uint64_t senders;    /* messages that it had sent */
    uint64_t errors;
    uint64_t evidence; /* of locks */
};
/* Removes an address: as recipient with its attempts, as sender (with Message-ID and subject),
 * from the error lists and the evidence of locks. The
 * bytes are overwritten and synced. Numbers of use stay. */
int ledger_erase(struct ledger *l, slice address, struct ledger_erased *out) MUST_USE
    NONNULL(1, 3);

#endif
