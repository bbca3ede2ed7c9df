/* What the projector writes of locks; see control/ledger_locks. */
#include "control/ledger_locks.h"

#include "control/ledger_inside.h"

#include <errno.h>

/* ---- locks by rule ---- */

/* The name that the owner has now; of one that the ledger does not know, its number. */
#define OWNER_NAME                                                          \
    "coalesce(CASE WHEN ?4 THEN (SELECT login FROM accounts WHERE id = ?4)" \
    " ELSE (SELECT name FROM customers WHERE id = ?3) END,"                 \
    " CASE WHEN ?4 THEN 'account ' || ?4 ELSE 'customer ' || ?3 END)"

int ledger_put_lock(struct ledger *l, const struct ledger_lock *lock)
{
    static const char text[] =
        "INSERT OR IGNORE INTO locks (id, kind, customer, account, name, since, until, version,"
        " rule, used, reason, made_by) VALUES (?1, ?2, ?3, ?4, " OWNER_NAME
        ", ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    return SQL_RUN(l->db, text, SQL_I(lock->id), SQL_I(lock->kind), SQL_I(lock->customer),
                   SQL_I(lock->account), SQL_I(lock->since),
                   SQL_I0(lock->until == STAMP_NEVER ? 0 : lock->until), SQL_I(lock->version),
                   SQL_T0(lock->rule), SQL_I(lock->used), SQL_T0(lock->reason),
                   SQL_T0(lock->made_by));
}

int ledger_end_lock(struct ledger *l, uint64_t id, stamp at)
{
    /* The control journal is read before smtpd's: the unlock that smtpd followed is there. */
    static const char text[] =
        "UPDATE locks AS k SET ended = ?2, (end_kind, ended_by) = (SELECT"
        "  CASE WHEN count(*) THEN ?3 ELSE ?4 END, by FROM (SELECT by FROM unlocks u WHERE"
        "   u.version > k.version AND u.is_customer = (k.account = 0) AND"
        "   u.owner = iif(k.account, k.account, k.customer) ORDER BY u.version LIMIT 1))"
        " WHERE id = ?1 AND ended IS NULL";
    return SQL_RUN(l->db, text, SQL_I(id), SQL_I(at), SQL_I(LOCK_LIFTED),
                   SQL_I(LOCK_ENDED_IN_TIME));
}

/* ---- owners, and locks by operators ---- */

static int put_names(struct ledger *l, const struct ledger_owner *o)
{
    return SQL_RUN(l->db,
                   o->is_customer
                       ? "INSERT INTO customers VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET"
                         " parent = excluded.parent, name = excluded.name"
                       : "INSERT INTO accounts VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET"
                         " customer = excluded.customer, login = excluded.login",
                   SQL_I(o->id), SQL_I(o->parent), SQL_T(o->name));
}

/* Of the owner: for a customer the locks of all of it, not those of single accounts. */
#define OF_OWNER \
    " (account = ?1 AND ?2 = 0 OR ?2 AND account = 0 AND customer = ?1) AND ended IS NULL"

static int end_open(struct ledger *l, const struct ledger_owner *o, enum ledger_lock_end why,
                    bool is_all)
{
    return SQL_RUN(l->db,
                   "UPDATE locks SET ended = ?3, end_kind = ?4, ended_by = ?5 WHERE" OF_OWNER
                   " AND (?6 OR kind = ?7)",
                   SQL_I(o->id), SQL_I(o->is_customer), SQL_I(o->at), SQL_I(why), SQL_T0(o->by),
                   SQL_I(is_all), SQL_I(LOCK_BY_OPERATOR));
}

/* Unique, and the same when the record is read again: changes have versions of their own. */
static uint64_t id_of(const struct ledger_owner *o)
{
    struct id_source source;
    id_source_init(&source, (uint8_t)o->node, ID_CONTROL);
    return id_next(&source, o->at) | (o->version & 0xfff);
}

static int begin_lock(struct ledger *l, const struct ledger_owner *o)
{
    struct ledger_lock lock = {
        .id = id_of(o),
        .kind = LOCK_BY_OPERATOR,
        .customer = o->is_customer ? o->id : o->parent,
        .account = o->is_customer ? 0 : o->id,
        .since = o->at,
        .until = o->until,
        .version = o->version,
        .reason = o->reason,
        .made_by = o->by,
    };
    return ledger_put_lock(l, &lock);
}

/* A lock that holds may be given another reason or end. */
static int follow_state(struct ledger *l, const struct ledger_owner *o)
{
    if (!o->is_locked)
        return end_open(l, o, LOCK_LIFTED, false);
    stamp until = o->until == STAMP_NEVER ? 0 : o->until;
    int rc = SQL_RUN(l->db,
                     "UPDATE locks SET until = ?3, reason = ?4 WHERE" OF_OWNER " AND kind = ?5",
                     SQL_I(o->id), SQL_I(o->is_customer), SQL_I0(until), SQL_T0(o->reason),
                     SQL_I(LOCK_BY_OPERATOR));
    if (rc < 0 || sqlite3_changes(l->db) > 0)
        return rc;
    return begin_lock(l, o);
}

static int end_timed(struct ledger *l, stamp now)
{
    return SQL_RUN(l->db,
                   "UPDATE locks SET ended = until, end_kind = ?2 WHERE ended IS NULL AND"
                   " until <= ?1 AND kind = ?3",
                   SQL_I(now), SQL_I(LOCK_ENDED_IN_TIME), SQL_I(LOCK_BY_OPERATOR));
}

int ledger_put_owner(struct ledger *l, const struct ledger_owner *o)
{
    /* What ended before this change was not ended by it. */
    int rc = end_timed(l, o->at);
    if (rc == 0 && o->is_gone)
        return end_open(l, o, LOCK_OWNER_GONE, true);
    if (rc == 0)
        rc = put_names(l, o);
    if (rc == 0)
        rc = follow_state(l, o);
    if (rc == 0 && o->is_unlock)
        rc = SQL_RUN(l->db, "INSERT OR IGNORE INTO unlocks VALUES (?1, ?2, ?3, ?4, ?5)",
                     SQL_I(o->is_customer), SQL_I(o->id), SQL_I(o->version), SQL_I(o->at),
                     SQL_T0(o->by));
    return rc;
}

int ledger_put_credential(struct ledger *l, uint64_t id, slice label)
{
    return SQL_RUN(l->db,
                   "INSERT INTO credentials VALUES (?1, ?2) ON CONFLICT DO UPDATE SET"
                   " label = excluded.label",
                   SQL_I(id), SQL_T0(label));
}

int ledger_put_refusals(struct ledger *l, uint64_t account, slice rule, uint64_t count,
                        stamp at)
{
    stamp minute = at > 0 ? at - at % SPAN_MINUTE : 0;
    return SQL_RUN(l->db,
                   "INSERT INTO refusals VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT DO UPDATE"
                   " SET count = count + excluded.count, first = min(first, excluded.first),"
                   "  last = max(last, excluded.last)",
                   SQL_I(account), SQL_I(minute), SQL_T(rule), SQL_I(count), SQL_I(at));
}

int ledger_settle_locks(struct ledger *l, stamp now)
{
    int rc = end_timed(l, now);
    if (rc == 0)
        rc = ledger_gather(l, now);
    return rc < 0 ? rc : ledger_tell_locks(l);
}

int ledger_look_at_locks(struct ledger *l, stamp now)
{
    int rc = ledger_begin(l);
    if (rc < 0)
        return rc;
    rc = ledger_settle_locks(l, now);
    if (rc < 0) {
        ledger_rollback(l);
        return rc;
    }
    return ledger_commit(l);
}

int ledger_expire_locks(struct ledger *l, stamp before, int *removed)
{
    static const char *const steps[] = {
        "DELETE FROM evidence WHERE lock IN (SELECT id FROM locks WHERE gathered < ?1)",
        "DELETE FROM locks WHERE ended < ?1",
        "DELETE FROM notices WHERE at < ?1 AND state <> 0",
        "DELETE FROM refusals WHERE minute < ?1",
    };
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        int rc = SQL_RUN(l->db, steps[i], SQL_I(before));
        if (rc < 0)
            return rc;
        *removed += sqlite3_changes(l->db);
    }
    return SQL_RUN(l->db,
                   "DELETE FROM unlocks WHERE at < ?1 AND version < (SELECT"
                   " coalesce(min(version), 9e18) FROM locks WHERE ended IS NULL)",
                   SQL_I(before));
}
