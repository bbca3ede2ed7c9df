/* settle: outcomes, and messages of our own, on their way into delivery's own journal, and from
 * there into the queue.
 *
 * An outcome is final for the queue only when it was synced. Those of a few milliseconds are
 * appended together, so that many messages share one sync; a recipient stays SENDING until
 * then. If the journal fails, outcomes are kept and appended again, for ever: nothing new is
 * sent meanwhile (settle_is_well), since what we could not note down would be sent again. */
#ifndef DELIVERY_SETTLE_H
#define DELIVERY_SETTLE_H

#include "delivery/replay.h"
#include "journal/writer.h"
#include "net/loop.h"

/* How long outcomes may gather before they are appended. */
#define SETTLE_GATHER (8 * SPAN_MS)

struct settle_config {
    struct loop *loop;
    struct replay *replay;
    struct journal_config journal;
    void (*on_settled)(void *ctx); /* the queue changed, or sending may go on */
    void *ctx;
};

struct settle;
/* Recovers and opens the journal. 0 or -errno. */
int settle_new(struct settle **out, const struct settle_config *c,
               struct journal_recovery *recovery) MUST_USE NONNULL(1, 2, 3);
/* Appends what is left and closes the journal; what could not be appended is lost to the
 * journal, and its recipients are due again at the next start. */
void settle_free(struct settle **s);

/* A slip collects the outcomes of recipients of one message in one attempt. */
struct slip;
struct slip *slip_new(struct settle *s) NONNULL(1);
void slip_add(struct slip *p, const struct settled *r) NONNULL(1, 2);
/* The moment of the slip: the first `now` that it was asked with. Recipients of one attempt
 * share it, so that those who are tried again are tried again together. */
stamp slip_moment(struct slip *p, stamp now) NONNULL(1);
/* What encrypted the connection; borrowed until the slip is handed in. */
void slip_set_tls(struct slip *p, slice tls) NONNULL(1);
/* Is anything of it to be reported, so that the report's facts of the message are needed? */
bool slip_is_reported(const struct slip *p) NONNULL(1);
/* Hands it in; the slip is settle's. `message` is the header of the message's record (customer,
 * account, credential, session). A slip without outcomes is dropped. */
void slip_hand_in(struct slip *p, const struct settlement *head,
                  const struct record_header *message, stamp now) NONNULL(1, 2, 3);

/* A message whose record is in our own journal (DSN, CARRIED). It is appended with the
 * outcomes, in the order in which all are handed in, and replayed when it was synced. */
struct settle_message {
    struct record_header header; /* type, at, customer, account, credential, session */
    struct buf fields;           /* both are settle's from then on */
    struct buf body;
    bool may_fail; /* else it is appended until it is synced, as outcomes are */
    /* On the loop, after it was replayed, or has failed; may be NULL. Not called when delivery
     * ends before. */
    void (*done)(void *ctx, int result);
    void *ctx;
};
void settle_message(struct settle *s, const struct settle_message *m) NONNULL(1, 2);

/* *left is one more until this slip's outcomes are synced and in the queue. */
void slip_track(struct slip *p, size_t *left) NONNULL(1, 2);

/* Appends what has gathered now. */
void settle_flush(struct settle *s) NONNULL(1);
/* May more be sent? */
bool settle_is_well(const struct settle *s) NONNULL(1);
/* Slips that gather or wait for a sync. */
size_t settle_backlog(const struct settle *s) NONNULL(1);
/* There are none. */
bool settle_is_idle(const struct settle *s) NONNULL(1);

/* Behind the last record of ours that the queue has: the snapshot's position. */
uint64_t settle_position(const struct settle *s) NONNULL(1);
void settle_set_position(struct settle *s, uint64_t position) NONNULL(1);
void settle_numbers(struct settle *s, struct journal_numbers *out) NONNULL(1, 2);
/* See journal_sweep. On any thread. */
int settle_sweep(struct settle *s) NONNULL(1);

#endif
