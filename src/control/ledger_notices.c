#include "control/ledger_notices.h"

#include "control/ledger_inside.h"
#include "control/ledger_read_inside.h"

#include <errno.h>

/* The readers that an event of an account, or of all of a customer's, has. */
#define READERS "(SELECT 1 AS reader, 1 AS of_account UNION SELECT 2, 0 UNION SELECT 3, 0)"

int ledger_put_notice(struct ledger *l, const struct ledger_notice *n)
{
    static const char text[] =
        "INSERT INTO notices (event, kind, reader, customer, account, name, at, rule,"
        " used, max, reason) SELECT ?1, ?2, r.reader, ?3, ?4,"
        " coalesce(CASE WHEN ?4 THEN (SELECT login FROM accounts WHERE id = ?4) ELSE (SELECT"
        "  name FROM customers WHERE id = ?3) END, ''), ?5, ?6, ?7, ?8, ?9 FROM " READERS
        " r WHERE ?4 OR NOT r.of_account ON CONFLICT DO NOTHING";
    return SQL_RUN(l->db, text, SQL_I(n->event), SQL_I(n->kind), SQL_I(n->customer),
                   SQL_I(n->account), SQL_I(n->at), SQL_T0(n->rule), SQL_I(n->used),
                   SQL_I(n->max), SQL_T0(n->reason));
}

/* Of locks that began (told 0) and that ended (told 1, and an end). */
#define TELL_LOCKS(kind, at, when)                                                        \
    "INSERT INTO notices (event, kind, reader, customer, account, name, at, rule,"        \
    " used, max, reason) SELECT k.id, " kind ", r.reader, k.customer, k.account, k.name," \
    " " at ", k.rule, k.used, 0, k.reason FROM locks k JOIN " READERS                     \
    " r ON k.account OR NOT r.of_account WHERE " when " ON CONFLICT DO NOTHING"

int ledger_tell_locks(struct ledger *l)
{
    static const char *const steps[] = {
        TELL_LOCKS("1", "k.since", "k.told = 0 AND k.gathered IS NOT NULL"),
        "UPDATE locks SET told = 1 WHERE told = 0 AND gathered IS NOT NULL",
        TELL_LOCKS("2", "k.ended", "k.told = 1 AND k.ended IS NOT NULL AND k.end_kind <> 3"),
        "UPDATE locks SET told = 2 WHERE told = 1 AND ended IS NOT NULL",
    };
    uint64_t untold = 0;
    int rc = sql_number(
        l->db,
        "SELECT EXISTS (SELECT 1 FROM locks WHERE told < 2 AND (gathered IS NOT NULL OR"
        " ended IS NOT NULL))",
        NULL, 0, &untold);
    for (size_t i = 0; i < COUNT_OF(steps) && rc == 0 && untold; i++)
        rc = sql_run(l->db, steps[i], NULL, 0);
    return rc;
}

#define COLUMNS                                                                                \
    "event, kind, reader, customer, account, name, at, rule, used, max, reason, state, tried," \
    " next, tries, address, message, answer"

static void take_notice(sqlite3_stmt *s, struct arena *a, struct ledger_notice *out)
{
    *out = (struct ledger_notice){
        .event = sql_u64(s, 0),
        .kind = (enum notice_kind)sql_u64(s, 1),
        .reader = (enum notice_reader)sql_u64(s, 2),
        .customer = sql_u64(s, 3),
        .account = sql_u64(s, 4),
        .name = sql_bytes(s, 5, a),
        .at = (stamp)sql_u64(s, 6),
        .rule = sql_bytes(s, 7, a),
        .used = sql_u64(s, 8),
        .max = sql_u64(s, 9),
        .reason = sql_bytes(s, 10, a),
        .state = (enum ledger_notice_state)sql_u64(s, 11),
        .tried = (stamp)sql_u64(s, 12),
        .next = (stamp)sql_u64(s, 13),
        .tries = (uint32_t)sql_u64(s, 14),
        .address = sql_bytes(s, 15, a),
        .id = sql_u64(s, 16),
        .answer = sql_bytes(s, 17, a),
    };
}

int ledger_next_notice(struct ledger *l, stamp now, struct arena *a, struct ledger_notice *out)
{
    static const char query[] = "SELECT " COLUMNS " FROM notices WHERE state = 0 AND next <= ?1"
                                " ORDER BY next, event, kind, reader LIMIT 1";
    sqlite3_stmt *s;
    pthread_mutex_lock(&l->mutex);
    int rc = SQL_QUERY(l->db, &s, query, SQL_I(now));
    if (rc == 0) {
        rc = sql_step(s);
        if (rc == 1)
            take_notice(s, a, out);
        sql_end(&s);
    }
    pthread_mutex_unlock(&l->mutex);
    return rc;
}

#define THIS_NOTICE " WHERE event = ?1 AND kind = ?2 AND reader = ?3"

static int put_try(struct ledger *l, const struct ledger_notice *n, slice address, stamp now)
{
    uint64_t is_known = 0;
    int rc = sql_number(
        l->db,
        "SELECT EXISTS (SELECT 1 FROM notices WHERE event = ?1 AND kind = ?2 AND"
        " reader < ?3 AND address = ?4 COLLATE NOCASE)",
        SQL_VALUES(SQL_I(n->event), SQL_I(n->kind), SQL_I(n->reader), SQL_T(address)), 4,
        &is_known);
    if (rc < 0 || is_known)
        return rc;
    rc = SQL_RUN(l->db,
                 "UPDATE notices SET address = ?4, tried = coalesce(tried, ?5),"
                 " tries = tries + 1" THIS_NOTICE,
                 SQL_I(n->event), SQL_I(n->kind), SQL_I(n->reader), SQL_T(address), SQL_I(now));
    return rc < 0 ? rc : 1;
}

int ledger_notice_try(struct ledger *l, const struct ledger_notice *n, slice address, stamp now)
{
    int rc = ledger_begin(l);
    if (rc < 0)
        return rc;
    int is_new = put_try(l, n, address, now);
    if (is_new < 0) {
        ledger_rollback(l);
        return is_new;
    }
    rc = ledger_commit(l);
    return rc < 0 ? rc : is_new;
}

int ledger_notice_settle(struct ledger *l, const struct ledger_notice *n)
{
    int rc = ledger_begin(l);
    if (rc < 0)
        return rc;
    rc = SQL_RUN(
        l->db,
        "UPDATE notices SET state = ?4, next = ?5, message = ?6, answer = ?7" THIS_NOTICE,
        SQL_I(n->event), SQL_I(n->kind), SQL_I(n->reader), SQL_I(n->state), SQL_I(n->next),
        SQL_I0(n->id), SQL_T0(n->answer));
    if (rc < 0) {
        ledger_rollback(l);
        return rc;
    }
    return ledger_commit(l);
}

int ledger_notice_list(struct ledger_reader *r, uint64_t event, struct arena *a,
                       struct ledger_notice **out)
{
    enum { MOST = NOTICE_KINDS * NOTICE_READERS };
    struct ledger_notice *list = arena_array(a, struct ledger_notice, MOST);
    sqlite3_stmt *s;
    int n = 0;
    int rc = SQL_QUERY(r->db, &s,
                       "SELECT " COLUMNS " FROM notices WHERE event = ?1 ORDER BY kind, reader",
                       SQL_I(event));
    if (rc < 0)
        return rc;
    while (n < MOST && (rc = sql_step(s)) == 1)
        take_notice(s, a, &list[n++]);
    sql_end(&s);
    *out = list;
    return rc < 0 ? rc : n;
}

int ledger_notice_count(struct ledger_reader *r, uint64_t counts[NOTICE_STATES])
{
    sqlite3_stmt *s;
    int rc =
        sql_begin(r->db, &s, "SELECT state, count(*) FROM notices GROUP BY state", NULL, 0);
    if (rc < 0)
        return rc;
    for (int i = 0; i < NOTICE_STATES; i++)
        counts[i] = 0;
    while ((rc = sql_step(s)) == 1) {
        uint64_t state = sql_u64(s, 0);
        if (state < NOTICE_STATES)
            counts[state] = sql_u64(s, 1);
    }
    sql_end(&s);
    return rc;
}
