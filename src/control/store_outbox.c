/* What is committed, on its way into the control journal: changes of the directory, and
 * commands to the data plane behind them. */
#include "control/store_inside.h"

#include "base/log.h"

#include <errno.h>

/* A table of rows that wait, and how they are called when they cannot go. */
struct waiting {
    const char *first; /* the lowest key, 0 without rows */
    const char *rows;  /* key, customer, account, credential, fields */
    const char *remove;
    bool is_command;
    const char *failed;
};

static const struct waiting changes = {
    .first = "SELECT coalesce(min(version), 0) FROM outbox",
    .rows = "SELECT version, customer, account, credential, fields FROM outbox"
            " ORDER BY version",
    .remove = "DELETE FROM outbox WHERE version <= ?1",
    .failed = "directory-change-not-published",
};

static const struct waiting commands = {
    .first = "SELECT coalesce(min(id), 0) FROM commands",
    .rows = "SELECT id, customer, account, 0, fields FROM commands ORDER BY id",
    .remove = "DELETE FROM commands WHERE id <= ?1",
    .is_command = true,
    .failed = "command-not-published",
};

/* A change may be published again after a crash, readers know it by its version: the deletion
 * needs no sync. A command would be carried out again, if without harm. */
static int remove_rows(struct store *s, const struct waiting *w, uint64_t up_to)
{
    if (w->is_command)
        return SQL_RUN(s->db, w->remove, SQL_I(up_to));
    int rc = sql_script(s->db, "PRAGMA synchronous = NORMAL");
    if (rc == 0)
        rc = SQL_RUN(s->db, w->remove, SQL_I(up_to));
    int back = sql_script(s->db, "PRAGMA synchronous = FULL");
    return rc < 0 ? rc : back;
}

static int publish_rows(struct store *s, const struct waiting *w, sqlite3_stmt *rows,
                        struct arena *a, uint64_t *last)
{
    int rc;
    while ((rc = sql_step(rows)) == 1) {
        const uint64_t key = sql_u64(rows, 0);
        const struct store_outbox_row row = {
            .version = w->is_command ? 0 : key,
            .customer = sql_u64(rows, 1),
            .account = sql_u64(rows, 2),
            .credential = sql_u64(rows, 3),
            .fields = sql_bytes(rows, 4, a),
            .is_command = w->is_command,
        };
        rc = s->publish(s->publish_ctx, &row);
        if (rc < 0)
            return rc;
        *last = key;
        arena_reset(a);
    }
    return rc;
}

static int publish(struct store *s, const struct waiting *w)
{
    struct arena arena = ARENA_INIT;
    sqlite3_stmt *rows;
    uint64_t last = 0;
    if (!s->publish)
        return -EROFS;
    int rc = sql_begin(s->db, &rows, w->rows, NULL, 0);
    if (rc < 0)
        return rc;
    rc = publish_rows(s, w, rows, &arena, &last);
    sql_end(&rows);
    arena_fini(&arena);
    if (last > 0) {
        int removed = remove_rows(s, w, last);
        if (rc == 0)
            rc = removed;
    }
    if (rc < 0)
        log_error(w->failed, LOG_E("error", rc));
    return rc;
}

static int publish_if_any(struct store *s, const struct waiting *w)
{
    uint64_t first = 0;
    int rc = sql_number(s->db, w->first, NULL, 0, &first);
    return rc < 0 || first == 0 ? rc : publish(s, w);
}

int store_publish_waiting(struct store *s)
{
    int rc = publish_if_any(s, &changes);
    return rc < 0 ? rc : publish_if_any(s, &commands);
}

int store_outbox_first(struct store *s, uint64_t *version)
{
    return sql_number(s->db, changes.first, NULL, 0, version);
}

int store_outbox_put(struct store *s, uint64_t customer, uint64_t account, uint64_t credential)
{
    if (s->by.len > 0)
        record_put(&s->fields, TAG_BY, s->by);
    if (s->fields.error)
        return s->fields.error;
    int rc = SQL_RUN(s->db, "INSERT INTO outbox VALUES (?1, ?2, ?3, ?4, ?5)",
                     SQL_I(s->version + 1), SQL_I(customer), SQL_I(account), SQL_I(credential),
                     SQL_B(buf_slice(&s->fields)));
    if (rc == 0)
        s->version++;
    return rc;
}

int store_command_put(struct store *s, uint64_t customer, uint64_t account, slice fields)
{
    int rc =
        SQL_RUN(s->db, "INSERT INTO commands (customer, account, fields) VALUES (?1, ?2, ?3)",
                SQL_I(customer), SQL_I(account), SQL_B(fields));
    if (rc == 0)
        s->has_commands = true;
    return rc;
}
