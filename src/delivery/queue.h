/* queue: the recipients that are still to be delivered, in memory.
 *
 * A parcel is the recipients of one message that go to one destination; a message for several
 * destinations is several parcels with its id. Inside a destination
 * accounts are served fairly: the account that has had the fewest recipients sent goes first
 * (start-time fair queueing), so that a mailing of 100,000 delays its own sender and nobody
 * else. Inside an account parcels go first in, first out.
 *
 * The queue holds no addresses and no bodies: those are read again from the journal when they
 * are sent. A parcel of one recipient takes about 190 bytes. Recipients that failed for good
 * are kept, with all that is needed to report them, until somebody has been told; and so are
 * those that were delivered when their sender wants to know.
 *
 * Pure bookkeeping: no disk, no clock. One thread. */
#ifndef DELIVERY_QUEUE_H
#define DELIVERY_QUEUE_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/stamp.h"
#include "delivery/settlement.h"

enum recipient_state {
    RECIPIENT_READY,   /* may be sent now */
    RECIPIENT_WAITING, /* until its next attempt */
    RECIPIENT_HELD,    /* until somebody releases it */
    RECIPIENT_SENDING, /* somebody has it, or its outcome is not synced yet */
    RECIPIENT_FAILED,  /* for good; unreported */
    RECIPIENT_EXPIRED, /* tried for too long; unreported */
    RECIPIENT_TAKEN,   /* delivered or relayed, as its sender wants to be told; unreported */
    RECIPIENT_GONE,    /* delivered, suppressed, removed or reported */
};
const char *recipient_state_name(enum recipient_state s);

/* Why a recipient is held: bits of its flags; while SENDING, for afterwards. */
enum recipient_hold {
    HELD_BY_ORDER = 16, /* an operator held it */
    HELD_BY_LOCK = 32,  /* its account was locked, and unlocked without releasing its queue */
    HELD_DOMAIN = 64,   /* an operator holds its domain */
    HELD_ANY = HELD_BY_ORDER | HELD_BY_LOCK | HELD_DOMAIN,
};

/* What the remote (or we) said of a recipient that could not be delivered, or of one whose
 * delivery is to be reported. One block. */
struct trouble {
    stamp at;
    struct enhanced status;
    uint16_t code;
    uint8_t stage;  /* enum relay_stage */
    uint8_t report; /* enum report: what is to be reported of one that was TAKEN */
    uint16_t remote_len;
    uint16_t reply_len;
    uint32_t facts_len;
    char bytes[]; /* remote, reply, facts (fields of the recipient, see settlement.h) */
};
enum { TROUBLE_REPLY_MAX = 200, TROUBLE_REMOTE_MAX = 120 };
slice trouble_remote(const struct trouble *t) NONNULL(1);
slice trouble_reply(const struct trouble *t) NONNULL(1);
slice trouble_facts(const struct trouble *t) NONNULL(1);

struct recipient {
    stamp next; /* when WAITING */
    struct trouble *trouble;
    uint32_t index; /* in the order of the message's recipients */
    uint16_t attempts;
    uint8_t state; /* enum recipient_state */
    uint8_t flags; /* enum recipient_flag, enum recipient_hold */
};

enum recipient_flag {
    RECIPIENT_WARNED = 1, /* its sender knows that it is delayed, or need not be told */
};
/* Is it tried in vain, or stands in line, and its sender does not know? Not while it waits for
 * its first attempt, or is held. */
static inline bool recipient_is_delayed(const struct recipient *r)
{
    return r->state <= RECIPIENT_SENDING && !(r->flags & RECIPIENT_WARNED) &&
           r->state != RECIPIENT_HELD && (r->state != RECIPIENT_WAITING || r->attempts > 0);
}

enum parcel_flag {
    PARCEL_FILE = 1, /* the body is a file of its own */
    PARCEL_OWN = 2,  /* the record is in delivery's own journal, not in smtpd's */
    PARCEL_LOST = 4, /* the record cannot be read any more */
};

/* A message as the queue knows it: where to find it, whose it is. */
struct parcel_facts {
    uint64_t id;
    uint64_t position; /* of its record in smtpd's journal, or in ours (PARCEL_OWN) */
    uint64_t customer;
    uint64_t account;
    stamp accepted;
    uint64_t body_len;
    uint32_t fields_len;
    uint32_t flags; /* enum parcel_flag */
};

struct blob {
    size_t len;
    char bytes[];
};

struct parcel {
    struct list node;       /* in its flow's line while it has READY recipients */
    struct heap_node due;   /* in the schedule while it has WAITING ones: the earliest */
    struct parcel *chain;   /* of its bucket */
    struct flow *flow;      /* its account's line at its destination */
    struct blob *reporting; /* fields of the message, once a recipient failed; else NULL */
    struct parcel_facts facts;
    uint32_t count; /* of recipients[] */
    uint32_t ready;
    uint32_t living;               /* READY, WAITING, HELD, SENDING */
    uint32_t failed;               /* FAILED, EXPIRED, TAKEN: unreported */
    struct recipient recipients[]; /* by index, rising */
};

/* One destination: a next host, or the capture Maildir. What is READY counts only while its
 * account's gate is open. */
struct destination {
    struct queue *queue;
    struct map flows;     /* by account */
    struct heap turns;    /* flows that have READY recipients, by their share had so far */
    int64_t virtual_time; /* the share of the flow that was served last */
    uint64_t ready;       /* recipients */
    uint64_t ready_parcels;
    size_t idle_flows; /* flows without parcels, kept for their debt */
    size_t trim_at;
    size_t parcels;
    /* May be NULL: where it puts itself when it gets READY recipients. */
    struct list *awake;
    struct list node;
};

/* Whether accounts and customers may send at all; see delivery/gate. */
struct gates {
    struct map accounts;  /* struct gate by id */
    struct map customers; /* the same */
    stamp next_end;       /* of an operator's lock */
    bool has_ending;      /* a gate may have begun to end: its mail is to be held */
    /* The reseller of a customer, 0: none. May be NULL. */
    uint64_t (*parent_of)(void *ctx, uint64_t customer);
    void *ctx;
};

struct queue {
    struct parcel **buckets; /* by id */
    size_t bucket_count;
    size_t parcels;
    uint64_t living; /* recipients */
    uint64_t failed;
    struct heap schedule; /* parcels by their next attempt */
    struct gates gates;
    struct map domains; /* held ones: struct blob with their name, by it */
    uint64_t seed[2];
    /* Called when the last recipient of a message that was living or unreported is settled,
     * before its last parcel is freed. May be NULL. */
    void (*on_finished)(void *ctx, const struct parcel *p);
    /* Called when a recipient of the message has become unreported. May be NULL. */
    void (*on_unreported)(void *ctx, uint64_t id);
    void *ctx;
};

void queue_init(struct queue *q, const uint64_t seed[2]) NONNULL(1, 2);
void queue_fini(struct queue *q) NONNULL(1);
/* Forgets everything. */
void queue_clear(struct queue *q) NONNULL(1);
void destination_init(struct queue *q, struct destination *d) NONNULL(1, 2);
/* Every parcel must have left it. */
void destination_fini(struct destination *d) NONNULL(1);

/* Adds a message with recipients 0 to count - 1, to be sent at not_before (or at once). NULL
 * when the id is known already: reading a record twice changes nothing. */
struct parcel *queue_add(struct queue *q, struct destination *d, const struct parcel_facts *f,
                         uint32_t count, stamp not_before, stamp now) NONNULL(1, 2, 3);
/* Adds a parcel as a snapshot has it: with these recipients, whose troubles it takes over, and
 * these reporting fields. NULL (nothing is taken) when its first recipient is known. */
struct parcel *queue_restore(struct queue *q, struct destination *d,
                             const struct parcel_facts *f, const struct recipient *recipients,
                             uint32_t count, slice reporting, stamp now) NONNULL(1, 2, 3, 4);
/* One parcel of the message, or NULL; and another one of the same message, or NULL. */
struct parcel *queue_find(const struct queue *q, uint64_t id) NONNULL(1);
struct parcel *queue_also(const struct parcel *p) NONNULL(1);
/* Does somebody still need the message's record? Not those that have failed: what a report says
 * of them is in the queue. */
static inline bool parcel_needs_record(const struct parcel *p)
{
    return p->living > 0 && !(p->facts.flags & PARCEL_LOST);
}
/* The record has been copied elsewhere: position, lengths and flags of all parcels of f->id are
 * those of *f from now on. False when there is none. */
bool queue_supersede(struct queue *q, const struct parcel_facts *f) NONNULL(1, 2);
/* Is any recipient of the message living? */
bool queue_is_living(const struct queue *q, uint64_t id) NONNULL(1);
struct destination *parcel_destination(const struct parcel *p) NONNULL(1);
/* NULL when the parcel has no such recipient. */
struct recipient *parcel_recipient(struct parcel *p, uint32_t index) NONNULL(1);

/* Makes what is due READY; returns when to look again, or STAMP_NEVER. */
stamp queue_due(struct queue *q, stamp now) NONNULL(1);

/* Takes up to limit READY recipients of the parcel whose turn it is; they are SENDING until
 * they are settled or put back. Fills indexes, returns the parcel (which stays until then), or
 * NULL when nothing is ready. */
struct parcel *queue_take(struct queue *q, struct destination *d, uint32_t limit,
                          uint32_t *indexes, uint32_t *count) NONNULL(1, 2, 4, 5);
/* The parcel whose turn it is, left in its place, or NULL. */
struct parcel *queue_next(struct destination *d) NONNULL(1);
/* Takes READY recipients of this parcel, whosever turn it is. Returns their number. */
uint32_t queue_take_from(struct queue *q, struct parcel *p, uint32_t limit, uint32_t *indexes)
    NONNULL(1, 2, 4);
/* They were not tried after all: READY again, first in their line. */
void queue_put_back(struct queue *q, struct parcel *p, const uint32_t *indexes, uint32_t count)
    NONNULL(1, 2);

enum queue_settled {
    QUEUE_APPLIED,
    QUEUE_UNKNOWN, /* no such message */
    QUEUE_KNOWN,   /* the recipient is past this already */
};
/* What became of one recipient. An outcome that was applied before, or that is older than what
 * is known, changes nothing. The parcel may be freed. */
enum queue_settled queue_settle(struct queue *q, const struct settlement *s,
                                const struct settled *r, stamp now) NONNULL(1, 2, 3);

/* A notification about the recipient is on disk: it is forgotten, or warned of its delay.
 * False: that says nothing new. The parcel may be freed. */
bool queue_reported(struct queue *q, uint64_t id, uint32_t index, enum report report)
    NONNULL(1);

/* Is nothing of its account sent at present? */
bool parcel_is_stopped(const struct parcel *p) NONNULL(1);
/* Holds a queued recipient, or one that is SENDING when it comes back; further reasons add to
 * the first. False: it is past that, or held for that reason already. */
bool queue_hold(struct queue *q, struct parcel *p, struct recipient *r, enum recipient_hold why)
    NONNULL(1, 2, 3);
/* Takes these reasons away; without any it goes on. False: it had none of them. */
bool queue_release(struct queue *q, struct parcel *p, struct recipient *r, unsigned why,
                   stamp now) NONNULL(1, 2, 3);
/* Makes one that is WAITING READY. */
bool queue_hurry(struct queue *q, struct parcel *p, struct recipient *r) NONNULL(1, 2, 3);
/* Takes a queued recipient out to be settled: SENDING. False: it is not queued. */
bool queue_lift(struct queue *q, struct parcel *p, struct recipient *r) NONNULL(1, 2, 3);
/* Domains whose mail is held, as path_domain gives them. */
void queue_hold_domain(struct queue *q, slice domain) NONNULL(1);
void queue_release_domain(struct queue *q, slice domain) NONNULL(1);
bool queue_holds_domain(const struct queue *q, slice domain) NONNULL(1);

/* Moves every parcel to another destination; from: NULL for wherever they are. */
void queue_move(struct queue *q, struct destination *from, struct destination *to)
    NONNULL(1, 3);
/* Parts the queued recipients of a parcel by destination: to[i] is that of
 * recipients[i] (of the others it is not looked at). What the account has had of the old
 * destination counts what was READY, as if it had been sent. The parcel itself goes to one of
 * the destinations with what has failed, or stays with what is SENDING. */
void queue_part(struct queue *q, struct parcel *p, struct destination *const *to, stamp now)
    NONNULL(1, 2, 3);

/* Calls fn for every parcel, in no order; nothing may be added or settled meanwhile. False
 * from fn ends the walk. */
void queue_each(const struct queue *q, bool (*fn)(void *ctx, struct parcel *p), void *ctx)
    NONNULL(1, 2);
/* The same for the parcels in some buckets from *at on, which then is where to go on: 0 after
 * the last ones. */
void queue_scan(const struct queue *q, size_t *at, size_t buckets,
                bool (*fn)(void *ctx, struct parcel *p), void *ctx) NONNULL(1, 2, 4);

#endif
