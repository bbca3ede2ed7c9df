/* limiting_internal: what the files of limiting share. Nobody else's.
 *
 *   limiting.c          reserving, appending, settling
 *   limiting_clock.c    the clock that counts
 *   limiting_limits.c   whose limits apply, and their periods
 *   limiting_locks.c    locks by rule: their records, their ends
 *   limiting_notices.c  notices about rules that were passed
 *   limiting_state.c    snapshot and journal: what is restored, what is saved
 */
#ifndef SMTPD_LIMITING_INTERNAL_H
#define SMTPD_LIMITING_INTERNAL_H

#include "base/map.h"
#include "smtpd/limiting.h"

#include <pthread.h>

enum { LIMITING_REASON_MAX = 300, LIMITING_SNAPSHOT_VERSION = 2 };

struct limiting_lock {
    uint64_t account; /* the key */
    uint64_t customer;
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

struct limiting {
    struct limiting_config config;
    pthread_mutex_t mutex;
    /* under the mutex: */
    struct limiter *limiter;
    struct map locks;
    struct map attempts;
    uint64_t reviewed; /* version of the directory under which locks were looked at */
    stamp next_end;    /* of a lock */

    _Atomic uint64_t version;
    _Atomic uint64_t position; /* all records before it are counted, none behind */
    stamp base;                /* the clock at `started` */
    span started;

    /* the loop's */
    unsigned ticks;
    struct job job;
    bool is_saving;
    uint64_t saved_position;
    uint64_t saving_position;
    struct buf saving;
    int saved;
};

/* Starts the clock, not behind `base`, the last stamp that was counted. */
void limiting_clock_begin(struct limiting *l) NONNULL(1);
/* The clock of the limits, and how far the clock on the wall is ahead of it. */
stamp limiting_now(const struct limiting *l) NONNULL(1);
span limiting_wall(const struct limiting *l, stamp now) NONNULL(1);
/* An entry of ours was committed: the position moves behind it. */
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
void limiting_bind(struct limit *limits, size_t count, uint64_t customer, slice reverse_path);

/* Locks; all under the mutex. */
struct limiting_lock *limiting_lock_of(const struct limiting *l, uint64_t account) NONNULL(1);
/* Locks the account and appends the record. The text is in the verdict's language. */
void limiting_lock_account(struct limiting *l, const struct limiting_charge *c,
                           const struct limit *limit, const struct limit_verdict *v, stamp now)
    NONNULL(1, 2, 3, 4);
/* A rule that notifies was passed: appends the record, and logs it. */
void limiting_notice(struct limiting *l, const struct limiting_charge *c,
                     const struct limit *limit, const struct limit_verdict *v, stamp now)
    NONNULL(1, 2, 3, 4);
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

/* State. */
void limiting_restore(struct limiting *l) NONNULL(1);
void limiting_save_some(struct limiting *l) NONNULL(1);
void limiting_save_last(struct limiting *l) NONNULL(1);

#endif
