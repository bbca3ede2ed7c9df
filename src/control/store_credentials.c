#include "control/store_inside.h"

#include <errno.h>

#define COLUMNS                                                                          \
    "x.id, x.account, x.kind, x.label, x.scheme, x.verifier, x.cidr, x.uid, x.created, " \
    "a.login"                                                                            \
    " FROM credentials x JOIN accounts a ON a.id = x.account"

static int read_others(struct store *s, struct arena *a, struct store_credential *out)
{
    uint64_t count = 0;
    sqlite3_stmt *row;
    int rc = sql_number(s->db, "SELECT count(*) FROM may_act_for WHERE credential = ?1",
                        SQL_VALUES(SQL_I(out->d.id)), 1, &count);
    if (rc < 0 || count == 0)
        return rc;
    uint64_t *ids = arena_array(a, uint64_t, (size_t)count);
    slice *names = arena_array(a, slice, (size_t)count);
    rc = SQL_QUERY(s->db, &row,
                   "SELECT m.account, a.login FROM may_act_for m JOIN accounts a"
                   " ON a.id = m.account WHERE m.credential = ?1 ORDER BY m.account",
                   SQL_I(out->d.id));
    if (rc < 0)
        return rc;
    size_t at = 0;
    for (; (rc = sql_step(row)) == 1; at++) {
        ids[at] = sql_u64(row, 0);
        names[at] = sql_bytes(row, 1, a);
    }
    sql_end(&row);
    out->d.may_act_for = ids;
    out->d.may_act_for_count = at;
    out->may_act_names = names;
    return rc;
}

static int read_row(struct store *s, sqlite3_stmt *row, struct arena *a, void *to)
{
    struct store_credential *out = to;
    *out = (struct store_credential){
        .d = {.id = sql_u64(row, 0),
              .account = sql_u64(row, 1),
              .kind = (enum credential_kind)sql_u64(row, 2),
              .label = sql_bytes(row, 3, a),
              .scheme = sql_bytes(row, 4, a),
              .verifier = sql_bytes(row, 5, a),
              .uid = (uint32_t)sql_u64(row, 7)},
        .created = (stamp)sql_u64(row, 8),
        .login = sql_bytes(row, 9, a),
    };
    if (out->d.kind == CREDENTIAL_ADDRESS && !cidr_parse(sql_bytes(row, 6, a), &out->d.cidr))
        return -EUCLEAN;
    return read_others(s, a, out);
}

int store_credential_get(struct store *s, uint64_t id, struct arena *a,
                         struct store_credential *out)
{
    struct store_credential found;
    sqlite3_stmt *row;
    int rc = SQL_QUERY(s->db, &row, "SELECT " COLUMNS " WHERE x.id = ?1", SQL_I(id));
    if (rc == 0)
        rc = store_read_one(s, &row, read_row, a, &found);
    if (rc == 0)
        *out = found;
    return rc;
}

int store_credential_list(struct store *s, uint64_t account, uint64_t after, unsigned limit,
                          struct arena *a, struct store_credential **out)
{
    static const char query[] =
        "SELECT " COLUMNS " WHERE x.id > ?1 AND (?2 = 0 OR x.account = ?2)"
        " ORDER BY x.id LIMIT ?3";
    sqlite3_stmt *row;
    struct store_credential *list = arena_array(a, struct store_credential, limit);
    int rc = SQL_QUERY(s->db, &row, query, SQL_I(after), SQL_I(account), SQL_I(limit));
    if (rc == 0)
        rc = store_read_list(s, &row, read_row, a, list, sizeof(*list));
    if (rc >= 0)
        *out = list;
    return rc;
}

/* An address range or a user that would sign in two: which of them it is could not be told.
 * Accounts of one customer may share a user, of which the first is signed in. */
static int find_holder(struct store *s, const struct directory_credential *c, slice cidr,
                       uint64_t *holder)
{
    if (c->kind == CREDENTIAL_ADDRESS)
        return sql_number(s->db,
                          "SELECT account FROM credentials WHERE cidr = ?1 AND account <> ?2",
                          SQL_VALUES(SQL_T(cidr), SQL_I(c->account)), 2, holder);
    if (c->kind == CREDENTIAL_UID)
        return sql_number(s->db,
                          "SELECT a.id FROM credentials x JOIN accounts a ON a.id = x.account"
                          " WHERE x.uid = ?1 AND a.customer <>"
                          " (SELECT customer FROM accounts WHERE id = ?2)",
                          SQL_VALUES(SQL_I(c->uid), SQL_I(c->account)), 2, holder);
    return 0;
}

static int insert(struct store *s, struct directory_credential *c, slice cidr, stamp now)
{
    int rc =
        SQL_RUN(s->db,
                "INSERT INTO credentials (account, kind, label, scheme, verifier, cidr, uid,"
                " created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, iif(?2 = 3, ?7, NULL), ?8)",
                SQL_I(c->account), SQL_I(c->kind), SQL_T0(c->label), SQL_T0(c->scheme),
                SQL_B(c->verifier), SQL_T0(cidr), SQL_I(c->uid), SQL_I(now));
    if (rc < 0)
        return rc;
    c->id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    for (size_t i = 0; i < c->may_act_for_count && rc == 0; i++)
        rc = SQL_RUN(s->db, "INSERT OR IGNORE INTO may_act_for VALUES (?1, ?2)", SQL_I(c->id),
                     SQL_I(c->may_act_for[i]));
    return rc;
}

static int customer_of(struct store *s, uint64_t account, uint64_t *customer)
{
    int rc = sql_number(s->db, "SELECT customer FROM accounts WHERE id = ?1",
                        SQL_VALUES(SQL_I(account)), 1, customer);
    return rc < 0 ? rc : *customer == 0 ? -ENOENT : 0;
}

int store_credential_add(struct store *s, struct directory_credential *c, stamp now,
                         uint64_t *holder)
{
    char text[ADDRESS_TEXT_MAX] = "";
    uint64_t customer = 0;
    uint64_t other = 0;
    if (c->kind == CREDENTIAL_ADDRESS)
        cidr_format(&c->cidr, text);
    int rc = customer_of(s, c->account, &customer);
    if (rc == 0)
        rc = find_holder(s, c, slice_of(text), &other);
    if (rc < 0)
        return rc;
    if (other != 0) {
        *holder = other;
        return -EEXIST;
    }
    rc = insert(s, c, slice_of(text), now);
    if (rc < 0)
        return rc;
    directory_put_credential(&s->fields, store_next_version(s), c);
    return store_outbox_put(s, customer, c->account, c->id);
}

int store_credential_remove(struct store *s, uint64_t id)
{
    uint64_t account = 0;
    uint64_t customer = 0;
    int rc = sql_number(s->db, "SELECT account FROM credentials WHERE id = ?1",
                        SQL_VALUES(SQL_I(id)), 1, &account);
    if (rc == 0)
        rc = account == 0 ? -ENOENT : customer_of(s, account, &customer);
    if (rc == 0)
        rc = SQL_RUN(s->db, "DELETE FROM credentials WHERE id = ?1", SQL_I(id));
    if (rc < 0)
        return rc;
    directory_put_removal(&s->fields, store_next_version(s), ENTITY_CREDENTIAL, id);
    return store_outbox_put(s, customer, account, id);
}
