/* directory: customers, accounts and credentials in memory, fed by the control journal.
 *
 * Read by every session and door, changed only by directory_apply. Thread-safe: one lock
 * inside; what is returned is copied into the caller's arena. Verifying a password is the
 * caller's work (it takes 30 ms): the directory gives the verifiers. */
#ifndef MODEL_DIRECTORY_H
#define MODEL_DIRECTORY_H

#include "base/arena.h"
#include "base/buf.h"
#include "codec/host.h"
#include "codec/record.h"
#include "policy/account.h"
#include "policy/limiter.h"
#include "policy/plan.h"

enum directory_entity {
    ENTITY_CUSTOMER = 1,
    ENTITY_ACCOUNT = 2,
    ENTITY_CREDENTIAL = 3,
    /* All entities are about to be written again (the journal had lost its history): the only
     * change that may be more than one version ahead. Nothing disappears meanwhile; what was
     * not written again by the end is gone then. */
    ENTITY_RESTATEMENT = 4,
    ENTITY_RESTATEMENT_END = 5,
};

enum credential_kind {
    CREDENTIAL_SECRET = 1,  /* password or token */
    CREDENTIAL_ADDRESS = 2, /* client address */
    CREDENTIAL_UID = 3,     /* local user */
};

/* The effort of "argon2id" (OWASP: 19 MiB, two passes): the same wherever a verifier is made,
 * also the one that is checked for logins that do not exist, so that they take the same time.
 */
enum { ARGON2ID_PASSES = 2, ARGON2ID_MEMORY = 19 * 1024 * 1024 };

/* An entity as a change carries it. One struct per entity; encode and decode below. */
struct directory_customer {
    uint64_t id;
    uint64_t parent; /* reseller; 0: none */
    slice name;
    slice language;
    slice time_zone;
    slice contact;
    enum account_state state;
    stamp until;
    slice reason;
    uint64_t unlocked; /* as an account's */
    slice preset;      /* its name; empty: none */
    const struct rule *rules;
    size_t rule_count;
};

struct directory_account {
    uint64_t id;
    uint64_t customer;
    slice login;
    slice language;
    slice time_zone;
    slice contact;
    enum account_state state;
    stamp until;
    slice reason;
    enum sender_right right;
    const slice *senders;
    size_t sender_count;
    uint32_t max_recipients;
    uint64_t max_size;
    span expire_after; /* mail that cannot be delivered is tried so long; 0: the server's */
    span warn_after;   /* its sender is told after so long; 0: the server's, < 0: never */
    uint64_t unlocked; /* version of the directory at the last unlock; 0: never */
    struct plan plan;
    slice profile; /* a preset whose rules apply besides; empty: none */
    slice preset;
    const struct rule *rules;
    size_t rule_count;
};

struct directory_credential {
    uint64_t id;
    uint64_t account;
    enum credential_kind kind;
    slice label;
    slice scheme;     /* SECRET: "argon2id" or "blake2b" */
    slice verifier;   /* argon2id: libsodium's string; blake2b: 16 bytes salt, 32 bytes hash */
    struct cidr cidr; /* ADDRESS */
    uint32_t uid;     /* UID */
    const uint64_t *may_act_for; /* account ids, any kind of credential */
    size_t may_act_for_count;
};

/* A change as the fields of a RECORD_DIRECTORY. `version` is the directory's after it. */
void directory_put_customer(struct buf *fields, uint64_t version,
                            const struct directory_customer *c) NONNULL(1, 3);
void directory_put_account(struct buf *fields, uint64_t version,
                           const struct directory_account *a) NONNULL(1, 3);
void directory_put_credential(struct buf *fields, uint64_t version,
                              const struct directory_credential *c) NONNULL(1, 3);
void directory_put_removal(struct buf *fields, uint64_t version, enum directory_entity entity,
                           uint64_t id) NONNULL(1);

/* `entity` is ENTITY_RESTATEMENT or ENTITY_RESTATEMENT_END. */
void directory_put_restatement(struct buf *fields, uint64_t version,
                               enum directory_entity entity) NONNULL(1);

struct directory;
/* seed: 16 random bytes, of its maps. */
struct directory *directory_new(const uint64_t seed[2]) NONNULL(1);
void directory_free(struct directory **d);

/* Applies the fields of one RECORD_DIRECTORY. A version that is already known is ignored (0);
 * a gap or nonsense is -EBADMSG and changes nothing. 1: applied. Accounts and customers may go
 * in any order; an account takes its credentials with it. */
int directory_apply(struct directory *d, slice fields) MUST_USE NONNULL(1);
/* Grows with each applied change; cheap, lock-free: compare before asking again. */
uint64_t directory_version(const struct directory *d) NONNULL(1);

/* All of it, as the contents of a snapshot, and back: 0, or -EBADMSG with nothing changed.
 * Loading is for the start: what lookups have given is of the state before. */
void directory_save(const struct directory *d, struct buf *out) NONNULL(1, 2);
int directory_load(struct directory *d, slice contents) MUST_USE NONNULL(1);

/* The account's copy for a session; credential 0 when none. False: no such account (or its
 * customer is gone). Lock states are as stored, the strictest of the account, its customer and
 * the customer's resellers (locked, suspended, active; the later `until` of two that are
 * equal); an `until` that has passed at `now` is ACCOUNT_ACTIVE. What the account does not say
 * (language, time zone) is its customer's, then "en" and UTC. The zone is the directory's and
 * changes no more (model/zoneinfo); one that the system does not know is UTC. Logins are
 * compared without ASCII case. */
bool directory_account(const struct directory *d, uint64_t id, stamp now, struct arena *a,
                       struct account *out) NONNULL(1, 4, 5);
bool directory_account_by_login(const struct directory *d, slice login, stamp now,
                                struct arena *a, struct account *out) NONNULL(1, 4, 5);
/* The account's SECRET credentials, to try one after the other. */
size_t directory_verifiers(const struct directory *d, uint64_t account, struct arena *a,
                           const struct directory_credential **out) NONNULL(1, 3, 4);
/* The account that a client address (longest prefix) or a local user signs in by itself, with
 * its credential (the oldest of several). False: none, or more than one customer's. */
bool directory_by_address(const struct directory *d, const struct address *client, stamp now,
                          struct arena *a, struct account *out) NONNULL(1, 2, 4, 5);
bool directory_by_uid(const struct directory *d, uint32_t uid, stamp now, struct arena *a,
                      struct account *out) NONNULL(1, 4, 5);
/* May this credential act for that account (its own always)? */
bool directory_may_act_for(const struct directory *d, uint64_t credential, uint64_t account)
    NONNULL(1);

/* The limits of a transaction of this account (model/limits), in the arena: how many; 0, too,
 * when there is no such account. Their entity is the account's, customer's or credential's id;
 * 0 for a message, and for a sender domain or a host, which only the caller knows. Without a
 * credential (0) its rules are left out. Periods are the caller's to fill in, as time goes on
 * (directory_periods, plan_bind). */
size_t directory_limits(const struct directory *d, uint64_t account, uint64_t credential,
                        struct arena *a, const struct limit **out) NONNULL(1, 4, 5);

/* What the periods of an account's limits come from: its plan and time zone; limits of its
 * customer go by the customer's calendar months. Zones are the directory's and change no more.
 * False: no such account. */
struct directory_periods {
    struct plan plan;
    const struct zone *zone;
    const struct zone *customer_zone;
};
bool directory_periods(const struct directory *d, uint64_t account,
                       struct directory_periods *out) NONNULL(1, 3);

/* What the account says of its mail that cannot be delivered takes the place of *expiry and
 * *warn_after (0: never); what it does not say, or an unknown account, changes nothing. */
void directory_patience(const struct directory *d, uint64_t account, span *expiry,
                        span *warn_after) NONNULL(1, 3, 4);

/* The version under which the account, or with account 0 the customer, was unlocked last; 0:
 * never, or it is not there. */
uint64_t directory_unlocked(const struct directory *d, uint64_t account, uint64_t customer)
    NONNULL(1);

/* The customer that it is a customer of; 0: none, or no such customer. */
uint64_t directory_parent(const struct directory *d, uint64_t customer) NONNULL(1);
/* The account's customer; 0: no such account. */
uint64_t directory_customer_of(const struct directory *d, uint64_t account) NONNULL(1);

/* Is the credential still there (sessions check after a change)? */
bool directory_has_credential(const struct directory *d, uint64_t credential) NONNULL(1);

#endif
