/* The evidence of locks: what the message log says of the time before; see
 * control/ledger_locks. */
#include "control/ledger_inside.h"
#include "control/ledger_locks.h"
#include "policy/rule.h"

enum { LOCKS_AT_ONCE = 50 };

/* What was on its way when the lock was made is in the ledger by then. */
static const span SETTLES_WITHIN = 2 * SPAN_SECOND;
/* How far back: the rule's window within these, or a day. */
static const span LOOK_LEAST = SPAN_HOUR;
static const span LOOK_MOST = 7 * SPAN_DAY;

static span look_back(slice rule)
{
    struct rule r;
    const char *error;
    slice word;
    if (!rule_parse(rule, &r, &error, &word) || r.window <= 0)
        return SPAN_DAY;
    return r.window < LOOK_LEAST ? LOOK_LEAST : r.window > LOOK_MOST ? LOOK_MOST : r.window;
}

/* The account, or all of the customer's and of the customers that it sells to. */
#define ACCOUNTS                                                                            \
    " (SELECT ?2 WHERE ?2 UNION ALL SELECT id FROM accounts WHERE NOT ?2 AND customer IN (" \
    "  WITH RECURSIVE tree (id) AS (SELECT ?1 UNION SELECT c.id FROM customers c JOIN tree" \
    "   ON c.parent = tree.id) SELECT id FROM tree))"

/* What is looked at, in two tables of this connection: ?1 customer, ?2 account, ?3 first id,
 * ?4 the lock's time, ?5 and ?6 how many at most. */
static int look(struct ledger *l, const struct ledger_lock *k)
{
    static const char messages[] =
        "INSERT INTO temp.looked SELECT id FROM messages WHERE account IN" ACCOUNTS
        " AND id >= ?3 AND at <= ?4 ORDER BY id DESC LIMIT ?5";
    static const char recipients[] =
        "INSERT INTO temp.written SELECT r.message, m.at, r.address, r.state FROM temp.looked w"
        " JOIN messages m ON m.id = w.id JOIN recipients r ON r.message = w.id"
        " ORDER BY r.message DESC LIMIT ?1";
    int rc =
        sql_script(l->db, "CREATE TEMP TABLE IF NOT EXISTS looked (id INTEGER PRIMARY KEY);"
                          "CREATE TEMP TABLE IF NOT EXISTS written (message INTEGER,"
                          " at INTEGER, address TEXT, state INTEGER);"
                          "DELETE FROM temp.looked; DELETE FROM temp.written");
    if (rc == 0)
        rc = SQL_RUN(l->db, messages, SQL_I(k->customer), SQL_I(k->account),
                     SQL_I(ledger_first_id(k->looked_from)), SQL_I(k->since),
                     SQL_I(LEDGER_EVIDENCE_MESSAGES));
    if (rc == 0)
        rc = SQL_RUN(l->db, recipients, SQL_I(LEDGER_EVIDENCE_RECIPIENTS));
    return rc;
}

/* Of each kind: what it is in the rows that were looked at. */
#define OF_MESSAGES " FROM temp.looked w JOIN messages m ON m.id = w.id"
#define OF_RECIPIENTS " FROM temp.written m"
static const struct {
    const char *value;
    const char *from;
} kinds[EVIDENCE_KINDS] = {
    [EVIDENCE_CLIENT] = {"m.client", OF_MESSAGES},
    [EVIDENCE_HELO] = {"m.helo", OF_MESSAGES},
    [EVIDENCE_CREDENTIAL] =
        {"iif(m.credential, m.credential || coalesce(' (' || (SELECT label"
         " FROM credentials c WHERE c.id = m.credential) || ')', ''), NULL)",
         OF_MESSAGES},
    [EVIDENCE_SENDER] = {"coalesce(m.reverse_path, '<>')", OF_MESSAGES},
    [EVIDENCE_SUBJECT] = {"m.subject", OF_MESSAGES},
    [EVIDENCE_RECIPIENT] = {"m.address", OF_RECIPIENTS},
    [EVIDENCE_DOMAIN] = {"lower(substr(m.address, instr(m.address, '@') + 1))", OF_RECIPIENTS},
    [EVIDENCE_SCRIPT] = {"coalesce(m.script || coalesce(' in ' || m.directory, ''),"
                         " 'in ' || m.directory)",
                         OF_MESSAGES},
    [EVIDENCE_ACCOUNT] = {"m.login", OF_MESSAGES},
};

static int put_kind(struct ledger *l, const struct ledger_lock *k, size_t kind, struct arena *a)
{
    slice text = arena_printf(
        a,
        "INSERT OR IGNORE INTO evidence SELECT ?1, ?2, substr(v, 1, 500), count(*), min(at),"
        " max(at) FROM (SELECT %s AS v, m.at AS at%s) WHERE v IS NOT NULL GROUP BY v"
        " ORDER BY count(*) DESC, max(at) DESC LIMIT ?3",
        kinds[kind].value, kinds[kind].from);
    return SQL_RUN(l->db, text.ptr, SQL_I(k->id), SQL_I(kind), SQL_I(LEDGER_EVIDENCE_ROWS));
}

static int put_refusals(struct ledger *l, const struct ledger_lock *k)
{
    static const char text[] =
        "INSERT OR IGNORE INTO evidence SELECT ?3, ?4, rule, sum(count), min(first), max(last)"
        " FROM refusals WHERE account IN" ACCOUNTS " AND last >= ?5 AND first <= ?6"
        " GROUP BY rule ORDER BY sum(count) DESC LIMIT ?7";
    return SQL_RUN(l->db, text, SQL_I(k->customer), SQL_I(k->account), SQL_I(k->id),
                   SQL_I(EVIDENCE_REFUSAL), SQL_I(k->looked_from),
                   SQL_I(k->since + SETTLES_WITHIN), SQL_I(LEDGER_EVIDENCE_ROWS));
}

static int put_totals(struct ledger *l, const struct ledger_lock *k, stamp now)
{
    static const char text[] =
        "UPDATE locks SET gathered = ?2, looked_from = ?3,"
        " messages = (SELECT count(*) FROM temp.looked),"
        " recipients = (SELECT count(*) FROM temp.written),"
        " delivered = (SELECT count(*) FROM temp.written WHERE state = ?4),"
        " failed = (SELECT count(*) FROM temp.written WHERE state IN (?5, ?6)) WHERE id = ?1";
    return SQL_RUN(l->db, text, SQL_I(k->id), SQL_I(now), SQL_I(k->looked_from),
                   SQL_I(OUTCOME_DELIVERED), SQL_I(OUTCOME_FAILED), SQL_I(OUTCOME_EXPIRED));
}

static int gather_one(struct ledger *l, struct ledger_lock *k, struct arena *a, stamp now)
{
    k->looked_from = k->since - look_back(k->rule);
    int rc = look(l, k);
    for (size_t kind = 0; kind < COUNT_OF(kinds) && rc == 0; kind++) {
        bool is_told = kind == EVIDENCE_ACCOUNT && k->account != 0;
        if (kinds[kind].value && !is_told)
            rc = put_kind(l, k, kind, a);
    }
    if (rc == 0)
        rc = put_refusals(l, k);
    return rc < 0 ? rc : put_totals(l, k, now);
}

/* Of a lock in the future the clock was set back. */
static int next_bare(struct ledger *l, stamp now, struct arena *a, struct ledger_lock *out)
{
    sqlite3_stmt *s;
    int rc = SQL_QUERY(l->db, &s,
                       "SELECT id, customer, account, since, rule FROM locks WHERE gathered IS"
                       " NULL AND (since <= ?1 OR since > ?2) ORDER BY id LIMIT 1",
                       SQL_I(now - SETTLES_WITHIN), SQL_I(now + SPAN_MINUTE));
    if (rc < 0)
        return rc;
    rc = sql_step(s);
    if (rc == 1)
        *out = (struct ledger_lock){.id = sql_u64(s, 0),
                                    .customer = sql_u64(s, 1),
                                    .account = sql_u64(s, 2),
                                    .since = (stamp)sql_u64(s, 3),
                                    .rule = sql_bytes(s, 4, a)};
    sql_end(&s);
    return rc;
}

/* A few at a time: the rest comes with the next round. */
int ledger_gather(struct ledger *l, stamp now)
{
    struct arena a = ARENA_INIT;
    struct ledger_lock k;
    int rc = 1;
    for (int i = 0; i < LOCKS_AT_ONCE && rc == 1; i++) {
        rc = next_bare(l, now, &a, &k);
        if (rc != 1)
            break;
        int put = gather_one(l, &k, &a, now);
        rc = put < 0 ? put : 1;
        arena_reset(&a);
    }
    arena_fini(&a);
    return rc < 0 ? rc : 0;
}
