/* message: a body on its way into the journal.
 *
 * Up to MESSAGE_INLINE octets are gathered in memory and become the body of the record; more
 * stream to a file of their own (journal/large). Memory comes from a pool of the loop and
 * counts in the budget of limits. The record is appended once, when all is there; its fields
 * and body stay where they are until the committer is done with them, whether the session lives
 * or not.
 *
 * Each message that is open counts as expected by the committer (journal_expect) from
 * message_open until it is appended or aborted. All calls on the store's loop. */
#ifndef SMTPD_MESSAGE_H
#define SMTPD_MESSAGE_H

#include "dialog/submission.h"
#include "journal/writer.h"
#include "net/jobs.h"
#include "net/role.h"
#include "smtpd/limiting.h"
#include "smtpd/limits.h"
#include "smtpd/tokens.h"

enum {
    MESSAGE_PIECE = 16 * 1024,
    MESSAGE_PIECES = 16,
    MESSAGE_INLINE = MESSAGE_PIECE * MESSAGE_PIECES,
    /* Kept for reuse by each loop. */
    MESSAGE_SPARE_PIECES = 256,
    MESSAGE_SPARES = 256,
    MESSAGE_FIELDS_KEPT = 16 * 1024,
};

struct message;
struct message_piece;

/* What messages of one loop share. The caller's storage; pointers outlive it. */
struct message_store {
    struct env *env;
    struct loop *loop;
    struct journal_writer *journal;
    struct jobs *jobs; /* syncs files */
    struct limits *limits;
    struct limiting *limiting; /* NULL: nothing is counted */
    struct tokens *tokens;     /* NULL: none is ever claimed */
    struct stats_page *stats;
    void (*on_release)(void *ctx); /* a message is gone; may be NULL */
    void *ctx;

    size_t open;       /* messages that are not finished or aborted */
    size_t committing; /* of them, those that wait for the disk */
    struct message_piece *spare_pieces;
    unsigned spare_piece_count;
    struct message *spares;
    unsigned spare_count;
    /* The committer's thread alone: what is done of the running batch. */
    struct message *done_newest;
    struct message *done_oldest;
    struct limiting_after after;
    _Atomic(struct message *) committed; /* handed over by the committer, newest first */
    struct loop_task task;
};
/* The pointers above must be set; the rest is made. */
void message_store_init(struct message_store *st) NONNULL(1);
/* Finishes what the committer has handed over: for the end, when the loop no longer runs. */
void message_store_settle(struct message_store *st) NONNULL(1);
/* A message whose file was being synced when the loop ended is left to the end of the process:
 * nobody was promised anything. */
void message_store_fini(struct message_store *st) NONNULL(1);

/* NULL: the memory budget is used up. */
struct message *message_open(struct message_store *st, uint64_t id) NONNULL(1);

/* Charges memory that the dialog holds of this message (its header, until it is whole): a
 * message that passes the budget so fails at its first message_append. */
void message_hold(struct message *m, uint64_t octets) NONNULL(1);

/* 0, or -ENOSPC (memory budget, disk), or another -errno; the same again for all that follows,
 * and for the commit. */
int message_append(struct message *m, slice bytes) MUST_USE NONNULL(1);

/* Forgets it. Clears the pointer, takes NULL. */
void message_abort(struct message **m);

/* What its record says besides the transaction. Copied, as is the transaction. */
struct message_facts {
    const struct submission_transaction *transaction;
    uint16_t node;
    uint64_t session;
    slice client;
    slice listener;
    struct limiting_charge *charge; /* moved to the message; NULL: nothing is held */
    struct token_claim **token;     /* the same, for what its token has claimed */
};

/* Makes it durable. fn is called once, on the loop, with 0 or -errno, or with a limit's refusal
 * instead: usually later, at once when it could not even begin. The message is gone after that;
 * until then message_abandon takes the owner away. */
typedef void message_fn(void *ctx, int err, const struct reply *refusal);
void message_commit(struct message *m, const struct message_facts *f, message_fn *fn, void *ctx)
    NONNULL(1, 2, 3);
/* fn will not be called; the message goes on. Clears the pointer, takes NULL. */
void message_abandon(struct message **m);

bool message_is_committing(const struct message *m) NONNULL(1);

#endif
