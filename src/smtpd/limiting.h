/* limiting: the limits of people, over every session of smtpd: one limiter, one mutex.
 *
 * What it counts is restored like everything here: a snapshot (`snapshot/smtpd/limits`) with
 * the position up to which smtpd's own journal is in it, and the records behind that. Messages
 * count when their records are durable, in the journal's order, at the stamp that the record
 * carries, so that live and replayed counters are the same.
 *
 * Locks by rule: the message that goes beyond is refused, the lock is a record, and it holds
 * from the next command on; no message of the account follows the lock in the journal. It ends
 * by itself or when control has unlocked the account later than the directory that the lock was
 * made under (account.unlocked); its end is a record too, and empties the window of its rule,
 * or the next message would lock again. Reading the journal again therefore never locks again.
 *
 * Bounces are counted from delivery's journal, about a second behind it: what is read there
 * becomes a record of our own with the position that it was read up to, and counts when that is
 * durable. So it counts once over any crash, and in one order with locks and their ends.
 *
 * Thread-safe. Time is a clock that does not step as long as the machine runs; after a boot it
 * begins where it was, or at the clock on the wall when that is later. */
#ifndef SMTPD_LIMITING_H
#define SMTPD_LIMITING_H

#include "base/id.h"
#include "dialog/submission.h"
#include "journal/writer.h"
#include "model/directory.h"
#include "net/jobs.h"
#include "policy/wording.h"

struct limiting;

struct limiting_config {
    struct env *env;
    struct loop *loop; /* of the one who calls limiting_tick */
    struct jobs *jobs; /* writes the snapshots */
    struct directory *directory;
    struct journal_writer *journal;
    const struct watermark *watermark; /* of that journal */
    struct id_source *ids;
    uint16_t node;
    const char *journal_dir;          /* "journal/smtpd" */
    const struct watermark *outcomes; /* of delivery's journal; NULL: bounces are not counted */
    const char *outcomes_dir;         /* "journal/delivery" */
    const char *snapshot;             /* "snapshot/smtpd/limits" */
};

/* Restores what is counted; the directory must have been read. Never fails: what cannot be read
 * is logged. Pointers of the configuration outlive it. */
struct limiting *limiting_new(const struct limiting_config *c) NONNULL(1);
/* Writes the snapshot. The journal was closed, the pool's running jobs are done. */
void limiting_free(struct limiting **l);
/* Once a second, on the loop: ends locks, counts bounces, writes refusals to the journal,
 * saves. */
void limiting_tick(struct limiting *l) NONNULL(1);

/* The limits of who is signed in to a session, as of a version of the directory. The session's;
 * zeroed at first. */
struct limiting_view {
    struct arena arena;
    struct limit *limits;
    size_t count;
    slice client;    /* as in the record; the session's */
    slice recipient; /* canonical, the one that is asked for; empty: not known */
    struct limiting_period {
        stamp at;    /* the periods of plans are those of this moment, */
        stamp until; /* and hold until then */
    } period;
};
/* Reads the limits again, and lays the lock by rule and RCPTMAX over the account, which may
 * then point into the arena. */
void limiting_look(struct limiting *l, struct limiting_view *v, struct account *account,
                   struct arena *a) NONNULL(1, 2, 3, 4);
void limiting_view_fini(struct limiting_view *v) NONNULL(1);
/* Changes with every lock and its end; lock-free: compare before looking again. */
uint64_t limiting_version(const struct limiting *l) NONNULL(1);

/* All of smtpd's own records before it have been settled; grows. Lock-free. */
uint64_t limiting_position(const struct limiting *l) NONNULL(1);

/* What one transaction holds: zeroed at first and after it was settled or released. It may be
 * moved until limiting_settle. */
struct limiting_charge {
    struct limiting_charge *next; /* in the batch that is being settled */
    const struct journal_entry *entry;
    stamp counted_at; /* of its record, once that was appended */
    struct limiter_reservation held;
    bool is_held;
    bool counts_attempts;
    bool tells_data; /* refusals with wording_add_data */
    bool counts_new; /* recipients that were not written to in the last 31 days */
    uint64_t customer;
    uint64_t account;
    uint64_t credential;
    uint64_t session;
    uint64_t recipients;
    struct rule message_bytes; /* of one message; max 0: none */
    enum wording_language language;
    const struct zone *zone;
};

/* One more recipient of the running transaction. False: *refusal is the reply. */
bool limiting_reserve(struct limiting *l, struct limiting_view *v,
                      const struct submission_transaction *t, struct limiting_charge *c,
                      struct wording *refusal) MUST_USE NONNULL(1, 2, 3, 4, 5);
/* Of the recipients that are held only so many (at least one) are left: the others' room is
 * free again. */
void limiting_keep_recipients(struct limiting *l, struct limiting_charge *c,
                              uint64_t recipients) NONNULL(1, 2);
/* All of the message is there: trues up what it holds, counts it under the rules that lock,
 * stamps the record and appends it. `fields` is what e->fields will be. False: *refusal is the
 * reply, nothing was appended, the charge is empty. */
bool limiting_append(struct limiting *l, struct limiting_charge *c, struct journal_entry *e,
                     struct buf *fields, struct wording *refusal) MUST_USE
    NONNULL(1, 2, 3, 4, 5);
/* Who hands over what was settled to its loop: once for all of a batch. */
struct limiting_after {
    void (*fn)(struct limiting_after *a); /* on the committer's thread */
    /* limiting's own: */
    struct limiting_after *next;
    bool is_listed;
};
/* The entry's result is known: called in its `done`, on the committer's thread. It is settled
 * with the others of its batch, under the mutex once; until a->fn is called, charge and entry
 * stay where they are. */
void limiting_settle(struct limiting *l, struct limiting_charge *c,
                     const struct journal_entry *e, struct limiting_after *a)
    NONNULL(1, 2, 3, 4);
/* All of the batch are done: for journal_config.batch_done. */
void limiting_settle_batch(struct limiting *l) NONNULL(1);
/* The transaction ends without a record. */
void limiting_release(struct limiting *l, struct limiting_charge *c) NONNULL(1, 2);

/* What each rule has done since the start: a copy, to be freed. */
struct tally;
struct tally *limiting_tally(struct limiting *l) NONNULL(1);

/* How each limit of the account stands, in the order of directory_limits. free_at is by the
 * clock on the wall. */
struct limiting_answer {
    const struct limit *limits;
    const struct limit_verdict *verdicts;
    size_t count;
    stamp now;
    struct account account; /* with its lock */
};
/* False: no such account. */
bool limiting_ask(struct limiting *l, uint64_t account, struct arena *a,
                  struct limiting_answer *out) NONNULL(1, 3, 4);

#endif
