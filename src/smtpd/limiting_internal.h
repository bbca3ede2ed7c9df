/* limiting_internal: what the files of limiting share. Nobody else's.
 *
 *   limiting.c          reserving, appending, settling
 *   limiting_bounces.c  what came back, from delivery's journal
 *   limiting_clock.c    the clock that counts
 *   limiting_limits.c   whose limits apply, and their periods
 *   limiting_locks.c    locks by rule: their records, their ends
 *   limiting_notices.c  notices about rules that were passed
 *   limiting_state.c    snapshot and journal: what is restored, what is saved
 */
#ifndef SMTPD_LIMITING_INTERNAL_H
#define SMTPD_LIMITING_INTERNAL_H

#include "base/map.h"
#include "policy/acquaintances.h"
#include "smtpd/limiting.h"
#include "smtpd/limiting_tally.h"

#include <pthread.h>

enum { LIMITING_REASON_MAX = 300, LIMITING_SNAPSHOT_VERSION = 3 };

/* Less than this the clock on the wall may be off without being taken to have been set. */
#define LIMITING_STEP (50 * SPAN_MS)

struct limiting_lock {
    struct limiting_locked {
        uint64_t account; /* 0: all of the customer */
        uint64_t customer;
    } whom; /* the key */
    uint64_t id;
    uint64_t version; /* of the directory that it was made under */
    stamp until;      /* STAMP_NEVER: for good */
    uint64_t used;    /* of the rule's window, with what went beyond */
    struct limit limit;
    char reason[LIMITING_REASON_MAX];
};

/* Attempts that were not accepted, since the last second. */
struct limiting_attempts {
    struct {
        uint64_t account;
        uint64_t credential;
    } key;
    uint64_t customer;
    uint64_t refusals;
    struct rule rule; /* the last that refused */
    struct amounts amounts;
};

/* What of somebody's mail came back. */
struct limiting_bounced {
    struct {
        uint64_t account;
        uint64_t credential;
    } key;
    uint64_t customer;
    uint64_t count;
};

struct limiting_bounces {
    /* the loop's: */
    struct journal_reader *reader;
    struct loop_task task;
    bool is_posted;
    bool is_stopped;  /* at a record that is not understood */
    uint64_t read;    /* where the reader goes on */
    struct map found; /* of the record under way: then they are judged */
    uint64_t saving;
    uint64_t saved;
    /* under the mutex: */
    uint64_t counted; /* all before it is counted, by records before limiting's position */
    enum { BOUNCES_READING, BOUNCES_WRITING, BOUNCES_COUNTED, BOUNCES_LOST } state;
    struct loop_task done;
    struct bounces_record *record; /* the committer's: done in this batch */
};

struct limiting {
    struct limiting_config config;
    pthread_mutex_t mutex;
    /* under the mutex: */
    struct limiter *limiter;
    struct acquaintances *acquaintances; /* of accounts that have limits on new recipients */
    struct map locks;
    struct map attempts;
    struct tally tally;
    uint64_t reviewed; /* version of the directory under which locks were looked at */
    stamp next_end;    /* of a lock */

    _Atomic uint64_t version;
    _Atomic uint64_t position; /* all records before it are counted, none behind */
    stamp base;                /* the clock at `started` */
    _Atomic span ahead;        /* the clock on the wall; follows it in steps */
    span started;

    /* the committer's thread alone: what is settled at the end of the running batch */
    struct limiting_charge *settling;
    struct limiting_charge **settling_end;
    struct limiting_after *afters;
    uint64_t passed; /* behind our last entry that was committed */

    /* the loop's */
    unsigned ticks;
    struct job job;
    bool is_saving;
    uint64_t saved_position;
    uint64_t saving_position;
    struct buf saving;
    int saved;
    struct limiting_bounces bounces;
};

/* Starts the clock, not behind `base`, the last stamp that was counted. */
void limiting_clock_begin(struct limiting *l) NONNULL(1);
/* The clock of the limits, and how far the clock on the wall is ahead of it. */
stamp limiting_now(const struct limiting *l) NONNULL(1);
span limiting_wall(const struct limiting *l, stamp now) NONNULL(1);
bool limiting_counts_new(const struct limit *limits, size_t count);
/* The account has written to the recipients of this record. */
void limiting_acquaint(struct limiting *l, uint64_t account, slice fields, stamp at) NONNULL(1);
/* The moments of a verdict, by the clock on the wall. */
void limiting_to_wall(const struct limiting *l, struct limit_verdict *v, stamp now)
    NONNULL(1, 2);
/* Plans go by the clock on the wall: notices that it was set. Under the mutex. */
void limiting_heed_wall(struct limiting *l, span ahead) NONNULL(1);
/* An entry of ours was committed: with its batch the position moves behind it. */
void limiting_passed(struct limiting *l, const struct journal_entry *e) NONNULL(1, 2);
/* Limits as the directory has them, bound to who sends. */
size_t limiting_limits(struct limiting *l, uint64_t account, uint64_t credential,
                       struct arena *a, struct limit **out) NONNULL(1, 4, 5);
/* Fills in the periods of plans at a moment of the limits' clock. */
void limiting_periods(struct limiting *l, uint64_t account, struct limit *limits, size_t count,
                      stamp at, struct limiting_period *out) NONNULL(1, 6);
/* Lays the lock by rule over the account; under the mutex. */
void limiting_lay_lock(struct limiting *l, struct account *account, struct arena *a)
    NONNULL(1, 2, 3);
void limiting_bind(struct limit *limits, size_t count, uint64_t customer, slice reverse_path,
                   slice client);

/* Locks; all under the mutex. The lock of the account or of all its customer's accounts: of
 * both, the one that lasts longer. */
struct limiting_lock *limiting_lock_of(const struct limiting *l, uint64_t account,
                                       uint64_t customer) NONNULL(1);
/* A rule that locks was passed: locks the account, or all of its customer's if the rule is
 * theirs, and appends the record. */
void limiting_lock_sender(struct limiting *l, const struct limiting_charge *c,
                          const struct limit_verdict *v, stamp now) NONNULL(1, 2, 3);
/* A rule that notifies was passed: appends the record, and logs it. */
void limiting_notice(struct limiting *l, const struct limiting_charge *c,
                     const struct limit_verdict *v, stamp now) NONNULL(1, 2, 3);
/* The same, as the limiter calls it. */
struct limiting_settling {
    struct limiting *limiting;
    const struct limiting_charge *charge;
    stamp now;
};
void limiting_on_notice(void *settling, const struct limit_verdict *v) NONNULL(1, 2);
/* A RECORD_NOTICE that was read back. */
void limiting_notice_replay(struct limiting *l, slice fields) NONNULL(1);
/* Ends the locks whose time is over, and those that control has lifted. */
void limiting_review(struct limiting *l, stamp now) NONNULL(1);
/* A RECORD_LOCK that was read back. */
void limiting_lock_replay(struct limiting *l, const struct record_header *h, slice fields)
    NONNULL(1, 2);
void limiting_locks_save(const struct limiting *l, struct buf *out) NONNULL(1, 2);
int limiting_locks_load(struct limiting *l, slice *in) MUST_USE NONNULL(1, 2);
void limiting_locks_fini(struct limiting *l) NONNULL(1);

/* Appends a record of our own; the fields are taken. */
void limiting_append_own(struct limiting *l, const struct record_header *h, struct buf *fields)
    NONNULL(1, 2, 3);

/* Reads delivery's journal on. */
void limiting_bounces_begin(struct limiting *l, const uint64_t seed[2]) NONNULL(1);
void limiting_bounces_look(struct limiting *l) NONNULL(1);
void limiting_bounces_fini(struct limiting *l) NONNULL(1);
/* The record that is done counts, if there is one: under the mutex, with the position. */
void limiting_bounces_settle(struct limiting *l) NONNULL(1);
/* A RECORD_BOUNCES counts, live or read back. */
void limiting_bounces_count(struct limiting *l, const struct record_header *h, slice fields)
    NONNULL(1, 2);

/* State. */
void limiting_restore(struct limiting *l) NONNULL(1);
void limiting_save_some(struct limiting *l) NONNULL(1);
void limiting_save_last(struct limiting *l) NONNULL(1);

#endif
