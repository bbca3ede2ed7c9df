/* tokens: idempotency tokens, so that a message that is sent again with its token is answered
 * with the id of the first and not taken twice.
 *
 * A token belongs to the account that sends (0: the system) and holds for TOKENS_AGE from the
 * moment when its message was accepted. What is remembered is a hash of both, in a snapshot
 * (`snapshot/smtpd/tokens`) with the position up to which smtpd's own journal is in it; a start
 * reads the records behind that. A token of a message that is still arriving is claimed: the
 * same again is answered with 450 until it is known what became of the first.
 *
 * Memory is bounded: beyond TOKENS_MAX the oldest are forgotten, which is logged. Thread-safe.
 */
#ifndef SMTPD_TOKENS_H
#define SMTPD_TOKENS_H

#include "base/env.h"
#include "journal/watermark.h"
#include "net/jobs.h"
#include "smtpd/limiting.h"

enum { TOKENS_MAX = 256 * 1024 };
#define TOKENS_AGE (24 * 60 * SPAN_MINUTE)

struct tokens;
struct tokens_config {
    struct env *env;
    struct loop *loop; /* of the one who calls tokens_tick */
    struct jobs *jobs; /* writes the snapshots */
    const struct watermark *watermark;
    const struct limiting *limiting; /* knows how far the journal's entries are settled */
    const char *journal_dir;         /* "journal/smtpd" */
    const char *snapshot;            /* "snapshot/smtpd/tokens" */
};

/* Restores what is remembered. Never fails: what cannot be read is logged. */
struct tokens *tokens_new(const struct tokens_config *c) NONNULL(1);
/* Writes the snapshot. The journal was closed, the pool's running jobs are done, no claim is
 * left. */
void tokens_free(struct tokens **t);
/* Once a second, on the loop: saves. */
void tokens_tick(struct tokens *t) NONNULL(1);

/* A token of a message that is arriving. */
struct token_claim;
enum tokens_result {
    TOKENS_NEW,   /* *claim is the caller's, to be kept or dropped */
    TOKENS_KNOWN, /* *first_id was accepted with it */
    TOKENS_BUSY,  /* a message with it is arriving */
};
enum tokens_result tokens_claim(struct tokens *t, uint64_t account, slice token,
                                struct token_claim **claim, uint64_t *first_id) MUST_USE
    NONNULL(1, 4, 5);
/* Its record is durable: called before limiting_settle for the same entry, so that a snapshot's
 * position never passes what is in it. Clears the pointer. */
void tokens_keep(struct tokens *t, struct token_claim **claim, uint64_t id, stamp at)
    NONNULL(1, 2);
/* It was not accepted: the token is free. Clears the pointer, takes NULL in it. */
void tokens_drop(struct tokens *t, struct token_claim **claim) NONNULL(2);

#endif
