/* store_inside: what the files of the store share. */
#ifndef CONTROL_STORE_INSIDE_H
#define CONTROL_STORE_INSIDE_H

#include "base/buf.h"
#include "control/sql.h"
#include "control/store.h"
#include "model/limits.h"

#include <pthread.h>

struct store {
    sqlite3 *db;
    pthread_mutex_t mutex;
    uint64_t version; /* in a transaction: with its changes so far */
    uint64_t committed_version;
    bool has_commands; /* the transaction has */
    slice by;          /* who makes the changes of the transaction */
    struct buf fields; /* of the change that is being put into the outbox */
    store_publish_fn *publish;
    void *publish_ctx;
};

/* A change is on its way: clears s->fields and gives the version to encode it with. */
uint64_t store_next_version(struct store *s) NONNULL(1);
/* Puts s->fields into the outbox under that version. */
int store_outbox_put(struct store *s, uint64_t customer, uint64_t account,
                     uint64_t credential) MUST_USE NONNULL(1);

/* Hands what waits to the publisher, changes before commands. 0 or -errno, logged. */
int store_publish_waiting(struct store *s) MUST_USE NONNULL(1);

/* One row of a query; what it has lives in the arena. 0 or -errno. */
typedef int store_read_fn(struct store *s, sqlite3_stmt *row, struct arena *a, void *out);
/* The first row of a query that was begun; ends it. 0, -ENOENT: there is none, or -errno: *out
 * may have been written to. */
int store_read_one(struct store *s, sqlite3_stmt **row, store_read_fn *read, struct arena *a,
                   void *out) MUST_USE NONNULL(1, 2, 3, 4, 5);
/* All its rows, of which the list has room: their count or -errno; ends it. `size`: of one. */
int store_read_list(struct store *s, sqlite3_stmt **row, store_read_fn *read, struct arena *a,
                    void *list, size_t size) MUST_USE NONNULL(1, 2, 3, 4, 5);

enum store_rules { STORE_CUSTOMER_RULES, STORE_ACCOUNT_RULES };
/* The owner's rules, in the arena. -EBADMSG: one cannot be read. */
int store_rules_read(struct store *s, enum store_rules whose, uint64_t owner, struct arena *a,
                     struct rule_set *out) MUST_USE NONNULL(1, 4, 5);
/* Puts these in place of the owner's. */
int store_rules_write(struct store *s, enum store_rules whose, uint64_t owner,
                      const struct rule *rules, size_t count) MUST_USE NONNULL(1);

#endif
