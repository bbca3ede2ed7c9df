/* ledger_inside: what the files of the ledger share. */
#ifndef CONTROL_LEDGER_INSIDE_H
#define CONTROL_LEDGER_INSIDE_H

#include "control/ledger.h"
#include "control/sql.h"

#include <pthread.h>
#include <stdatomic.h>

/* Statements that run for each record: prepared once. */
enum ledger_statement {
    PUT_MESSAGE,
    PUT_RECIPIENT,
    SET_RECIPIENT,
    PUT_ATTEMPT,
    PUT_USAGE,
    PUT_ERROR,
    PUT_REPORT,
    LEDGER_STATEMENTS
};

/* Use of an account within a minute, gathered over a transaction. */
struct ledger_use {
    uint64_t account;
    stamp minute;
    uint64_t messages;
    uint64_t recipients;
    uint64_t octets;
    uint64_t delivered;
    uint64_t failed;
};

enum { LEDGER_USES = 64 };

struct ledger {
    sqlite3 *db;
    char *path;
    pthread_mutex_t mutex;
    sqlite3_stmt *statements[LEDGER_STATEMENTS];
    struct ledger_use uses[LEDGER_USES];
    size_t use_count;
    _Atomic unsigned waiting; /* pages in the write-ahead log */
};

extern const char *const ledger_steps[];
extern const size_t ledger_step_count;

/* Writes what was gathered. */
int ledger_flush_uses(struct ledger *l) MUST_USE NONNULL(1);
/* Evidence, and ended locks, that are older; adds to *removed. In a transaction. */
int ledger_expire_locks(struct ledger *l, stamp before, int *removed) MUST_USE NONNULL(1, 3);
/* Gathers the evidence of the locks that have none yet. In a transaction. */
int ledger_gather(struct ledger *l, stamp now) MUST_USE NONNULL(1);
/* Makes the notices of locks that began or ended. In a transaction. */
int ledger_tell_locks(struct ledger *l) MUST_USE NONNULL(1);
/* No message of an earlier time has an id of this or above. */
static inline uint64_t ledger_first_id(stamp at)
{
    static const stamp first = 1577836800 * SPAN_SECOND; /* 2020-01-01, see base/id */
    return at <= first ? 0 : (uint64_t)((at - first) / SPAN_MS) << 22;
}

#endif
