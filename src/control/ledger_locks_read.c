/* Questions about locks; see control/ledger_locks. */
#include "control/ledger_locks.h"
#include "control/ledger_read_inside.h"

#include <errno.h>

#define COLUMNS                                                                              \
    "id, kind, customer, account, name, since, until, version, rule, used, reason, made_by," \
    " ended, end_kind, ended_by, gathered, looked_from, messages, recipients, delivered,"    \
    " failed"

static void take_lock(sqlite3_stmt *s, struct arena *a, struct ledger_lock *out)
{
    stamp until = (stamp)sql_u64(s, 6);
    *out = (struct ledger_lock){
        .id = sql_u64(s, 0),
        .kind = (enum ledger_lock_kind)sql_u64(s, 1),
        .customer = sql_u64(s, 2),
        .account = sql_u64(s, 3),
        .name = sql_bytes(s, 4, a),
        .since = (stamp)sql_u64(s, 5),
        .until = until ? until : STAMP_NEVER,
        .version = sql_u64(s, 7),
        .rule = sql_bytes(s, 8, a),
        .used = sql_u64(s, 9),
        .reason = sql_bytes(s, 10, a),
        .made_by = sql_bytes(s, 11, a),
        .ended = (stamp)sql_u64(s, 12),
        .end_kind = (enum ledger_lock_end)sql_u64(s, 13),
        .ended_by = sql_bytes(s, 14, a),
        .gathered = (stamp)sql_u64(s, 15),
        .looked_from = (stamp)sql_u64(s, 16),
        .messages = sql_u64(s, 17),
        .recipients = sql_u64(s, 18),
        .delivered = sql_u64(s, 19),
        .failed = sql_u64(s, 20),
    };
}

int ledger_lock_list(struct ledger_reader *r, const struct ledger_lock_query *q,
                     struct arena *a, struct ledger_lock **out)
{
    static const char query[] =
        "SELECT " COLUMNS " FROM locks WHERE (?1 = 0 OR account = ?1 OR (account = 0 AND"
        "  customer = (SELECT customer FROM accounts WHERE id = ?1)))"
        " AND (?2 = 0 OR customer = ?2) AND (NOT ?3 OR ended IS NULL)"
        " AND (?4 = 0 OR id < ?4) ORDER BY id DESC LIMIT ?5";
    sqlite3_stmt *s;
    unsigned n = 0;
    struct ledger_lock *list = arena_array(a, struct ledger_lock, q->limit);
    int rc = SQL_QUERY(r->db, &s, query, SQL_I(q->account), SQL_I(q->customer),
                       SQL_I(q->is_open), SQL_I(q->before), SQL_I(q->limit));
    if (rc < 0)
        return rc;
    while (n < q->limit && (rc = sql_step(s)) == 1)
        take_lock(s, a, &list[n++]);
    sql_end(&s);
    *out = list;
    return rc < 0 ? rc : (int)n;
}

static int read_evidence(struct ledger_reader *r, struct arena *a, struct ledger_lock *k)
{
    static const char query[] = "SELECT kind, value, count, first, last FROM evidence WHERE"
                                " lock = ?1 ORDER BY kind, count DESC, last DESC LIMIT ?2";
    enum { MOST = EVIDENCE_KINDS * LEDGER_EVIDENCE_ROWS };
    struct ledger_evidence *list = arena_array(a, struct ledger_evidence, MOST);
    sqlite3_stmt *s;
    size_t n = 0;
    int rc = SQL_QUERY(r->db, &s, query, SQL_I(k->id), SQL_I(MOST));
    if (rc < 0)
        return rc;
    while (n < MOST && (rc = sql_step(s)) == 1)
        list[n++] = (struct ledger_evidence){
            .kind = (enum ledger_evidence_kind)sql_u64(s, 0),
            .value = sql_bytes(s, 1, a),
            .count = sql_u64(s, 2),
            .first = (stamp)sql_u64(s, 3),
            .last = (stamp)sql_u64(s, 4),
        };
    sql_end(&s);
    k->evidence = list;
    k->evidence_count = n;
    return rc < 0 ? rc : 0;
}

int ledger_lock_get(struct ledger_reader *r, uint64_t id, struct arena *a,
                    struct ledger_lock *out)
{
    struct ledger_lock lock;
    sqlite3_stmt *s;
    int rc = SQL_QUERY(r->db, &s, "SELECT " COLUMNS " FROM locks WHERE id = ?1", SQL_I(id));
    if (rc < 0)
        return rc;
    rc = sql_step(s);
    if (rc == 1)
        take_lock(s, a, &lock);
    sql_end(&s);
    if (rc <= 0)
        return rc < 0 ? rc : -ENOENT;
    rc = read_evidence(r, a, &lock);
    if (rc == 0)
        *out = lock;
    return rc;
}
