#include "control/ledger.h"

#include "base/log.h"
#include "control/ledger_inside.h"
#include "control/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* This connection alone checkpoints, and only when it is told to. Erased is overwritten. */
static const char settings[] = "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = NORMAL;"
                               "PRAGMA wal_autocheckpoint = 0;"
                               "PRAGMA secure_delete = ON;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA cache_size = -16384;"
                               "PRAGMA journal_size_limit = 67108864;"
                               "PRAGMA mmap_size = 0;";

static const char *const texts[LEDGER_STATEMENTS] = {
    [PUT_MESSAGE] =
        "INSERT OR IGNORE INTO messages VALUES"
        " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,"
        " ?19)",
    [PUT_RECIPIENT] = "INSERT OR IGNORE INTO recipients (message, number, address)"
                      " VALUES (?1, ?2, ?3)",
    [SET_RECIPIENT] = "UPDATE recipients SET state = ?3, attempts = ?4, at = ?5, next = ?6"
                      " WHERE message = ?1 AND number = ?2",
    /* Only for a recipient that is there. */
    [PUT_ATTEMPT] = "INSERT OR IGNORE INTO attempts"
                    " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12"
                    " FROM recipients WHERE message = ?1 AND number = ?2",
    [PUT_USAGE] = "INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                  " ON CONFLICT DO UPDATE SET messages = messages + excluded.messages,"
                  "  recipients = recipients + excluded.recipients,"
                  "  octets = octets + excluded.octets,"
                  "  delivered = delivered + excluded.delivered,"
                  "  failed = failed + excluded.failed",
    [PUT_REPORT] = "INSERT OR IGNORE INTO reports SELECT message, number, ?3, ?4, ?5"
                   " FROM recipients WHERE message = ?1 AND number = ?2",
    [PUT_ERROR] = "INSERT INTO errors"
                  " SELECT ?1, address, ?3, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10"
                  " FROM recipients WHERE message = ?4 AND number = ?2"
                  " ON CONFLICT DO UPDATE SET last = excluded.last, count = count + 1,"
                  "  message = excluded.message, outcome = excluded.outcome,"
                  "  stage = excluded.stage, code = excluded.code,"
                  "  enhanced = excluded.enhanced, reply = excluded.reply,"
                  "  remote = excluded.remote",
};

static int on_wal(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct ledger *l = ctx;
    (void)db;
    (void)name;
    atomic_store_explicit(&l->waiting, (unsigned)pages, memory_order_relaxed);
    return SQLITE_OK;
}

static int make_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int prepare(struct ledger *l)
{
    int rc = sql_script(l->db, settings);
    if (rc == 0)
        rc = schema_migrate(l->db, ledger_steps, ledger_step_count);
    for (size_t i = 0; i < LEDGER_STATEMENTS && rc == 0; i++)
        if (sqlite3_prepare_v3(l->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &l->statements[i], NULL) != SQLITE_OK)
            rc = -EIO;
    sqlite3_wal_hook(l->db, on_wal, l);
    return rc;
}

int ledger_open(struct ledger **out, const char *path)
{
    struct ledger *l = xcalloc(1, sizeof(*l));
    l->path = xstrdup(path);
    pthread_mutex_init(&l->mutex, NULL);
    int rc = make_file(path);
    /* Our mutex is around everything that is done with it. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (rc == 0 && sqlite3_open_v2(path, &l->db, flags, NULL) != SQLITE_OK)
        rc = -EIO;
    if (rc == 0) {
        sqlite3_busy_timeout(l->db, 5000);
        rc = prepare(l);
    }
    if (rc < 0) {
        log_error("ledger-not-opened", LOG_C("path", path), LOG_E("error", rc));
        ledger_close(&l);
        return rc;
    }
    *out = l;
    return 0;
}

void ledger_close(struct ledger **at)
{
    struct ledger *l = *at;
    if (!l)
        return;
    *at = NULL;
    for (size_t i = 0; i < LEDGER_STATEMENTS; i++)
        sqlite3_finalize(l->statements[i]);
    sqlite3_close(l->db);
    pthread_mutex_destroy(&l->mutex);
    free(l->path);
    free(l);
}

const char *ledger_path(const struct ledger *l)
{
    return l->path;
}

int ledger_begin(struct ledger *l)
{
    pthread_mutex_lock(&l->mutex);
    l->use_count = 0;
    int rc = sql_script(l->db, "BEGIN IMMEDIATE");
    if (rc < 0)
        pthread_mutex_unlock(&l->mutex);
    return rc;
}

void ledger_rollback(struct ledger *l)
{
    sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
    pthread_mutex_unlock(&l->mutex);
}

int ledger_commit(struct ledger *l)
{
    int rc = ledger_flush_uses(l);
    if (rc == 0)
        rc = sql_script(l->db, "COMMIT");
    if (rc < 0) {
        ledger_rollback(l);
        return rc;
    }
    pthread_mutex_unlock(&l->mutex);
    return 0;
}

int ledger_positions(struct ledger *l, uint64_t position[LEDGER_JOURNALS])
{
    int rc = 0;
    pthread_mutex_lock(&l->mutex);
    for (int i = 0; i < LEDGER_JOURNALS && rc == 0; i++)
        rc = sql_number(l->db, "SELECT position FROM positions WHERE journal = ?1",
                        SQL_VALUES(SQL_I(i)), 1, &position[i]);
    pthread_mutex_unlock(&l->mutex);
    return rc;
}

int ledger_put_positions(struct ledger *l, const uint64_t position[LEDGER_JOURNALS])
{
    int rc = 0;
    for (int i = 0; i < LEDGER_JOURNALS && rc == 0; i++)
        rc = SQL_RUN(l->db, "UPDATE positions SET position = ?2 WHERE journal = ?1", SQL_I(i),
                     SQL_I(position[i]));
    return rc;
}

static int checkpoint(struct ledger *l, int mode)
{
    int pages = 0;
    int done = 0;
    int rc = sqlite3_wal_checkpoint_v2(l->db, NULL, mode, &pages, &done);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY) {
        log_error("ledger-checkpoint-failed", LOG_C("what", sqlite3_errmsg(l->db)));
        return -EIO;
    }
    unsigned left = pages > done ? (unsigned)(pages - done) : 0;
    atomic_store_explicit(&l->waiting, left, memory_order_relaxed);
    return rc == SQLITE_OK && left == 0 ? 0 : -EAGAIN;
}

int ledger_checkpoint(struct ledger *l)
{
    pthread_mutex_lock(&l->mutex);
    int rc = checkpoint(l, SQLITE_CHECKPOINT_PASSIVE);
    pthread_mutex_unlock(&l->mutex);
    return rc;
}

unsigned ledger_waiting(const struct ledger *l)
{
    return atomic_load_explicit(&l->waiting, memory_order_relaxed);
}

/* ---- erasure ---- */

static int erase_rows(struct ledger *l, slice address, struct ledger_erased *out)
{
    static const char *const steps[] = {
        ("DELETE FROM attempts WHERE (message, recipient) IN"
         " (SELECT message, number FROM recipients WHERE address = ?1)"),
        ("DELETE FROM reports WHERE (message, recipient) IN"
         " (SELECT message, number FROM recipients WHERE address = ?1)"),
        "DELETE FROM recipients WHERE address = ?1",
        "UPDATE messages SET reverse_path = NULL, message_id = NULL, subject = NULL"
        " WHERE reverse_path = ?1",
        "DELETE FROM errors WHERE address = ?1",
        "DELETE FROM evidence WHERE value = ?1 COLLATE NOCASE",
        "UPDATE notices SET address = NULL WHERE address = ?1 COLLATE NOCASE AND state <> 0",
    };
    uint64_t *const counts[] = {
        NULL, NULL, &out->recipients, &out->senders, &out->errors, &out->evidence, NULL};
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        int rc = SQL_RUN(l->db, steps[i], SQL_T(address));
        if (rc < 0)
            return rc;
        if (counts[i])
            *counts[i] = (uint64_t)sqlite3_changes64(l->db);
    }
    return 0;
}

int ledger_erase(struct ledger *l, slice address, struct ledger_erased *out)
{
    struct ledger_erased erased = {0};
    int rc = ledger_begin(l);
    if (rc < 0)
        return rc;
    rc = erase_rows(l, address, &erased);
    if (rc < 0) {
        ledger_rollback(l);
        return rc;
    }
    rc = ledger_commit(l);
    if (rc < 0)
        return rc;
    /* Out of the write-ahead log, too. */
    pthread_mutex_lock(&l->mutex);
    rc = checkpoint(l, SQLITE_CHECKPOINT_TRUNCATE);
    pthread_mutex_unlock(&l->mutex);
    if (rc == -EAGAIN) /* a reader has it open: the next checkpoint syncs it */
        rc = 0;
    if (rc == 0)
        *out = erased;
    return rc;
}
