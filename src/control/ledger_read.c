#include "control/ledger_read_inside.h"

#include <errno.h>
#include <stdlib.h>

enum { RECIPIENTS_MAX = 1000, TRIES_MAX = 100, REPORTS_MAX = REPORT_IMPOSSIBLE };

int ledger_reader_open(struct ledger_reader **out, const char *path)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
        sqlite3_close(db);
        return -EIO;
    }
    sqlite3_busy_timeout(db, 5000);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    int rc = sql_script(db, "PRAGMA wal_autocheckpoint = 0; PRAGMA trusted_schema = OFF;"
                            "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; BEGIN");
    if (rc < 0) {
        sqlite3_close(db);
        return rc;
    }
    struct ledger_reader *r = xcalloc(1, sizeof(*r));
    r->db = db;
    *out = r;
    return 0;
}

void ledger_reader_close(struct ledger_reader **r)
{
    if (!*r)
        return;
    sqlite3_close((*r)->db);
    free(*r);
    *r = NULL;
}

/* ---- messages ---- */

#define MESSAGE_COLUMNS                                                                      \
    "m.id, m.at, m.customer, m.account, m.credential, m.session, m.login, m.client, m.helo," \
    " m.protocol, m.tls, m.listener, m.reverse_path, m.message_id, m.octets, m.recipients,"  \
    " m.subject, m.script, m.directory"
enum { MESSAGE_COLUMN_COUNT = 19 };

static void take_message(sqlite3_stmt *s, struct arena *a, struct ledger_message *m)
{
    *m = (struct ledger_message){
        .id = sql_u64(s, 0),
        .at = (stamp)sql_u64(s, 1),
        .customer = sql_u64(s, 2),
        .account = sql_u64(s, 3),
        .credential = sql_u64(s, 4),
        .session = sql_u64(s, 5),
        .login = sql_bytes(s, 6, a),
        .client = sql_bytes(s, 7, a),
        .helo = sql_bytes(s, 8, a),
        .protocol = sql_bytes(s, 9, a),
        .tls = sql_bytes(s, 10, a),
        .listener = sql_bytes(s, 11, a),
        .reverse_path = sql_bytes(s, 12, a),
        .message_id = sql_bytes(s, 13, a),
        .octets = sql_u64(s, 14),
        .recipient_count = sql_u64(s, 15),
        .subject = sql_bytes(s, 16, a),
        .script = sql_bytes(s, 17, a),
        .directory = sql_bytes(s, 18, a),
    };
}

static int read_tries(struct ledger_reader *r, uint64_t message, struct arena *a,
                      struct ledger_recipient *to)
{
    static const char query[] =
        "SELECT number, at, outcome, stage, code, enhanced, reply, remote, tls, next FROM"
        " attempts WHERE message = ?1 AND recipient = ?2 ORDER BY number DESC, at DESC LIMIT "
        "?3";
    struct ledger_attempt *tries = arena_array(a, struct ledger_attempt, TRIES_MAX);
    sqlite3_stmt *s;
    size_t n = TRIES_MAX; /* filled from behind: the newest last */
    int rc = SQL_QUERY(r->db, &s, query, SQL_I(message), SQL_I(to->index), SQL_I(TRIES_MAX));
    if (rc < 0)
        return rc;
    while (n > 0 && (rc = sql_step(s)) == 1)
        tries[--n] = (struct ledger_attempt){
            .number = (uint32_t)sql_u64(s, 0),
            .at = (stamp)sql_u64(s, 1),
            .outcome = (enum outcome_kind)sql_u64(s, 2),
            .stage = (enum relay_stage)sql_u64(s, 3),
            .code = (uint32_t)sql_u64(s, 4),
            .enhanced = sql_bytes(s, 5, a),
            .reply = sql_bytes(s, 6, a),
            .remote = sql_bytes(s, 7, a),
            .tls = sql_bytes(s, 8, a),
            .next = (stamp)sql_u64(s, 9),
        };
    sql_end(&s);
    to->tries = tries + n;
    to->try_count = TRIES_MAX - n;
    return rc < 0 ? rc : 0;
}

static int read_reports(struct ledger_reader *r, uint64_t message, struct arena *a,
                        struct ledger_recipient *to)
{
    static const char query[] = "SELECT report, at, notification FROM reports"
                                " WHERE message = ?1 AND recipient = ?2 ORDER BY at, report";
    struct ledger_report *list = arena_array(a, struct ledger_report, REPORTS_MAX);
    sqlite3_stmt *s;
    int rc = SQL_QUERY(r->db, &s, query, SQL_I(message), SQL_I(to->index));
    if (rc < 0)
        return rc;
    while (to->report_count < REPORTS_MAX && (rc = sql_step(s)) == 1)
        list[to->report_count++] = (struct ledger_report){
            .report = (enum report)sql_u64(s, 0),
            .at = (stamp)sql_u64(s, 1),
            .notification = sql_u64(s, 2),
        };
    sql_end(&s);
    to->reports = list;
    return rc < 0 ? rc : 0;
}

/* address: only this one's; empty: all. */
static int read_recipients(struct ledger_reader *r, slice address, struct arena *a,
                           struct ledger_message *m)
{
    static const char query[] = "SELECT number, address, state, attempts, at, next FROM"
                                " recipients WHERE message = ?1 AND (?2 IS NULL OR address ="
                                " ?2) ORDER BY number LIMIT ?3";
    size_t room = m->recipient_count < RECIPIENTS_MAX ? (size_t)m->recipient_count
                                                      : (size_t)RECIPIENTS_MAX;
    struct ledger_recipient *list = arena_array(a, struct ledger_recipient, room + 1);
    sqlite3_stmt *s;
    size_t n = 0;
    int rc = SQL_QUERY(r->db, &s, query, SQL_I(m->id), SQL_T0(address), SQL_I(room));
    if (rc < 0)
        return rc;
    while (n < room && (rc = sql_step(s)) == 1)
        list[n++] = (struct ledger_recipient){
            .index = (uint32_t)sql_u64(s, 0),
            .address = sql_bytes(s, 1, a),
            .state = (uint32_t)sql_u64(s, 2),
            .attempts = (uint32_t)sql_u64(s, 3),
            .at = (stamp)sql_u64(s, 4),
            .next = (stamp)sql_u64(s, 5),
        };
    sql_end(&s);
    m->recipients = list;
    m->count = n;
    for (size_t i = 0; i < n && rc >= 0; i++) {
        rc = list[i].attempts ? read_tries(r, m->id, a, &list[i]) : 0;
        if (rc >= 0)
            rc = read_reports(r, m->id, a, &list[i]);
    }
    return rc < 0 ? rc : 0;
}

/* All found by a query for ids; `only`: of which recipient each is told (may be empty). */
static int collect(struct ledger_reader *r, const char *query, const struct sql_value *values,
                   size_t count, unsigned limit, struct arena *a, struct ledger_message *out)
{
    sqlite3_stmt *s;
    unsigned n = 0;
    int rc = sql_begin(r->db, &s, query, values, count);
    if (rc < 0)
        return rc;
    while (n < limit && (rc = sql_step(s)) == 1) {
        struct ledger_message *m = &out[n++];
        take_message(s, a, m);
        slice only = sql_bytes(s, MESSAGE_COLUMN_COUNT, a);
        rc = read_recipients(r, only, a, m);
        if (rc < 0)
            break;
    }
    sql_end(&s);
    return rc < 0 ? rc : (int)n;
}

/* The angle brackets of a Message-ID may be left out. */
static slice with_brackets(struct arena *a, slice q)
{
    return slice_starts(q, SLICE("<")) ? q : arena_printf(a, "<%.*s>", SLICE_ARG(q));
}

int ledger_find(struct ledger_reader *r, slice q, uint64_t account, unsigned limit,
                struct arena *a, struct ledger_message **out)
{
    static const char by_id[] = "SELECT " MESSAGE_COLUMNS ", NULL FROM messages m"
                                " WHERE m.id = ?1 AND (?2 = 0 OR m.account = ?2)";
    static const char by_text[] =
        "SELECT " MESSAGE_COLUMNS ", (SELECT address FROM recipients WHERE message = m.id AND"
        " address = ?1 AND NOT coalesce(m.reverse_path = ?1, 0) AND NOT"
        "  coalesce(m.message_id IN (?1, ?2), 0) LIMIT 1)"
        " FROM messages m WHERE (?3 = 0 OR m.account = ?3) AND m.id IN ("
        " SELECT id FROM (SELECT id FROM messages WHERE message_id IN (?1, ?2)"
        "   AND (?3 = 0 OR account = ?3) ORDER BY id DESC LIMIT ?4)"
        " UNION SELECT id FROM (SELECT id FROM messages WHERE reverse_path = ?1"
        "   AND (?3 = 0 OR account = ?3) ORDER BY id DESC LIMIT ?4)"
        " UNION SELECT message FROM (SELECT message FROM recipients WHERE address = ?1"
        "   AND (?3 = 0 OR (SELECT account FROM messages WHERE id = message) = ?3)"
        "   ORDER BY message DESC LIMIT ?4))"
        " ORDER BY m.id DESC LIMIT ?4";
    uint64_t id;
    *out = arena_array(a, struct ledger_message, limit);
    if (id_parse(q, &id)) {
        int n = collect(r, by_id, SQL_VALUES(SQL_I(id), SQL_I(account)), 2, 1, a, *out);
        if (n != 0)
            return n;
    }
    return collect(
        r, by_text,
        SQL_VALUES(SQL_T(q), SQL_T(with_brackets(a, q)), SQL_I(account), SQL_I(limit)), 4,
        limit, a, *out);
}

int ledger_list(struct ledger_reader *r, uint64_t account, stamp since, uint64_t before,
                unsigned limit, struct arena *a, struct ledger_line **out)
{
    static const char query[] =
        "SELECT " MESSAGE_COLUMNS ","
        " (SELECT count(*) FROM recipients WHERE message = m.id AND state = 1),"
        " (SELECT count(*) FROM recipients WHERE message = m.id AND state = 0),"
        " (SELECT count(*) FROM recipients WHERE message = m.id AND state > 1)"
        " FROM messages m WHERE (?1 = 0 OR m.account = ?1) AND m.at >= ?2"
        " AND (?3 = 0 OR m.id < ?3) ORDER BY m.id DESC LIMIT ?4";
    sqlite3_stmt *s;
    unsigned n = 0;
    int rc =
        SQL_QUERY(r->db, &s, query, SQL_I(account), SQL_I(since), SQL_I(before), SQL_I(limit));
    if (rc < 0)
        return rc;
    struct ledger_line *list = arena_array(a, struct ledger_line, limit);
    while (n < limit && (rc = sql_step(s)) == 1) {
        struct ledger_line *line = &list[n++];
        take_message(s, a, &line->message);
        line->delivered = sql_u64(s, MESSAGE_COLUMN_COUNT);
        line->queued = sql_u64(s, MESSAGE_COLUMN_COUNT + 1);
        line->failed = sql_u64(s, MESSAGE_COLUMN_COUNT + 2);
    }
    sql_end(&s);
    *out = list;
    return rc < 0 ? rc : (int)n;
}

/* ---- use and errors ---- */

int ledger_usage(struct ledger_reader *r, uint64_t account, unsigned seconds, stamp since,
                 unsigned limit, struct arena *a, struct ledger_usage **out)
{
    static const char query[] =
        "SELECT * FROM (SELECT start, messages, recipients, octets, delivered, failed FROM"
        " usage WHERE account = ?1 AND period = ?2 AND start >= ?3 ORDER BY start DESC LIMIT "
        "?4)"
        " ORDER BY start";
    sqlite3_stmt *s;
    unsigned n = 0;
    int rc =
        SQL_QUERY(r->db, &s, query, SQL_I(account), SQL_I(seconds), SQL_I(since), SQL_I(limit));
    if (rc < 0)
        return rc;
    struct ledger_usage *list = arena_array(a, struct ledger_usage, limit);
    while (n < limit && (rc = sql_step(s)) == 1)
        list[n++] = (struct ledger_usage){
            (stamp)sql_u64(s, 0), sql_u64(s, 1), sql_u64(s, 2),
            sql_u64(s, 3),        sql_u64(s, 4), sql_u64(s, 5),
        };
    sql_end(&s);
    *out = list;
    return rc < 0 ? rc : (int)n;
}

int ledger_errors(struct ledger_reader *r, uint64_t account, slice after, unsigned limit,
                  struct arena *a, struct ledger_error **out)
{
    static const char query[] =
        "SELECT address, first, last, count, message, outcome, stage, code, enhanced, reply,"
        " remote FROM errors WHERE account = ?1 AND address > ?2 ORDER BY address LIMIT ?3";
    sqlite3_stmt *s;
    unsigned n = 0;
    int rc = SQL_QUERY(r->db, &s, query, SQL_I(account), SQL_T(after), SQL_I(limit));
    if (rc < 0)
        return rc;
    struct ledger_error *list = arena_array(a, struct ledger_error, limit);
    while (n < limit && (rc = sql_step(s)) == 1)
        list[n++] = (struct ledger_error){
            .address = sql_bytes(s, 0, a),
            .first = (stamp)sql_u64(s, 1),
            .last = (stamp)sql_u64(s, 2),
            .count = sql_u64(s, 3),
            .message = sql_u64(s, 4),
            .outcome = (enum outcome_kind)sql_u64(s, 5),
            .stage = (enum relay_stage)sql_u64(s, 6),
            .code = (uint32_t)sql_u64(s, 7),
            .enhanced = sql_bytes(s, 8, a),
            .reply = sql_bytes(s, 9, a),
            .remote = sql_bytes(s, 10, a),
        };
    sql_end(&s);
    *out = list;
    return rc < 0 ? rc : (int)n;
}
