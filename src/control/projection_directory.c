/* From records of the directory, and of locks, to the ledger. */
#include "control/ledger_notices.h"
#include "control/projection_inside.h"
#include "model/directory.h"

#include <errno.h>

static bool is_locked(slice fields, stamp until, stamp at)
{
    uint64_t state = record_get_u64(fields, TAG_STATE);
    return state != ACCOUNT_ACTIVE && until > at;
}

static int put_owner(struct ledger *l, const struct journal_record *r, bool is_customer)
{
    slice f = r->fields;
    stamp until = (stamp)record_get_u64(f, TAG_UNTIL);
    struct ledger_owner o = {
        .is_customer = is_customer,
        .id = record_get_u64(f, TAG_KEY),
        .parent = record_get_u64(f, TAG_PARENT),
        .name = record_get(f, TAG_NAME),
        .is_gone = record_get_u64(f, TAG_REMOVED) != 0,
        .until = until ? until : STAMP_NEVER,
        .reason = record_get(f, TAG_REASON),
        .version = record_get_u64(f, TAG_VERSION),
        .at = r->header.at,
        .by = record_get(f, TAG_BY),
        .node = r->header.node,
    };
    o.is_locked = is_locked(f, o.until, o.at);
    o.is_unlock = record_get_u64(f, TAG_UNLOCKED) == o.version;
    if (o.id == 0 || (!o.is_gone && o.name.len == 0))
        return -EBADMSG;
    return ledger_put_owner(l, &o);
}

int projection_put_directory(struct ledger *l, const struct journal_record *r)
{
    switch (record_get_u64(r->fields, TAG_ENTITY)) {
    case ENTITY_CUSTOMER:
        return put_owner(l, r, true);
    case ENTITY_ACCOUNT:
        return put_owner(l, r, false);
    case ENTITY_CREDENTIAL:
        /* One that is gone is still named in what it sent. */
        if (record_get_u64(r->fields, TAG_REMOVED) != 0)
            return 0;
        return ledger_put_credential(l, record_get_u64(r->fields, TAG_KEY),
                                     record_get(r->fields, TAG_LABEL));
    default:
        return 0;
    }
}

int projection_put_refusals(struct ledger *l, const struct journal_record *r)
{
    uint64_t count = record_get_u64(r->fields, TAG_COUNT);
    slice rule = record_get(r->fields, TAG_RULE);
    if (count == 0 || rule.len == 0)
        return 0; /* aborted by the client: no limit had a part in it */
    return ledger_put_refusals(l, r->header.account, rule, count, r->header.at);
}

int projection_put_notice(struct ledger *l, const struct journal_record *r)
{
    struct ledger_notice n = {
        .event = record_get_u64(r->fields, TAG_ID),
        .kind = NOTICE_PASSED,
        .customer = r->header.customer,
        .account = r->header.account,
        .at = r->header.at,
        .rule = record_get(r->fields, TAG_RULE),
        .used = record_get_u64(r->fields, TAG_USED),
        .max = record_get_u64(r->fields, TAG_MAXIMUM),
        .reason = record_get(r->fields, TAG_REASON),
    };
    struct rule rule;
    const char *error;
    slice word;
    if (n.event == 0 || !rule_parse(n.rule, &rule, &error, &word))
        return -EBADMSG;
    if (rule.action == RULE_SUSPEND)
        n.kind = NOTICE_SUSPENDED;
    return ledger_put_notice(l, &n);
}

int projection_put_lock(struct ledger *l, const struct journal_record *r)
{
    stamp until = (stamp)record_get_u64(r->fields, TAG_UNTIL);
    const struct ledger_lock lock = {
        .id = record_get_u64(r->fields, TAG_ID),
        .kind = LOCK_BY_RULE,
        .customer = r->header.customer,
        .account = r->header.account,
        .since = r->header.at,
        .until = until ? until : STAMP_NEVER,
        .version = record_get_u64(r->fields, TAG_VERSION),
        .rule = record_get(r->fields, TAG_RULE),
        .used = record_get_u64(r->fields, TAG_USED),
        .reason = record_get(r->fields, TAG_REASON),
    };
    if (lock.id == 0 || (lock.account == 0 && lock.customer == 0))
        return -EBADMSG;
    if (record_get_u64(r->fields, TAG_REMOVED) != 0)
        return ledger_end_lock(l, lock.id, r->header.at);
    return ledger_put_lock(l, &lock);
}
