/* limiter_internal: what the files of the limiter share. Nobody else's.
 *
 *   limiter.c            reserving, settling, committing: the transactions
 *   limiter_pace.c       rules that pace
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

/* One unit of one window of somebody. Counters of an entity are only added, so that a hold can
 * name one by its index. */
struct counter {
    span length;
    union {
        struct window window;
        struct period period; /* RULE_PERIOD */
        struct pace pace;     /* is_pace */
    };
    uint64_t held;     /* reserved, not yet committed */
    uint64_t settling; /* of rules that lock: past limiter_settle, not yet committed */
    uint8_t unit;
    bool is_pace;
    bool notified;
    bool suspended; /* people know that the period's volume is used up */
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

/* The counter is for what this limit says of its period now. */
void counter_bind(struct counter *c, const struct limit *limit, stamp now) NONNULL(1, 2);
uint64_t counter_used_of_period(struct counter *c, stamp now) NONNULL(1);
/* Only for those that do not pace. */
static inline uint64_t counter_used(struct counter *c, stamp now)
{
    return c->length == RULE_PERIOD ? counter_used_of_period(c, now)
                                    : window_used(&c->window, c->length, now);
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

void limiter_forget_all(struct limiter *l) NONNULL(1);

/* Room for so many more holds: 0 or -ENOMEM. */
int holds_make_room(struct limiter *l, struct limiter_reservation *r, size_t count) MUST_USE
    NONNULL(1, 2);
/* Empties the reservation; its room is for others. */
void holds_give(struct limiter *l, struct limiter_reservation *r) NONNULL(1, 2);
void holds_free_spares(struct limiter *l) NONNULL(1);

#endif
