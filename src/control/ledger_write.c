/* What the projector writes for each record. */
#include "control/ledger_inside.h"

#include <errno.h>

/* Texts of peers are bounded where they arrive; this only keeps a row small. */
enum { REPLY_MAX = 2048, REMOTE_MAX = 512 };

static void bind_number(sqlite3_stmt *s, int at, uint64_t n)
{
    sqlite3_bind_int64(s, at, (sqlite3_int64)n);
}

/* Borrowed until the statement has run. An empty one is NULL. */
static void bind_text(sqlite3_stmt *s, int at, slice text)
{
    if (text.len > 0)
        sqlite3_bind_text64(s, at, text.ptr, text.len, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_null(s, at);
}

static void bind_stamp(sqlite3_stmt *s, int at, stamp when)
{
    if (when > 0)
        sqlite3_bind_int64(s, at, when);
    else
        sqlite3_bind_null(s, at);
}

/* A statement without rows: 0 or -errno. */
static int run(sqlite3_stmt *s)
{
    int rc = sql_step(s);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return rc < 0 ? rc : 0;
}

/* ---- use ---- */

static int put_use(struct ledger *l, const struct ledger_use *u, int64_t seconds)
{
    sqlite3_stmt *s = l->statements[PUT_USAGE];
    stamp length = seconds * SPAN_SECOND;
    bind_number(s, 1, u->account);
    bind_number(s, 2, (uint64_t)seconds);
    bind_number(s, 3, (uint64_t)(u->minute - u->minute % length));
    bind_number(s, 4, u->messages);
    bind_number(s, 5, u->recipients);
    bind_number(s, 6, u->octets);
    bind_number(s, 7, u->delivered);
    bind_number(s, 8, u->failed);
    return run(s);
}

int ledger_flush_uses(struct ledger *l)
{
    static const int64_t periods[] = {60, 3600, 86400};
    for (size_t i = 0; i < l->use_count; i++)
        for (size_t p = 0; p < COUNT_OF(periods); p++) {
            int rc = put_use(l, &l->uses[i], periods[p]);
            if (rc < 0)
                return rc;
        }
    l->use_count = 0;
    return 0;
}

static int use_at(struct ledger *l, uint64_t account, stamp at, struct ledger_use **out)
{
    stamp minute = at > 0 ? at - at % SPAN_MINUTE : 0;
    for (size_t i = l->use_count; i-- > 0;) {
        *out = &l->uses[i];
        if ((*out)->account == account && (*out)->minute == minute)
            return 0;
    }
    int rc = l->use_count == LEDGER_USES ? ledger_flush_uses(l) : 0;
    *out = &l->uses[l->use_count++];
    **out = (struct ledger_use){.account = account, .minute = minute};
    return rc;
}

/* ---- messages ---- */

static int put_recipients(struct ledger *l, const struct ledger_message *m)
{
    sqlite3_stmt *s = l->statements[PUT_RECIPIENT];
    for (size_t i = 0; i < m->count; i++) {
        bind_number(s, 1, m->id);
        bind_number(s, 2, m->recipients[i].index);
        slice address = m->recipients[i].address;
        sqlite3_bind_text64(s, 3, address.ptr ? address.ptr : "", address.len, SQLITE_STATIC,
                            SQLITE_UTF8);
        int rc = run(s);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int ledger_put_message(struct ledger *l, const struct ledger_message *m, bool is_use)
{
    sqlite3_stmt *s = l->statements[PUT_MESSAGE];
    bind_number(s, 1, m->id);
    bind_number(s, 2, (uint64_t)m->at);
    bind_number(s, 3, m->customer);
    bind_number(s, 4, m->account);
    bind_number(s, 5, m->credential);
    bind_number(s, 6, m->session);
    bind_text(s, 7, m->login);
    bind_text(s, 8, m->client);
    bind_text(s, 9, m->helo);
    bind_text(s, 10, m->protocol);
    bind_text(s, 11, m->tls);
    bind_text(s, 12, m->listener);
    bind_text(s, 13, m->reverse_path);
    bind_text(s, 14, m->message_id);
    bind_number(s, 15, m->octets);
    bind_number(s, 16, m->recipient_count);
    bind_text(s, 17, m->subject);
    bind_text(s, 18, m->script);
    bind_text(s, 19, m->directory);
    int rc = run(s);
    if (rc < 0 || sqlite3_changes64(l->db) == 0)
        return rc;
    rc = put_recipients(l, m);
    if (rc < 0 || !is_use)
        return rc;
    return ledger_put_use(l, m->account, m->at, m->recipient_count, m->octets);
}

int ledger_put_use(struct ledger *l, uint64_t account, stamp at, uint64_t recipients,
                   uint64_t octets)
{
    struct ledger_use *u;
    int rc = use_at(l, account, at, &u);
    u->messages++;
    u->recipients += recipients;
    u->octets += octets;
    return rc;
}

/* ---- attempts ---- */

static bool is_failure(enum outcome_kind kind)
{
    return kind == OUTCOME_FAILED || kind == OUTCOME_EXPIRED;
}

static int put_error(struct ledger *l, uint64_t message, uint32_t index, uint64_t account,
                     const struct ledger_attempt *a)
{
    sqlite3_stmt *s = l->statements[PUT_ERROR];
    bind_number(s, 1, account);
    bind_number(s, 2, index);
    bind_number(s, 3, (uint64_t)a->at);
    bind_number(s, 4, message);
    bind_number(s, 5, (uint64_t)a->outcome);
    bind_number(s, 6, (uint64_t)a->stage);
    bind_number(s, 7, a->code);
    bind_text(s, 8, a->enhanced);
    bind_text(s, 9, slice_to(a->reply, REPLY_MAX));
    bind_text(s, 10, slice_to(a->remote, REMOTE_MAX));
    return run(s);
}

static int put_row(struct ledger *l, uint64_t message, uint32_t index,
                   const struct ledger_attempt *a)
{
    sqlite3_stmt *s = l->statements[PUT_ATTEMPT];
    bind_number(s, 1, message);
    bind_number(s, 2, index);
    bind_number(s, 3, a->number);
    bind_number(s, 4, (uint64_t)a->at);
    bind_number(s, 5, (uint64_t)a->outcome);
    bind_number(s, 6, (uint64_t)a->stage);
    bind_number(s, 7, a->code);
    bind_text(s, 8, a->enhanced);
    bind_text(s, 9, slice_to(a->reply, REPLY_MAX));
    bind_text(s, 10, slice_to(a->remote, REMOTE_MAX));
    bind_text(s, 11, a->tls);
    bind_stamp(s, 12, a->next);
    return run(s);
}

static int set_recipient(struct ledger *l, uint64_t message, uint32_t index,
                         const struct ledger_attempt *a)
{
    sqlite3_stmt *s = l->statements[SET_RECIPIENT];
    uint32_t state = a->outcome == OUTCOME_RETRY ? LEDGER_QUEUED : (uint32_t)a->outcome;
    bind_number(s, 1, message);
    bind_number(s, 2, index);
    bind_number(s, 3, state);
    bind_number(s, 4, a->number);
    bind_number(s, 5, (uint64_t)a->at);
    bind_stamp(s, 6, a->next);
    return run(s);
}

int ledger_put_attempt(struct ledger *l, uint64_t message, uint32_t index, uint64_t account,
                       const struct ledger_attempt *a)
{
    struct ledger_use *u;
    int rc = put_row(l, message, index, a);
    if (rc < 0 || sqlite3_changes64(l->db) == 0)
        return rc; /* it is there already, or its recipient is not */
    rc = set_recipient(l, message, index, a);
    if (id_writer(message) == ID_DELIVERY)
        return rc; /* a notification of ours: nobody's use, and nobody's list */
    if (rc == 0 && is_failure(a->outcome))
        rc = put_error(l, message, index, account, a);
    if (rc < 0 || a->outcome == OUTCOME_RETRY)
        return rc;
    rc = use_at(l, account, a->at, &u);
    u->delivered += a->outcome == OUTCOME_DELIVERED;
    u->failed += is_failure(a->outcome);
    return rc;
}

/* ---- reports ---- */

int ledger_put_report(struct ledger *l, uint64_t message, uint32_t index,
                      const struct ledger_report *p)
{
    sqlite3_stmt *s = l->statements[PUT_REPORT];
    bind_number(s, 1, message);
    bind_number(s, 2, index);
    bind_number(s, 3, (uint64_t)p->report);
    bind_number(s, 4, (uint64_t)p->at);
    if (p->notification != 0)
        bind_number(s, 5, p->notification);
    return run(s);
}

/* ---- age ---- */

static int expire_rows(struct ledger *l, const char *text, const struct sql_value *values,
                       size_t count, int *removed)
{
    int rc = sql_run(l->db, text, values, count);
    if (rc == 0)
        *removed += sqlite3_changes(l->db);
    return rc;
}

static int expire_messages(struct ledger *l, stamp before, int *removed)
{
    /* A few at a time: the mutex is the projector's, too. Its own rows first. */
    static const char *const steps[] = {
        "CREATE TEMP TABLE IF NOT EXISTS old (id INTEGER PRIMARY KEY)",
        "DELETE FROM temp.old",
        ("INSERT INTO temp.old SELECT id FROM messages WHERE id < ?1 AND at < ?2 AND NOT EXISTS"
         " (SELECT 1 FROM recipients WHERE message = id AND state = 0) ORDER BY id LIMIT 200"),
        "DELETE FROM attempts WHERE message IN (SELECT id FROM temp.old)",
        "DELETE FROM reports WHERE message IN (SELECT id FROM temp.old)",
        "DELETE FROM recipients WHERE message IN (SELECT id FROM temp.old)",
    };
    /* Ids begin with their time: all older messages are before this one. */
    uint64_t id = ledger_first_id(before + SPAN_MS);
    if (id == 0)
        return 0;
    int rc = 0;
    for (size_t i = 0; i < COUNT_OF(steps) && rc == 0; i++)
        rc = i == 2 ? SQL_RUN(l->db, steps[i], SQL_I(id), SQL_I(before))
                    : sql_run(l->db, steps[i], NULL, 0);
    if (rc == 0)
        rc = expire_rows(l, "DELETE FROM messages WHERE id IN (SELECT id FROM temp.old)", NULL,
                         0, removed);
    return rc;
}

static int expire_usage(struct ledger *l, int64_t seconds, stamp before, int *removed)
{
    return expire_rows(l,
                       "DELETE FROM usage WHERE (account, period, start) IN"
                       " (SELECT account, period, start FROM usage"
                       "  WHERE period = ?1 AND start < ?2 LIMIT 1000)",
                       SQL_VALUES(SQL_I(seconds), SQL_I(before)), 2, removed);
}

static int expire_errors(struct ledger *l, stamp before, int *removed)
{
    return expire_rows(l,
                       "DELETE FROM errors WHERE (account, address) IN"
                       " (SELECT account, address FROM errors WHERE last < ?1 LIMIT 1000)",
                       SQL_VALUES(SQL_I(before)), 1, removed);
}

int ledger_expire(struct ledger *l, const struct ledger_retention *r, stamp now)
{
    int removed = 0;
    int rc = ledger_begin(l);
    if (rc < 0)
        return rc;
    if (r->messages)
        rc = expire_messages(l, now - r->messages, &removed);
    if (rc == 0 && r->minutes)
        rc = expire_usage(l, 60, now - r->minutes, &removed);
    if (rc == 0 && r->hours)
        rc = expire_usage(l, 3600, now - r->hours, &removed);
    if (rc == 0 && r->days)
        rc = expire_usage(l, 86400, now - r->days, &removed);
    if (rc == 0 && r->errors)
        rc = expire_errors(l, now - r->errors, &removed);
    if (rc == 0 && r->evidence)
        rc = ledger_expire_locks(l, now - r->evidence, &removed);
    if (rc < 0) {
        ledger_rollback(l);
        return rc;
    }
    rc = ledger_commit(l);
    return rc < 0 ? rc : removed;
}
