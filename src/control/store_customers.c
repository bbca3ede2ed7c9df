#include "control/store_inside.h"

#include <errno.h>

/* Resellers of resellers, at most; the directory follows no more. */
enum { DEPTH_MAX = 8 };

#define COLUMNS                                                                                \
    "c.id, c.parent, c.name, c.language, c.time_zone, c.contact, c.state, c.until, "           \
    "c.reason, c.created, p.name, (SELECT count(*) FROM accounts a WHERE a.customer = c.id), " \
    "c.preset, c.unlocked"                                                                     \
    " FROM customers c LEFT JOIN customers p ON p.id = c.parent"

static int read_row(struct store *s, sqlite3_stmt *row, struct arena *a, void *to)
{
    struct store_customer *out = to;
    *out = (struct store_customer){
        .d = {.id = sql_u64(row, 0),
              .parent = sql_u64(row, 1),
              .name = sql_bytes(row, 2, a),
              .language = sql_bytes(row, 3, a),
              .time_zone = sql_bytes(row, 4, a),
              .contact = sql_bytes(row, 5, a),
              .state = (enum account_state)sql_u64(row, 6),
              .until = (stamp)sql_u64(row, 7),
              .reason = sql_bytes(row, 8, a)},
        .created = (stamp)sql_u64(row, 9),
        .parent_name = sql_bytes(row, 10, a),
        .accounts = sql_u64(row, 11),
    };
    if (out->d.state != ACCOUNT_ACTIVE && out->d.until == 0)
        out->d.until = STAMP_NEVER;
    out->d.preset = sql_bytes(row, 12, a);
    out->d.unlocked = sql_u64(row, 13);
    struct rule_set rules = {0};
    int rc = store_rules_read(s, STORE_CUSTOMER_RULES, out->d.id, a, &rules);
    out->d.rules = rules.rules;
    out->d.rule_count = rules.count;
    return rc;
}

int store_customer_find(struct store *s, slice name, uint64_t *id)
{
    uint64_t number = 0;
    uint64_t found = 0;
    int rc;
    if (slice_to_u64(name, &number))
        rc = sql_number(s->db, "SELECT id FROM customers WHERE id = ?1",
                        SQL_VALUES(SQL_I(number)), 1, &found);
    else
        rc = sql_number(s->db, "SELECT id FROM customers WHERE name = ?1",
                        SQL_VALUES(SQL_T(name)), 1, &found);
    if (rc < 0)
        return rc;
    if (found == 0)
        return -ENOENT;
    *id = found;
    return 0;
}

int store_customer_get(struct store *s, uint64_t id, struct arena *a,
                       struct store_customer *out)
{
    struct store_customer found;
    sqlite3_stmt *row;
    int rc = SQL_QUERY(s->db, &row, "SELECT " COLUMNS " WHERE c.id = ?1", SQL_I(id));
    if (rc == 0)
        rc = store_read_one(s, &row, read_row, a, &found);
    if (rc == 0)
        *out = found;
    return rc;
}

int store_customer_list(struct store *s, uint64_t after, unsigned limit, struct arena *a,
                        struct store_customer **out)
{
    sqlite3_stmt *row;
    struct store_customer *list = arena_array(a, struct store_customer, limit);
    int rc = SQL_QUERY(s->db, &row, "SELECT " COLUMNS " WHERE c.id > ?1 ORDER BY c.id LIMIT ?2",
                       SQL_I(after), SQL_I(limit));
    if (rc == 0)
        rc = store_read_list(s, &row, read_row, a, list, sizeof(*list));
    if (rc >= 0)
        *out = list;
    return rc;
}

/* No customer is among its own resellers, and the chain has an end. */
static int check_parents(struct store *s, uint64_t id, uint64_t parent)
{
    for (int depth = 0; parent != 0; depth++) {
        if (parent == id || depth == DEPTH_MAX)
            return -ELOOP;
        int rc = sql_number(s->db, "SELECT coalesce(parent, 0) FROM customers WHERE id = ?1",
                            SQL_VALUES(SQL_I(parent)), 1, &parent);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static stamp stored_until(enum account_state state, stamp until)
{
    return state == ACCOUNT_ACTIVE || until == STAMP_NEVER ? 0 : until;
}

static int insert(struct store *s, struct directory_customer *c, stamp now)
{
    int rc =
        SQL_RUN(s->db,
                "INSERT INTO customers (parent, name, language, time_zone, contact, state, "
                "until, reason, created, preset)"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                SQL_I0(c->parent), SQL_T(c->name), SQL_T0(c->language), SQL_T0(c->time_zone),
                SQL_T0(c->contact), SQL_I(c->state), SQL_I0(stored_until(c->state, c->until)),
                SQL_T0(c->reason), SQL_I(now), SQL_T0(c->preset));
    if (rc == 0)
        c->id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    return rc;
}

static int update(struct store *s, const struct directory_customer *c)
{
    int rc =
        SQL_RUN(s->db,
                "UPDATE customers SET parent = ?1, name = ?2, language = ?3, time_zone = ?4,"
                " contact = ?5, state = ?6, until = ?7, reason = ?8, preset = ?9"
                " WHERE id = ?10",
                SQL_I0(c->parent), SQL_T(c->name), SQL_T0(c->language), SQL_T0(c->time_zone),
                SQL_T0(c->contact), SQL_I(c->state), SQL_I0(stored_until(c->state, c->until)),
                SQL_T0(c->reason), SQL_T0(c->preset), SQL_I(c->id));
    if (rc == 0 && sqlite3_changes(s->db) == 0)
        rc = -ENOENT;
    return rc;
}

int store_customer_unlock(struct store *s, struct directory_customer *c)
{
    uint64_t version = store_next_version(s);
    int rc = SQL_RUN(s->db, "UPDATE customers SET unlocked = ?1 WHERE id = ?2", SQL_I(version),
                     SQL_I(c->id));
    if (rc < 0)
        return rc;
    c->state = ACCOUNT_ACTIVE;
    c->until = 0;
    c->reason = (slice){0};
    c->unlocked = version;
    return 0;
}

int store_customer_put(struct store *s, struct directory_customer *c, stamp now)
{
    int rc = check_parents(s, c->id, c->parent);
    if (rc == 0)
        rc = c->id == 0 ? insert(s, c, now) : update(s, c);
    if (rc == 0)
        rc = store_rules_write(s, STORE_CUSTOMER_RULES, c->id, c->rules, c->rule_count);
    if (rc < 0)
        return rc;
    directory_put_customer(&s->fields, store_next_version(s), c);
    return store_outbox_put(s, c->id, 0, 0);
}

int store_customer_remove(struct store *s, uint64_t id)
{
    uint64_t owned = 0;
    int rc = sql_number(s->db,
                        "SELECT (SELECT count(*) FROM accounts WHERE customer = ?1)"
                        "     + (SELECT count(*) FROM customers WHERE parent = ?1)",
                        SQL_VALUES(SQL_I(id)), 1, &owned);
    if (rc < 0)
        return rc;
    if (owned > 0)
        return -EBUSY;
    rc = SQL_RUN(s->db, "DELETE FROM customers WHERE id = ?1", SQL_I(id));
    if (rc == 0 && sqlite3_changes(s->db) == 0)
        rc = -ENOENT;
    if (rc < 0)
        return rc;
    directory_put_removal(&s->fields, store_next_version(s), ENTITY_CUSTOMER, id);
    return store_outbox_put(s, id, 0, 0);
}
