/* Commands to the data plane, on their way into the control journal. */
#include "control/store_inside.h"

#include "base/log.h"

#include <errno.h>

int store_command_put(struct store *s, uint64_t customer, uint64_t account, slice fields)
{
    int rc =
        SQL_RUN(s->db, "INSERT INTO commands (customer, account, fields) VALUES (?1, ?2, ?3)",
                SQL_I(customer), SQL_I(account), SQL_B(fields));
    if (rc == 0)
        s->has_commands = true;
    return rc;
}

static int publish_rows(struct store *s, sqlite3_stmt *rows, struct arena *a, uint64_t *last)
{
    int rc;
    while ((rc = sql_step(rows)) == 1) {
        struct store_outbox_row row = {
            .customer = sql_u64(rows, 1),
            .account = sql_u64(rows, 2),
            .fields = sql_bytes(rows, 3, a),
            .is_command = true,
        };
        rc = s->publish(s->publish_ctx, &row);
        if (rc < 0)
            return rc;
        *last = sql_u64(rows, 0);
        arena_reset(a);
    }
    return rc;
}

int store_commands_publish(struct store *s)
{
    static const char query[] =
        "SELECT id, customer, account, fields FROM commands ORDER BY id";
    struct arena arena = ARENA_INIT;
    sqlite3_stmt *rows;
    uint64_t last = 0;
    if (!s->publish)
        return -EROFS;
    int rc = sql_begin(s->db, &rows, query, NULL, 0);
    if (rc < 0)
        return rc;
    rc = publish_rows(s, rows, &arena, &last);
    sql_end(&rows);
    arena_fini(&arena);
    if (last > 0) {
        int emptied = SQL_RUN(s->db, "DELETE FROM commands WHERE id <= ?1", SQL_I(last));
        if (rc == 0)
            rc = emptied;
    }
    if (rc < 0)
        log_error("command-not-published", LOG_E("error", rc));
    return rc;
}
