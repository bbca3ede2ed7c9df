#include "control/store_inside.h"

#include <errno.h>

#define COLUMNS                                                                         \
    "a.id, a.customer, a.login, a.language, a.time_zone, a.contact, a.state, a.until, " \
    "a.reason, a.sender_right, a.max_recipients, a.max_size, a.created, c.name, "       \
    "(SELECT count(*) FROM credentials x WHERE x.account = a.id), c.state, c.until, "   \
    "a.preset, a.unlocked, a.plan_start, a.plan_end, a.plan_once, a.plan_reset, "       \
    "a.plan_credit, a.plan_credit_until, a.profile, a.expire_after, a.warn_after"       \
    " FROM accounts a JOIN customers c ON c.id = a.customer"

static stamp read_until(enum account_state state, uint64_t until)
{
    return state != ACCOUNT_ACTIVE && until == 0 ? STAMP_NEVER : (stamp)until;
}

static int read_senders(struct store *s, struct arena *a, struct directory_account *d)
{
    uint64_t count = 0;
    sqlite3_stmt *row;
    int rc = sql_number(s->db, "SELECT count(*) FROM senders WHERE account = ?1",
                        SQL_VALUES(SQL_I(d->id)), 1, &count);
    if (rc < 0 || count == 0)
        return rc;
    slice *senders = arena_array(a, slice, (size_t)count);
    rc = SQL_QUERY(s->db, &row, "SELECT sender FROM senders WHERE account = ?1 ORDER BY sender",
                   SQL_I(d->id));
    if (rc < 0)
        return rc;
    while ((rc = sql_step(row)) == 1)
        senders[d->sender_count++] = sql_bytes(row, 0, a);
    sql_end(&row);
    d->senders = senders;
    return rc;
}

static int read_row(struct store *s, sqlite3_stmt *row, struct arena *a, void *to)
{
    struct store_account *out = to;
    *out = (struct store_account){
        .d = {.id = sql_u64(row, 0),
              .customer = sql_u64(row, 1),
              .login = sql_bytes(row, 2, a),
              .language = sql_bytes(row, 3, a),
              .time_zone = sql_bytes(row, 4, a),
              .contact = sql_bytes(row, 5, a),
              .state = (enum account_state)sql_u64(row, 6),
              .reason = sql_bytes(row, 8, a),
              .right = (enum sender_right)sql_u64(row, 9),
              .max_recipients = (uint32_t)sql_u64(row, 10),
              .max_size = sql_u64(row, 11)},
        .created = (stamp)sql_u64(row, 12),
        .customer_name = sql_bytes(row, 13, a),
        .credentials = sql_u64(row, 14),
        .customer_state = (enum account_state)sql_u64(row, 15),
    };
    out->d.until = read_until(out->d.state, sql_u64(row, 7));
    out->customer_until = read_until(out->customer_state, sql_u64(row, 16));
    out->d.preset = sql_bytes(row, 17, a);
    out->d.unlocked = sql_u64(row, 18);
    out->d.plan = (struct plan){
        .start = (stamp)sql_u64(row, 19),
        .end = (stamp)sql_u64(row, 20),
        .is_once = sql_u64(row, 21) != 0,
        .reset = (stamp)sql_u64(row, 22),
        .credit = sql_u64(row, 23),
        .credit_until = (stamp)sql_u64(row, 24),
    };
    out->d.profile = sql_bytes(row, 25, a);
    out->d.expire_after = (span)sql_u64(row, 26);
    out->d.warn_after = (span)sql_u64(row, 27);
    struct rule_set rules = {0};
    int rc = store_rules_read(s, STORE_ACCOUNT_RULES, out->d.id, a, &rules);
    out->d.rules = rules.rules;
    out->d.rule_count = rules.count;
    return rc < 0 ? rc : read_senders(s, a, &out->d);
}

int store_account_find(struct store *s, slice login, uint64_t *id)
{
    uint64_t number = 0;
    uint64_t found = 0;
    int rc;
    if (slice_to_u64(login, &number))
        rc = sql_number(s->db, "SELECT id FROM accounts WHERE id = ?1",
                        SQL_VALUES(SQL_I(number)), 1, &found);
    else
        rc = sql_number(s->db, "SELECT id FROM accounts WHERE login = ?1",
                        SQL_VALUES(SQL_T(login)), 1, &found);
    if (rc < 0)
        return rc;
    if (found == 0)
        return -ENOENT;
    *id = found;
    return 0;
}

int store_account_get(struct store *s, uint64_t id, struct arena *a, struct store_account *out)
{
    struct store_account found;
    sqlite3_stmt *row;
    int rc = SQL_QUERY(s->db, &row, "SELECT " COLUMNS " WHERE a.id = ?1", SQL_I(id));
    if (rc == 0)
        rc = store_read_one(s, &row, read_row, a, &found);
    if (rc == 0)
        *out = found;
    return rc;
}

int store_account_list(struct store *s, uint64_t customer, uint64_t after, unsigned limit,
                       struct arena *a, struct store_account **out)
{
    static const char query[] =
        "SELECT " COLUMNS " WHERE a.id > ?1 AND (?2 = 0 OR a.customer = ?2)"
        " ORDER BY a.id LIMIT ?3";
    sqlite3_stmt *row;
    struct store_account *list = arena_array(a, struct store_account, limit);
    int rc = SQL_QUERY(s->db, &row, query, SQL_I(after), SQL_I(customer), SQL_I(limit));
    if (rc == 0)
        rc = store_read_list(s, &row, read_row, a, list, sizeof(*list));
    if (rc >= 0)
        *out = list;
    return rc;
}

static stamp stored_until(const struct directory_account *a)
{
    return a->state == ACCOUNT_ACTIVE || a->until == STAMP_NEVER ? 0 : a->until;
}

static int insert(struct store *s, struct directory_account *a, stamp now)
{
    int rc = SQL_RUN(
        s->db,
        "INSERT INTO accounts (customer, login, language, time_zone, contact, state, until,"
        " reason, sender_right, max_recipients, max_size, created, preset,"
        " expire_after, warn_after)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        SQL_I(a->customer), SQL_T(a->login), SQL_T0(a->language), SQL_T0(a->time_zone),
        SQL_T0(a->contact), SQL_I(a->state), SQL_I0(stored_until(a)), SQL_T0(a->reason),
        SQL_I(a->right), SQL_I(a->max_recipients), SQL_I(a->max_size), SQL_I(now),
        SQL_T0(a->preset), SQL_I(a->expire_after), SQL_I(a->warn_after));
    if (rc == 0)
        a->id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    return rc;
}

static int update(struct store *s, const struct directory_account *a)
{
    int rc =
        SQL_RUN(s->db,
                "UPDATE accounts SET customer = ?1, login = ?2, language = ?3, time_zone = ?4,"
                " contact = ?5, state = ?6, until = ?7, reason = ?8, sender_right = ?9,"
                " max_recipients = ?10, max_size = ?11, preset = ?12,"
                " expire_after = ?13, warn_after = ?14 WHERE id = ?15",
                SQL_I(a->customer), SQL_T(a->login), SQL_T0(a->language), SQL_T0(a->time_zone),
                SQL_T0(a->contact), SQL_I(a->state), SQL_I0(stored_until(a)), SQL_T0(a->reason),
                SQL_I(a->right), SQL_I(a->max_recipients), SQL_I(a->max_size),
                SQL_T0(a->preset), SQL_I(a->expire_after), SQL_I(a->warn_after), SQL_I(a->id));
    if (rc == 0 && sqlite3_changes(s->db) == 0)
        rc = -ENOENT;
    return rc;
}

static int replace_senders(struct store *s, const struct directory_account *a)
{
    int rc = SQL_RUN(s->db, "DELETE FROM senders WHERE account = ?1", SQL_I(a->id));
    for (size_t i = 0; i < a->sender_count && rc == 0; i++)
        rc = SQL_RUN(s->db, "INSERT OR IGNORE INTO senders VALUES (?1, ?2)", SQL_I(a->id),
                     SQL_T(a->senders[i]));
    return rc;
}

int store_account_unlock(struct store *s, struct directory_account *a)
{
    uint64_t version = store_next_version(s);
    int rc = SQL_RUN(s->db, "UPDATE accounts SET unlocked = ?1 WHERE id = ?2", SQL_I(version),
                     SQL_I(a->id));
    if (rc < 0)
        return rc;
    a->state = ACCOUNT_ACTIVE;
    a->until = 0;
    a->reason = (slice){0};
    a->unlocked = version;
    return 0;
}

static int write_plan(struct store *s, const struct directory_account *a)
{
    const struct plan *p = &a->plan;
    return SQL_RUN(s->db,
                   "UPDATE accounts SET plan_start = ?1, plan_end = ?2, plan_once = ?3,"
                   " plan_reset = ?4, plan_credit = ?5, plan_credit_until = ?6, profile = ?7"
                   " WHERE id = ?8",
                   SQL_I(p->start), SQL_I(p->end), SQL_I(p->is_once), SQL_I(p->reset),
                   SQL_I(p->credit), SQL_I(p->credit_until), SQL_T0(a->profile), SQL_I(a->id));
}

int store_account_put(struct store *s, struct directory_account *a, stamp now)
{
    int rc = a->id == 0 ? insert(s, a, now) : update(s, a);
    if (rc == 0)
        rc = replace_senders(s, a);
    if (rc == 0)
        rc = write_plan(s, a);
    if (rc == 0)
        rc = store_rules_write(s, STORE_ACCOUNT_RULES, a->id, a->rules, a->rule_count);
    if (rc < 0)
        return rc;
    directory_put_account(&s->fields, store_next_version(s), a);
    return store_outbox_put(s, a->customer, a->id, 0);
}

int store_account_remove(struct store *s, uint64_t id)
{
    uint64_t customer = 0;
    int rc = sql_number(s->db, "SELECT customer FROM accounts WHERE id = ?1",
                        SQL_VALUES(SQL_I(id)), 1, &customer);
    if (rc < 0)
        return rc;
    if (customer == 0)
        return -ENOENT;
    rc = SQL_RUN(s->db, "DELETE FROM accounts WHERE id = ?1", SQL_I(id));
    if (rc < 0)
        return rc;
    directory_put_removal(&s->fields, store_next_version(s), ENTITY_ACCOUNT, id);
    return store_outbox_put(s, customer, id, 0);
}
