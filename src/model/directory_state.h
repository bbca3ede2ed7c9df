/* directory_state: what the directory holds, and how changes change it. Without lock; for the
 * files of the directory only. */
#ifndef MODEL_DIRECTORY_STATE_H
#define MODEL_DIRECTORY_STATE_H

#include "base/map.h"
#include "model/directory_codec.h"
#include "model/limits.h"

#include <pthread.h>
#include <stdatomic.h>

/* Resellers of resellers: more floors than this are a loop. */
enum { CUSTOMER_DEPTH_MAX = 16 };

struct directory_state {
    struct map customers;   /* by id */
    struct map accounts;    /* by id */
    struct map logins;      /* accounts by login_key */
    struct map credentials; /* by id */
    struct map doors;       /* first credential of a chain, by door */
    struct map zones;       /* struct zone by name: those that were ever named */
    /* Address credentials with each prefix length, so that a lookup tries only those. */
    uint32_t prefixes[2][129];
    bool is_restating;
};

struct directory {
    pthread_rwlock_t lock;
    _Atomic uint64_t version;
    uint64_t seed[2];
    struct arena arena;       /* of the presets' rules */
    struct rule_set *presets; /* in the order of `presets` (model/preset) */
    struct directory_state state;
};

void directory_state_init(struct directory_state *s, const uint64_t seed[2]) NONNULL(1, 2);
void directory_state_fini(struct directory_state *s) NONNULL(1);

/* Versions are the caller's question. 0, or -EBADMSG with nothing changed. */
int directory_state_apply(struct directory_state *s, const struct directory_change *change,
                          slice fields) MUST_USE NONNULL(1, 2);

struct customer_node *directory_state_customer(const struct directory_state *s, uint64_t id)
    NONNULL(1);
/* The time zone of a customer, or of the first of its resellers who has one; else UTC. */
const struct zone *directory_state_zone(const struct directory_state *s, uint64_t customer)
    NONNULL(1);
struct account_node *directory_state_account(const struct directory_state *s, uint64_t id)
    NONNULL(1);
struct credential_node *directory_state_credential(const struct directory_state *s, uint64_t id)
    NONNULL(1);

/* For lookups, until directory_read_unlock: the lock is the one thing in a directory that
 * looking something up changes. */
const struct directory_state *directory_read_lock(const struct directory *d) NONNULL(1);
void directory_read_unlock(const struct directory *d) NONNULL(1);

#endif
