#include "control/store.h"

#include "base/log.h"
#include "control/schema.h"
#include "control/store_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Temporary tables stay in memory: the role may write nowhere but in the state directory. */
static const char settings[] = "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA foreign_keys = ON;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA mmap_size = 0;";

/* SQLite gives its other files the mode of this one. */
static int make_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int open_database(const char *path, sqlite3 **out)
{
    sqlite3 *db = NULL;
    int rc = make_file(path);
    if (rc < 0)
        return rc;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
        sqlite3_close(db);
        return -EIO;
    }
    sqlite3_busy_timeout(db, 5000);
    rc = sql_script(db, settings);
    if (rc == 0)
        rc = schema_migrate(db, schema_steps, schema_step_count);
    if (rc < 0) {
        sqlite3_close(db);
        return rc;
    }
    *out = db;
    return 0;
}

int store_open(struct store **out, const char *path)
{
    sqlite3 *db;
    uint64_t version = 0;
    int rc = open_database(path, &db);
    if (rc == 0) {
        rc = sql_number(db, "SELECT version FROM meta", NULL, 0, &version);
        if (rc < 0)
            sqlite3_close(db);
    }
    if (rc < 0) {
        log_error("database-not-opened", LOG_C("path", path), LOG_E("error", rc));
        return rc;
    }
    struct store *s = xcalloc(1, sizeof(*s));
    s->db = db;
    s->version = s->committed_version = version;
    pthread_mutex_init(&s->mutex, NULL);
    *out = s;
    return 0;
}

void store_close(struct store **s)
{
    if (!*s)
        return;
    sqlite3_close((*s)->db);
    pthread_mutex_destroy(&(*s)->mutex);
    buf_fini(&(*s)->fields);
    free(*s);
    *s = NULL;
}

void store_set_publisher(struct store *s, store_publish_fn *fn, void *ctx)
{
    s->publish = fn;
    s->publish_ctx = ctx;
}

void store_lock(struct store *s)
{
    pthread_mutex_lock(&s->mutex);
}

void store_unlock(struct store *s)
{
    pthread_mutex_unlock(&s->mutex);
}

uint64_t store_version(const struct store *s)
{
    return s->committed_version;
}

int store_publish(struct store *s)
{
    store_lock(s);
    int rc = store_publish_waiting(s);
    store_unlock(s);
    return rc;
}

int store_begin(struct store *s)
{
    store_lock(s);
    int rc = store_publish_waiting(s);
    s->has_commands = false;
    if (rc == 0)
        rc = sql_script(s->db, "BEGIN IMMEDIATE");
    if (rc < 0)
        store_unlock(s);
    return rc;
}

void store_set_by(struct store *s, slice by)
{
    s->by = by;
}

void store_rollback(struct store *s)
{
    s->by = (slice){0};
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    s->version = s->committed_version;
    store_unlock(s);
}

int store_commit(struct store *s, int *published)
{
    int rc = 0;
    if (s->version != s->committed_version)
        rc = SQL_RUN(s->db, "UPDATE meta SET version = ?1", SQL_I(s->version));
    if (rc == 0)
        rc = sql_script(s->db, "COMMIT");
    if (rc < 0) {
        store_rollback(s);
        return rc;
    }
    bool has_changed = s->version != s->committed_version;
    s->committed_version = s->version;
    s->by = (slice){0};
    *published = has_changed || s->has_commands ? store_publish_waiting(s) : 0;
    store_unlock(s);
    return 0;
}

uint64_t store_next_version(struct store *s)
{
    buf_clear(&s->fields);
    return s->version + 1;
}

int store_restated(struct store *s, uint64_t version)
{
    int rc = sql_script(s->db, "BEGIN IMMEDIATE");
    if (rc < 0)
        return rc;
    rc = sql_script(s->db, "DELETE FROM outbox");
    if (rc == 0)
        rc = SQL_RUN(s->db, "UPDATE meta SET version = ?1", SQL_I(version));
    if (rc == 0)
        rc = sql_script(s->db, "COMMIT");
    if (rc < 0) {
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        return rc;
    }
    s->version = s->committed_version = version;
    return 0;
}

int store_read_one(struct store *s, sqlite3_stmt **row, store_read_fn *read, struct arena *a,
                   void *out)
{
    int rc = sql_step(*row);
    if (rc == 0)
        rc = -ENOENT;
    else if (rc == 1)
        rc = read(s, *row, a, out);
    sql_end(row);
    return rc;
}

int store_read_list(struct store *s, sqlite3_stmt **row, store_read_fn *read, struct arena *a,
                    void *list, size_t size)
{
    int count = 0;
    int rc;
    while ((rc = sql_step(*row)) == 1) {
        rc = read(s, *row, a, (char *)list + size * (size_t)count++);
        if (rc < 0)
            break;
    }
    sql_end(row);
    return rc < 0 ? rc : count;
}

int store_count(struct store *s, struct store_counts *out)
{
    static const char query[] =
        "SELECT (SELECT count(*) FROM customers),"
        "       (SELECT count(*) FROM accounts),"
        "       (SELECT count(*) FROM credentials),"
        "       (SELECT count(*) FROM outbox) + (SELECT count(*) FROM commands)";
    sqlite3_stmt *row;
    int rc = sql_begin(s->db, &row, query, NULL, 0);
    if (rc < 0)
        return rc;
    rc = sql_step(row);
    if (rc == 1)
        *out = (struct store_counts){sql_u64(row, 0), sql_u64(row, 1), sql_u64(row, 2),
                                     sql_u64(row, 3)};
    sql_end(&row);
    return rc < 0 ? rc : 0;
}
