/* gate: whether mail of an account, or of a customer, goes out at all.
 *
 * An account's gate is closed while something stops it, or one of its customer or of that
 * customer's resellers. Closing takes the account's lines out of all destinations at once:
 * nothing of it is taken from the queue from then on. What is in hand is finished.
 *
 * A lock that ends by its time opens the gate. One that is lifted by somebody leaves what is
 * queued as it was: the stop is `ending` until all of that has been held (delivery/orders),
 * then the gate opens for what comes. For the queue and its image; one thread. */
#ifndef DELIVERY_GATE_H
#define DELIVERY_GATE_H

#include "delivery/queue.h"

enum gate_stop {
    GATE_HOLD = 1,     /* an operator holds the queue */
    GATE_LOCK = 2,     /* locked by a rule */
    GATE_OPERATOR = 4, /* locked by an operator, or one who may */
};
/* All stops that a lock makes. */
enum { GATE_LOCKS = GATE_LOCK | GATE_OPERATOR };

struct gate {
    uint64_t id;
    bool is_customer;
    uint8_t stops;       /* enum gate_stop */
    uint8_t ending;      /* those of them that end when what is queued is held */
    bool is_closed;      /* by its own stops or, an account, its customers' */
    uint64_t customer;   /* of an account */
    uint64_t lock;       /* by rule: its id */
    stamp lock_until;    /* when it ends by itself */
    uint64_t version;    /* of the directory under which that was made */
    uint64_t op_version; /* of the directory with the operator's lock */
    stamp op_until;      /* of the operator's lock */
    stamp ended_at;      /* what was accepted later is not held by what is ending */
    uint64_t thawed;     /* locks by rule under older versions do not stop any more */
    struct list flows;   /* of an account, at all destinations */
    uint32_t flow_count;
};

void gates_init(struct gates *g, const uint64_t seed[2]) NONNULL(1, 2);
/* Nothing stops anybody any more. */
void gates_clear(struct queue *q) NONNULL(1);
/* Lines that are left belong to nobody. */
void gates_fini(struct gates *g) NONNULL(1);

/* Made when there is none. */
struct gate *gate_of_account(struct queue *q, uint64_t account, uint64_t customer) NONNULL(1);
struct gate *gate_of_customer(struct queue *q, uint64_t customer) NONNULL(1);
/* NULL when there is none. */
struct gate *gate_find(const struct queue *q, bool is_customer, uint64_t id) NONNULL(1);
/* Forgets it when nothing is known of it and nothing queued. */
void gate_drop(struct queue *q, struct gate *g) NONNULL(1, 2);
/* The next one after *at (0 at first); NULL at the end. */
struct gate *gate_next(const struct queue *q, bool is_customer, size_t *at) NONNULL(1, 3);

/* Is the customer this one, or one of its customers? */
bool gate_is_customer_of(const struct queue *q, uint64_t customer, uint64_t of) NONNULL(1);
/* Who its customers belong to has changed. */
void gates_review(struct queue *q) NONNULL(1);

void gate_stop(struct queue *q, struct gate *g, unsigned stops) NONNULL(1, 2);
void gate_lift(struct queue *q, struct gate *g, unsigned stops) NONNULL(1, 2);
/* Somebody lifted it: it ends when what was accepted up to `at` is held. */
void gate_end(struct queue *q, struct gate *g, unsigned stop, stamp at) NONNULL(1, 2);

/* A lock by rule begins, and ends: by its time, or by somebody. */
void gate_lock(struct queue *q, struct gate *g, uint64_t lock, stamp until, uint64_t version)
    NONNULL(1, 2);
void gate_unlock(struct queue *q, struct gate *g, uint64_t lock, stamp until, stamp at)
    NONNULL(1, 2);
/* The directory says at version that an operator has locked it until then, or that nobody has.
 */
void gate_set_operator(struct queue *q, struct gate *g, bool is_locked, stamp until,
                       uint64_t version, stamp at) NONNULL(1, 2);
/* Locks that were made before this version of the directory stop nothing any more. */
void gate_thaw(struct queue *q, struct gate *g, uint64_t version) NONNULL(1, 2);
/* Opens those whose time is over; when to look again, or STAMP_NEVER. */
stamp gates_due(struct queue *q, stamp now) NONNULL(1);

/* What stops this account's mail: the gate that does, and its stops; NULL: nothing. */
const struct gate *gate_in_the_way(const struct queue *q, uint64_t account, uint64_t customer)
    NONNULL(1);

#endif
