#include "smtpd/limiting_internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

/* A record of our own on its way into the journal. */
struct own_record {
    struct journal_entry entry;
    struct limiting *limiting;
    struct buf fields;
};

static void own_done(struct journal_entry *e)
{
    struct own_record *r = CONTAINER_OF(e, struct own_record, entry);
    if (e->result < 0)
        log_error("limits-record-lost", LOG_I("type", e->header.type),
                  LOG_I("account", e->header.account), LOG_E("error", e->result));
    limiting_passed(r->limiting, e);
    buf_fini(&r->fields);
    free(r);
}

void limiting_append_own(struct limiting *l, const struct record_header *h, struct buf *fields)
{
    struct own_record *r = xcalloc(1, sizeof(*r));
    r->limiting = l;
    r->fields = *fields;
    *fields = BUF_INIT;
    r->entry.header = *h;
    r->entry.fields = buf_slice(&r->fields);
    r->entry.unrepeatable = true;
    r->entry.done = own_done;
    journal_append(l->config.journal, &r->entry);
}

static struct limiting_lock *find(const struct limiting *l, uint64_t account, uint64_t customer)
{
    const struct limiting_locked whom = {account, customer};
    return map_get(&l->locks, MAP_KEY(whom));
}

struct limiting_lock *limiting_lock_of(const struct limiting *l, uint64_t account,
                                       uint64_t customer)
{
    if (l->locks.count == 0)
        return NULL;
    struct limiting_lock *own = find(l, account, customer);
    struct limiting_lock *all = find(l, 0, customer);
    return !own || (all && all->until > own->until) ? all : own;
}

static void note_end(struct limiting *l, const struct limiting_lock *lock)
{
    if (l->next_end == 0 || lock->until < l->next_end)
        l->next_end = lock->until;
}

static void put_lock(struct limiting *l, const struct limiting_lock *lock)
{
    struct limiting_lock *kept = xcalloc(1, sizeof(*kept));
    *kept = *lock;
    free(map_put(&l->locks, MAP_KEY(kept->whom), kept));
    note_end(l, kept);
    atomic_fetch_add(&l->version, 1);
}

/* ---- records ---- */

static void put_fields(const struct limiting_lock *lock, struct buf *fields)
{
    char room[RULE_TEXT_MAX];
    struct buf rule = {.ptr = room, .cap = sizeof(room), .max = sizeof(room)};
    rule_format(&lock->limit.rule, &rule);
    record_put_u64(fields, TAG_ID, lock->id);
    record_put_u64(fields, TAG_VERSION, lock->version);
    record_put_u64(fields, TAG_UNTIL, (uint64_t)lock->until);
    record_put(fields, TAG_RULE, buf_slice(&rule));
    record_put_u64(fields, TAG_KEY, lock->limit.entity);
    record_put_u64(fields, TAG_USED, lock->used);
    record_put(fields, TAG_REASON, slice_of(lock->reason));
}

static int take_fields(const struct record_header *h, slice fields, struct limiting_lock *out)
{
    const char *error;
    slice word;
    slice reason = slice_to(record_get(fields, TAG_REASON), LIMITING_REASON_MAX - 1);
    struct limiting_lock lock = {
        .whom = {h->account, h->customer},
        .id = record_get_u64(fields, TAG_ID),
        .version = record_get_u64(fields, TAG_VERSION),
        .until = (stamp)record_get_u64(fields, TAG_UNTIL),
        .used = record_get_u64(fields, TAG_USED),
        .limit.entity = record_get_u64(fields, TAG_KEY),
    };
    if (lock.id == 0 ||
        !rule_parse(record_get(fields, TAG_RULE), &lock.limit.rule, &error, &word))
        return -EBADMSG;
    if (reason.len > 0)
        memcpy(lock.reason, reason.ptr, reason.len);
    *out = lock;
    return 0;
}

static void append_lock(struct limiting *l, const struct limiting_lock *lock, stamp now,
                        bool has_ended)
{
    struct record_header h = {
        .type = RECORD_LOCK,
        .node = l->config.node,
        .at = now + limiting_wall(l, now),
        .customer = lock->whom.customer,
        .account = lock->whom.account,
    };
    struct buf fields = BUF_INIT;
    put_fields(lock, &fields);
    if (has_ended)
        record_put_u64(&fields, TAG_REMOVED, 1);
    limiting_append_own(l, &h, &fields);
}

/* ---- life ---- */

void limiting_lock_sender(struct limiting *l, const struct limiting_charge *c,
                          const struct limit_verdict *v, stamp now)
{
    bool is_customers = v->rule.scope == RULE_CUSTOMER;
    span lasts = v->rule.lock_for;
    struct limiting_lock lock = {
        .whom = {is_customers ? 0 : c->account, c->customer},
        .id = id_next(l->config.ids, env_now(l->config.env)),
        .version = directory_version(l->config.directory),
        .until = lasts > 0 ? now + lasts : STAMP_NEVER,
        .used = v->used + v->asked,
        .limit = {.rule = v->rule, .entity = v->entity},
    };
    if (find(l, lock.whom.account, lock.whom.customer))
        return;
    struct buf reason = {
        .ptr = lock.reason, .cap = sizeof(lock.reason) - 1, .max = sizeof(lock.reason) - 1};
    wording_reason(c->language, v, &reason);
    put_lock(l, &lock);
    tally_add(&l->tally, &v->rule, TALLY_LOCKED, 1);
    append_lock(l, &lock, now, false);
    log_warning(is_customers ? "customer-locked" : "account-locked",
                LOG_I("customer", c->customer), LOG_I("account", c->account),
                LOG_ID("lock", lock.id), LOG_C("reason", lock.reason));
}

/* Its end empties the window of its rule, or the next message would lock again. */
static void end_lock(struct limiting *l, struct limiting_lock *lock)
{
    limiter_forget(l->limiter, &lock->limit);
    map_remove(&l->locks, MAP_KEY(lock->whom));
    atomic_fetch_add(&l->version, 1);
    free(lock);
}

/* An account or customer that is gone cannot send; if it is only not restated yet, it comes
 * back. */
static bool is_over(struct limiting *l, const struct limiting_lock *lock, stamp now)
{
    return lock->until <= now || directory_unlocked(l->config.directory, lock->whom.account,
                                                    lock->whom.customer) > lock->version;
}

void limiting_review(struct limiting *l, stamp now)
{
    uint64_t version = directory_version(l->config.directory);
    bool is_due = l->next_end != 0 && l->next_end <= now;
    if (l->locks.count == 0 || (version == l->reviewed && !is_due))
        return;
    l->reviewed = version;
    l->next_end = 0;
    void *value;
    for (size_t at = 0; map_next(&l->locks, &at, NULL, &value);) {
        struct limiting_lock *lock = value;
        if (!is_over(l, lock, now)) {
            note_end(l, lock);
            continue;
        }
        log_info("lock-ended", LOG_I("customer", lock->whom.customer),
                 LOG_I("account", lock->whom.account), LOG_ID("lock", lock->id));
        append_lock(l, lock, now, true);
        end_lock(l, lock);
    }
}

void limiting_lock_replay(struct limiting *l, const struct record_header *h, slice fields)
{
    struct limiting_lock lock;
    if (take_fields(h, fields, &lock) < 0) {
        log_error("lock-unusable", LOG_I("account", h->account));
        return;
    }
    if (record_get_u64(fields, TAG_REMOVED) == 0) {
        put_lock(l, &lock);
        return;
    }
    struct limiting_lock *known = find(l, lock.whom.account, lock.whom.customer);
    if (known && known->id <= lock.id)
        end_lock(l, known);
}

void limiting_locks_fini(struct limiting *l)
{
    void *value;
    for (size_t at = 0; map_next(&l->locks, &at, NULL, &value);)
        free(value);
    map_fini(&l->locks);
}

/* ---- the snapshot's part: how many, then for each account, customer, length, fields ---- */

static void put_u64(struct buf *out, uint64_t n)
{
    buf_append(out, slice_make(&n, sizeof(n)));
}

static bool take_u64(slice *in, uint64_t *n)
{
    if (in->len < sizeof(*n))
        return false;
    memcpy(n, in->ptr, sizeof(*n));
    *in = slice_from(*in, sizeof(*n));
    return true;
}

void limiting_locks_save(const struct limiting *l, struct buf *out)
{
    put_u64(out, l->locks.count);
    void *value;
    struct buf fields = BUF_INIT;
    for (size_t at = 0; map_next(&l->locks, &at, NULL, &value);) {
        const struct limiting_lock *lock = value;
        buf_clear(&fields);
        put_fields(lock, &fields);
        put_u64(out, lock->whom.account);
        put_u64(out, lock->whom.customer);
        put_u64(out, fields.len);
        buf_append(out, buf_slice(&fields));
        if (fields.error)
            out->error = fields.error;
    }
    buf_fini(&fields);
}

int limiting_locks_load(struct limiting *l, slice *in)
{
    uint64_t count;
    if (!take_u64(in, &count))
        return -EBADMSG;
    while (count-- > 0) {
        struct record_header h = {0};
        struct limiting_lock lock;
        uint64_t len;
        if (!take_u64(in, &h.account) || !take_u64(in, &h.customer) || !take_u64(in, &len) ||
            len > in->len || take_fields(&h, slice_to(*in, len), &lock) < 0)
            return -EBADMSG;
        *in = slice_from(*in, len);
        put_lock(l, &lock);
    }
    return 0;
}
