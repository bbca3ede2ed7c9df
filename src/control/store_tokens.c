/* Tokens of the API over TCP. They never leave this database: no version, no outbox. */
#include "control/store_inside.h"

#include <errno.h>

int store_token_add(struct store *s, struct store_token *t, slice hash, stamp now)
{
    int rc =
        SQL_RUN(s->db,
                "INSERT INTO tokens (hash, scope, account, label, created)"
                " VALUES (?1, ?2, ?3, ?4, ?5)",
                SQL_B(hash), SQL_I(t->scope), SQL_I0(t->account), SQL_T0(t->label), SQL_I(now));
    if (rc == 0)
        t->id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    return rc;
}

int store_token_remove(struct store *s, uint64_t id)
{
    int rc = SQL_RUN(s->db, "DELETE FROM tokens WHERE id = ?1", SQL_I(id));
    return rc < 0 ? rc : sqlite3_changes(s->db) ? 0 : -ENOENT;
}

#define TOKEN_COLUMNS                                                                 \
    "SELECT t.id, t.scope, t.account, a.login, t.label, t.created FROM tokens t LEFT" \
    " JOIN accounts a ON a.id = t.account "

static int read_row(struct store *s UNUSED, sqlite3_stmt *row, struct arena *a, void *to)
{
    *(struct store_token *)to = (struct store_token){
        .id = sql_u64(row, 0),
        .scope = (enum token_scope)sql_u64(row, 1),
        .account = sql_u64(row, 2),
        .login = sql_bytes(row, 3, a),
        .label = sql_bytes(row, 4, a),
        .created = (stamp)sql_u64(row, 5),
    };
    return 0;
}

int store_token_find(struct store *s, slice hash, struct arena *a, struct store_token *out)
{
    sqlite3_stmt *row;
    int rc = SQL_QUERY(s->db, &row, TOKEN_COLUMNS "WHERE t.hash = ?1", SQL_B(hash));
    return rc < 0 ? rc : store_read_one(s, &row, read_row, a, out);
}

int store_token_list(struct store *s, uint64_t after, unsigned limit, struct arena *a,
                     struct store_token **out)
{
    sqlite3_stmt *row;
    struct store_token *list = arena_array(a, struct store_token, limit);
    int rc = SQL_QUERY(s->db, &row, TOKEN_COLUMNS "WHERE t.id > ?1 ORDER BY t.id LIMIT ?2",
                       SQL_I(after), SQL_I(limit));
    if (rc == 0)
        rc = store_read_list(s, &row, read_row, a, list, sizeof(*list));
    if (rc >= 0)
        *out = list;
    return rc;
}
