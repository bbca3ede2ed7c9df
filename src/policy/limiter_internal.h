/* limiter_internal: what the files of the limiter share. Nobody else's.
 *
 *   limiter.c            reserving, settling, committing: the transactions
 *   limiter_replay.c     what was used in an earlier life
 *   limiter_pace.c       rules that pace
 *   limiter_wait.c       mail that waits until a rule that defers lets it pass: the line
 *   limiter_place.c      … and its place in the line
 *   limiter_counters.c   who is known, what is counted of them
 *   limiter_holds.c      room for what transactions hold
 *   limiter_save.c       the contents of a snapshot */
#ifndef POLICY_LIMITER_INTERNAL_H
#define POLICY_LIMITER_INTERNAL_H

#include "base/map.h"
#include "policy/limiter.h"
#include "policy/window.h"

/* What was used in the running period of a plan. */
struct period {
    uint64_t used;
    stamp start;
    stamp end;      /* when the next one begins; STAMP_NEVER: not known, or none */
    stamp reset;    /* the one that was heeded, */
    stamp forgiven; /* and when: what is older does not count */
    stamp last;     /* when something was used */
};

/* Where a rule that paces has got to. */
struct pace {
    stamp next; /* when the next unit may go */
};

/* Accepted already, and used from some moment on: what waits of one counter, by that moment.
 * Moments that are over become use of the window when somebody looks. */
struct waiting {
    stamp at;
    uint64_t amount;
};
struct wait_line {
    uint32_t count;
    uint32_t cap;
    struct waiting of[];
};

/* One unit of one window of somebody. Counters of an entity are only added, so that a hold can
 * name one by its index. */
struct counter {
    span length;
    union {
        struct window window;
        struct period period; /* RULE_PERIOD */
        struct pace pace;     /* is_pace */
    };
    uint64_t held;          /* reserved, not yet committed */
    uint64_t settling;      /* of rules that lock: past limiter_settle, not yet committed */
    struct wait_line *line; /* NULL: nothing waits */
    uint8_t unit;
    bool is_pace;
    bool notified;
    bool suspended;    /* people know that the period's volume is used up */
    uint32_t placings; /* how often something took its place in the line */
};

struct entity {
    struct entity_key {
        uint64_t id;
        uint64_t scope;
    } key;
    struct counter *counters; /* the first ones until they are more: then all elsewhere */
    uint32_t count;
    uint32_t holds; /* reservations that point here */
    struct counter first[];
};

/* What one transaction holds of one counter. */
struct limiter_hold {
    struct entity *entity;
    uint32_t counter;
    uint32_t round; /* of the reservation, when it last added to this */
    struct rule rule;
    bool is_settled;
    bool defers;       /* one of its rules does, with a sliding window */
    bool waits;        /* nothing is held: it does not fit yet */
    uint32_t placings; /* of the counter when this was reserved: others' are looked at */
    stamp placed;      /* settled: from then on it is used; 0: when committed */
    uint64_t max;
    uint64_t amount;
    stamp paced[2]; /* of pace, settled: from when to when it takes its turn */
};

/* Where a limit counts. */
struct place {
    struct entity *entity; /* NULL: in its message alone */
    uint32_t counter;
    uint32_t whom; /* while it is being found */
};

/* Whom limits are about, while they are being found. */
struct whom {
    struct entity *entity; /* NULL: not looked up yet */
    struct entity_key key;
    uint64_t hash;
};

/* Rules that are asked before mail is accepted; the others are looked at in limiter_settle. */
static inline bool refuses(const struct rule *r)
{
    return r->action == RULE_DEFER || r->action == RULE_REJECT || r->action == RULE_SUSPEND;
}

static inline bool is_settled_later(const struct rule *r)
{
    return r->action == RULE_LOCK || r->action == RULE_NOTIFY;
}

static inline struct counter *counter_of(const struct limiter_hold *h)
{
    return &h->entity->counters[h->counter];
}

static inline bool paces(const struct rule *r)
{
    return r->action == RULE_PACE;
}

/* Rules that mail may wait for. */
static inline bool lets_wait(const struct rule *r)
{
    return r->action == RULE_DEFER && r->window > 0 && !rule_is_of_results(r);
}

static inline uint64_t max_of(const struct limit *limit)
{
    if (limit->is_closed)
        return 0;
    return limit->rule.max > UINT64_MAX - limit->credit ? UINT64_MAX
                                                        : limit->rule.max + limit->credit;
}

static inline bool fits(uint64_t used_now, uint64_t asked, uint64_t max)
{
    return asked <= max && used_now <= max - asked;
}

/* As many as the accounts of most presets have, beside what is looked up to find them. */
enum { FIRST_ACCOUNT = 4, FIRST_OTHER = 2 };

struct limiter {
    struct map entities;
    stamp now;    /* never steps back */
    size_t swept; /* where the next sweep goes on */
    /* Who was asked for last: the rules of a message are about one of each scope. */
    struct entity *recent[RULE_SCOPE_COUNT];
    struct place *places; /* of the limits that are being asked: limiter_find */
    struct whom *whoms;
    size_t place_cap;             /* of both */
    struct limiter_spare *spares; /* room for holds, to be used again by any thread */
    unsigned spare_count;
};

stamp limiter_advance(struct limiter *l, stamp now) NONNULL(1);

/* Finds where each of these limits counts, made when it is missing: l->places, until the next
 * call. All that they will touch is asked of the memory at once. 0 or -ENOMEM. */
int limiter_find(struct limiter *l, const struct limit *limits, size_t count) MUST_USE
    NONNULL(1);
/* The entity, made when it is missing; NULL: out of memory. */
struct entity *limiter_entity(struct limiter *l, enum rule_scope scope, uint64_t id) NONNULL(1);
/* The index of the rule's counter, made when it is missing; -1: out of memory. A new window
 * counts from when it was set. `likely` is where it is looked for first. */
int limiter_counter_index(struct entity *e, const struct rule *r, uint32_t likely)
    NONNULL(1, 2);
/* The counter of a limit; NULL: out of memory. */
struct counter *limiter_counter(struct limiter *l, const struct limit *limit,
                                struct entity **entity) NONNULL(1, 2, 3);
/* The same if it is there, else NULL. */
struct counter *limiter_known(const struct limiter *l, const struct limit *limit) NONNULL(1, 2);

/* What waits and is over becomes use. */
void wait_roll(struct counter *c, stamp now) NONNULL(1);

/* The counter is for what this limit says of its period now. */
void counter_bind(struct counter *c, const struct limit *limit, stamp now) NONNULL(1, 2);
/* The counter of a limit that was found, for what it says of its period now. */
static inline struct counter *counter_at(const struct limiter *l, const struct limit *limits,
                                         size_t at)
{
    const struct place *p = &l->places[at];
    struct counter *c = &p->entity->counters[p->counter];
    if (c->length == RULE_PERIOD)
        counter_bind(c, &limits[at], l->now);
    return c;
}

uint64_t counter_used_of_period(struct counter *c, stamp now) NONNULL(1);
/* Only for those that do not pace. */
static inline uint64_t counter_used(struct counter *c, stamp now)
{
    if (c->length == RULE_PERIOD)
        return counter_used_of_period(c, now);
    if (c->line)
        wait_roll(c, now);
    return window_used(&c->window, c->length, now);
}
/* 0 or -ENOMEM, which changes nothing. */
int counter_use(struct counter *c, stamp at, uint64_t amount) MUST_USE NONNULL(1);

/* A rule that paces, on its counter: what is waiting in units of the rule, and how much may. */
uint64_t pace_waiting(const struct counter *c, const struct rule *rule, stamp now)
    NONNULL(1, 2);
uint64_t pace_backlog(const struct rule *rule) NONNULL(1);
/* When a message goes that is accepted now, and when it has made room for what would go behind
 * all that is held. */
stamp pace_start(const struct counter *c, stamp now) NONNULL(1);
stamp pace_after(const struct rule *rule, stamp start, uint64_t amount) NONNULL(1);
/* Whether more may be accepted behind what waits and is held; else *free_at. */
bool pace_fits(const struct counter *c, const struct rule *rule, stamp now, stamp *free_at)
    NONNULL(1, 2, 4);

/* Mail that waits. The counter's window is sliding. */

/* The most that any window has, of those that something used at `at` (not before now) would be
 * in. */
uint64_t wait_peak(const struct counter *c, stamp at) NONNULL(1);
/* The first moment from `at` on of which that is at most `keep`. */
stamp wait_free_at(const struct counter *c, stamp at, uint64_t keep) NONNULL(1);
/* Room for one more, so that wait_add finds it; 0 or -ENOMEM. */
int wait_make_room(struct counter *c) MUST_USE NONNULL(1);
void wait_add(struct counter *c, stamp at, uint64_t amount) NONNULL(1);
/* It waits no more; what has become use stays so. */
void wait_remove(struct counter *c, stamp at, uint64_t amount) NONNULL(1);
void wait_save(const struct counter *c, struct buf *out) NONNULL(1, 2);
int wait_load(struct counter *c, slice *in) MUST_USE NONNULL(1, 2);

/* Used now; with what waits, if something does: the most that a window has in which more that
 * is used now would be. */
static inline uint64_t counter_peak(struct counter *c, stamp now)
{
    uint64_t used = counter_used(c, now);
    return c->line ? wait_peak(c, now) : used;
}

/* Mail that may wait. Is there room in the line for `total` of this message? Else the truth
 * about it, in *v if that lapses later or is the first. */
bool place_fits(struct counter *c, const struct limit *limit, uint64_t total, stamp now,
                struct limit_verdict *v, bool is_first) NONNULL(1, 2, 5);
/* The first moment from `at` on at which what waits under any of these limits leaves room. */
stamp place_free_at(const struct limiter *l, const struct limit *limits, size_t count,
                    const struct amounts *asked, stamp at) NONNULL(1, 4);
/* It does not fit now: nothing is held of it any more. */
void place_later(struct limiter_hold *h, struct counter *c) NONNULL(1, 2);
/* Is there room now for `total` instead of what is held? */
bool place_has_room(const struct limiter_hold *h, struct counter *c, uint64_t total, stamp now)
    NONNULL(1, 2);
/* At the end of the message: if it has to wait, takes its place under all rules that defer. All
 * or nothing. Refuses one that may not wait, and whose room mail that waits has taken. */
enum limiter_result place_take(struct limiter_reservation *r, stamp now,
                               struct limit_verdict *v) MUST_USE NONNULL(1, 3);

void limiter_forget_all(struct limiter *l) NONNULL(1);

/* Room for so many more holds: 0 or -ENOMEM. */
int holds_make_room(struct limiter *l, struct limiter_reservation *r, size_t count) MUST_USE
    NONNULL(1, 2);
/* Empties the reservation; its room is for others. */
void holds_give(struct limiter *l, struct limiter_reservation *r) NONNULL(1, 2);
void holds_free_spares(struct limiter *l) NONNULL(1);

#endif
