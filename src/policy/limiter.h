/* limiter: exact limits over every scope, unit and window at once.
 *
 * Time is an argument; one limiter is used by one thread at a time (its owner has one mutex). A
 * transaction's use is *held* from the first reservation on and counts in every window, without
 * ageing, until it is committed (it becomes use at its record's stamp) or released. At no
 * instant are more than max units committed or held in a window; a refusal that a log of every
 * event would not give lapses at most w/256 later (policy/window).
 *
 * What refuses: rules that defer, reject or suspend; of what became of mail (refusals, bounces)
 * when there is more of it than their maximum. Rules that lock or notify never refuse a
 * reservation: limiter_settle counts what is committed, what is being committed and this
 * message, and says when that is beyond max. Rules that pace let everything pass until a day's
 * (or a longer window's) worth is waiting: limiter_settle says when the message may go.
 *
 * A transaction that may wait is accepted where a rule that defers (with a sliding window)
 * would refuse it, if the rule lets it pass within LIMITER_WAIT_MOST: limiter_settle finds the
 * moment (not_before), and from then on it is used under all such rules, which everybody sees
 * at once.
 *
 * Refused use of a rule with `attempts` becomes use at once; so does held use that is released.
 */
#ifndef POLICY_LIMITER_H
#define POLICY_LIMITER_H

#include "policy/rule.h"

struct limiter;

/* A day, and the little that a window of a day is late in lifting. */
#define LIMITER_WAIT_MOST (25 * SPAN_HOUR)
enum { LIMITER_WAITING_MOST = 4096 }; /* moments at which something of one window is released */

/* One rule, applied to one customer, account, credential … . */
struct limit {
    struct rule rule;
    uint64_t entity; /* its id in the rule's scope; names are hashed by the owner */
    /* Of rules with RULE_PERIOD (policy/plan): */
    stamp period_start; /* use before it does not count */
    stamp period_end;   /* when the next one begins; STAMP_NEVER (or 0): none follows */
    stamp period_reset; /* an operator forgave what was used until this is heard: never twice */
    uint64_t credit;    /* added to max in this period */
    bool is_closed;     /* not within the plan's time: nothing fits; opens at period_end */
};

struct amounts {
    uint64_t of[RULE_UNIT_COUNT];
};

/* The truth about a refusal, or about a limit that was reached. */
struct limit_verdict {
    struct rule rule; /* of several, the one that lapses last */
    uint64_t entity;  /* of the limit */
    uint64_t used;    /* committed or held now, refused attempts included; of pace: waiting;
                       * where mail waits, of the fullest window that more would be in */
    uint64_t asked;
    uint64_t max;  /* with the credit */
    stamp free_at; /* from then on the same is accepted, if nothing is tried before and held use
                    * is kept; STAMP_NEVER: never in this message, or plan */
    bool is_after_held; /* held use alone leaves no room: free_at is as if it were committed
                         * now, and moves on until it is */
    bool never_fits;    /* asked > max: at most max at a time */
    stamp paced_until;  /* when the last goes that is waiting; else 0 */
};

struct limiter_hold;
/* What one transaction holds; the owner's, zeroed at first, empty again after commit/release.
 */
struct limiter_reservation {
    struct limiter_hold *holds;
    uint32_t count;
    uint32_t cap;
    uint32_t round;       /* of limiter_reserve */
    struct amounts total; /* for rules of one message */
    bool may_wait;        /* the owner's, before anything is reserved */
    stamp not_before;     /* after limiter_settle: when the message may go; 0: at once */
    stamp released;       /* from then on it is used, where rules defer; 0: when committed */
};

struct limiter *limiter_new(const uint64_t seed[2]) NONNULL(1);
void limiter_free(struct limiter **l);

enum limiter_result { LIMITER_OK, LIMITER_REFUSED, LIMITER_NO_MEMORY };

/* Reserves the amounts under all limits, or none of it. The same limits may be passed again and
 * again for one transaction (recipient by recipient). */
enum limiter_result limiter_reserve(struct limiter *l, struct limiter_reservation *r,
                                    const struct limit *limits, size_t count,
                                    const struct amounts *asked, stamp now,
                                    struct limit_verdict *verdict) MUST_USE
    NONNULL(1, 2, 3, 5, 7);
/* Changes what is held of one unit to `total` (bytes at end of data). Growing may be refused.
 */
enum limiter_result limiter_true_up(struct limiter *l, struct limiter_reservation *r,
                                    enum rule_unit unit, uint64_t total, stamp now,
                                    struct limit_verdict *verdict) MUST_USE NONNULL(1, 2, 6);
/* End of data: REFUSED with the verdict when a rule that locks is beyond its maximum with this
 * message; or when mail that waits has come first meanwhile, or this would wait for too long:
 * then the verdict's rule defers. Notifying rules that are passed for the first time are
 * reported through `notify` (may be NULL). */
enum limiter_result limiter_settle(struct limiter *l, struct limiter_reservation *r, stamp now,
                                   void (*notify)(void *ctx, const struct limit_verdict *v),
                                   void *ctx, struct limit_verdict *verdict) MUST_USE
    NONNULL(1, 2, 6);
/* What it holds of each rule: of pace, whether it waits. For metrics. */
void limiter_each_hold(const struct limiter_reservation *r,
                       void (*fn)(void *ctx, const struct rule *rule, uint64_t amount,
                                  bool waits),
                       void *ctx) NONNULL(1, 2);
/* The record is durable: held use becomes use at its stamp. */
void limiter_commit(struct limiter *l, struct limiter_reservation *r, stamp at) NONNULL(1, 2);
/* Aborted, or refused at the end. */
void limiter_release(struct limiter *l, struct limiter_reservation *r, stamp now) NONNULL(1, 2);
/* A record read back from the journal, or use that nobody could refuse (bounces): counts. */
int limiter_replay(struct limiter *l, const struct limit *limits, size_t count,
                   const struct amounts *used, stamp at) MUST_USE NONNULL(1, 4);
/* The same of one that waited: `released` as limiter_settle has said (0: it did not). */
int limiter_replay_waiting(struct limiter *l, const struct limit *limits, size_t count,
                           const struct amounts *used, stamp at, stamp released) MUST_USE
    NONNULL(1, 4);

/* Of what became of mail (limiter_replay counted it): REFUSED with the verdict when a rule that
 * locks is beyond its maximum; notices as limiter_settle. */
enum limiter_result limiter_judge(struct limiter *l, const struct limit *limits, size_t count,
                                  stamp now,
                                  void (*notify)(void *ctx, const struct limit_verdict *v),
                                  void *ctx, struct limit_verdict *verdict) MUST_USE
    NONNULL(1, 7);
/* How a limit stands: used (held included) and, for `asked` more, when there is room. */
void limiter_ask(struct limiter *l, const struct limit *limit, uint64_t asked, stamp now,
                 struct limit_verdict *verdict) NONNULL(1, 2, 5);

/* The stamps of plans' periods are of the clock on the wall, as they are in limits: that clock
 * was set, and is by so much less (or more) ahead of the limiter's. */
void limiter_move_periods(struct limiter *l, span by) NONNULL(1);

/* A notice about this limit was read back from the journal: not again for the same passing. */
void limiter_noticed(struct limiter *l, const struct limit *limit) NONNULL(1, 2);
/* A rule that suspends has refused: true when people are to hear of it, once in a period. */
bool limiter_suspends(struct limiter *l, const struct limit *limit) NONNULL(1, 2);

/* Empties the limit's counter; what is held stays: an operator has lifted the lock of its rule.
 */
void limiter_forget(struct limiter *l, const struct limit *limit) NONNULL(1, 2);

/* Forgets who has nothing left in any window: some at a time. */
void limiter_sweep(struct limiter *l, stamp now, unsigned most) NONNULL(1);

/* Everything but what is held, as the contents of a snapshot, and back. */
void limiter_save(const struct limiter *l, struct buf *out) NONNULL(1, 2);
int limiter_load(struct limiter *l, slice contents) MUST_USE NONNULL(1);

/* For metrics and benchmarks: who is known, and their bytes on the heap. */
void limiter_numbers(const struct limiter *l, size_t *entities, size_t *bytes) NONNULL(1, 2, 3);

#endif
