/* Locks in the ledger: by rule and by operators, how they end, and their evidence. Records go
 * straight to the projection: that each comes once, and in which order, is the projector's. */
#include "control/ledger_notices.h"
#include "control/ledger_read.h"
#include "control/projection.h"
#include "model/directory.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const stamp noon = 20000 * SPAN_DAY + 12 * SPAN_HOUR;

enum { CUSTOMER = 3, ACCOUNT = 7, OTHER = 8, RULE_LOCK_ID = 5000 };

struct fixture {
    struct scratch scratch;
    struct ledger *ledger;
    struct ledger_reader *reader;
    struct id_source ids;
    struct arena arena;
    stamp now;
    uint64_t version;
    char path[256];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(0, scratch_init(&f->scratch));
    scratch_path(&f->scratch, "ledger.db", f->path);
    assert_int_equal(0, ledger_open(&f->ledger, f->path));
    id_source_init(&f->ids, 0, ID_SMTPD);
    f->now = noon;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ledger_close(&f->ledger);
    arena_fini(&f->arena);
    scratch_fini(&f->scratch);
    free(f);
    return 0;
}

static void project(struct fixture *f, enum record_type type, uint64_t account,
                    struct buf *fields)
{
    struct arena a = ARENA_INIT;
    struct journal_record r = {
        .header = {.type = type,
                   .at = f->now,
                   .customer = CUSTOMER,
                   .account = account,
                   .credential = 40 + account},
        .fields = buf_slice(fields),
    };
    assert_int_equal(0, ledger_begin(f->ledger));
    assert_int_equal(0, projection_put(f->ledger, &r, &a));
    assert_int_equal(0, ledger_settle_locks(f->ledger, f->now + 2 * SPAN_SECOND));
    assert_int_equal(0, ledger_commit(f->ledger));
    buf_fini(fields);
    arena_fini(&a);
}

static void put_customer(struct fixture *f, struct directory_customer c)
{
    struct buf b = BUF_INIT;
    c.id = CUSTOMER;
    c.name = SLICE("Blue Web AB");
    directory_put_customer(&b, ++f->version, &c);
    record_put(&b, TAG_BY, SLICE("uid=0"));
    project(f, RECORD_DIRECTORY, 0, &b);
}

static void put_account(struct fixture *f, struct directory_account d)
{
    struct buf b = BUF_INIT;
    d.id = d.id ? d.id : ACCOUNT;
    d.customer = CUSTOMER;
    d.login = d.id == ACCOUNT ? SLICE("anna@x.test") : SLICE("bo@x.test");
    f->version++;
    if (d.unlocked == UINT64_MAX) /* now */
        d.unlocked = f->version;
    directory_put_account(&b, f->version, &d);
    record_put(&b, TAG_BY, SLICE("token=3"));
    project(f, RECORD_DIRECTORY, d.id, &b);
}

static void put_rule_lock(struct fixture *f, uint64_t id, stamp until, bool has_ended)
{
    struct buf b = BUF_INIT;
    record_put_u64(&b, TAG_ID, id);
    record_put_u64(&b, TAG_VERSION, f->version);
    record_put_u64(&b, TAG_UNTIL, (uint64_t)until);
    record_put(&b, TAG_RULE, SLICE("account messages 500/30m lock"));
    record_put_u64(&b, TAG_USED, 501);
    record_put(&b, TAG_REASON, SLICE("Message rate exceeded, 501/30m (max 500)"));
    if (has_ended)
        record_put_u64(&b, TAG_REMOVED, 1);
    project(f, RECORD_LOCK, ACCOUNT, &b);
}

static uint64_t put_message(struct fixture *f, uint64_t account, const char *client,
                            const char *subject, const char *to)
{
    struct buf b = BUF_INIT;
    uint64_t id = id_next(&f->ids, f->now);
    record_put_u64(&b, TAG_ID, id);
    record_put(&b, TAG_REVERSE_PATH, SLICE("anna@x.test"));
    record_put(&b, TAG_RECIPIENT, slice_of(to));
    record_put(&b, TAG_RECIPIENT, SLICE("bo@Y.test"));
    record_put(&b, TAG_LOGIN, account == ACCOUNT ? SLICE("anna@x.test") : SLICE("bo@x.test"));
    record_put(&b, TAG_CLIENT, slice_of(client));
    record_put(&b, TAG_HELO, SLICE("pc"));
    record_put(&b, TAG_SUBJECT, slice_of(subject));
    project(f, RECORD_MESSAGE, account, &b);
    return id;
}

static void put_outcome(struct fixture *f, uint64_t id, uint32_t index, enum outcome_kind kind)
{
    struct buf b = BUF_INIT;
    record_put_u64(&b, TAG_ID, id);
    record_put_u64(&b, TAG_RECIPIENT_INDEX, index);
    record_put_u64(&b, TAG_OUTCOME, kind);
    record_put_u64(&b, TAG_ATTEMPT, 1);
    project(f, RECORD_OUTCOME, ACCOUNT, &b);
}

static int list(struct fixture *f, bool is_open, struct ledger_lock **out)
{
    struct ledger_lock_query q = {.is_open = is_open, .limit = 50};
    assert_int_equal(0, ledger_reader_open(&f->reader, f->path));
    int n = ledger_lock_list(f->reader, &q, &f->arena, out);
    ledger_reader_close(&f->reader);
    return n;
}

static struct ledger_lock get(struct fixture *f, uint64_t id)
{
    struct ledger_lock k;
    assert_int_equal(0, ledger_reader_open(&f->reader, f->path));
    assert_int_equal(0, ledger_lock_get(f->reader, id, &f->arena, &k));
    ledger_reader_close(&f->reader);
    return k;
}

static int notices_of(struct fixture *f, uint64_t event, struct ledger_notice **out)
{
    assert_int_equal(0, ledger_reader_open(&f->reader, f->path));
    int n = ledger_notice_list(f->reader, event, &f->arena, out);
    ledger_reader_close(&f->reader);
    return n;
}

static void assert_text(const char *wanted, slice got)
{
    if (!slice_eq(slice_of(wanted), got))
        fail_msg("\"%.*s\", not \"%s\"", SLICE_ARG(got), wanted);
}

static void a_rule_locks_and_an_unlock_lifts(void **state)
{
    struct fixture *f = *state;
    put_account(f, (struct directory_account){0});
    put_rule_lock(f, RULE_LOCK_ID, STAMP_NEVER, false);
    put_rule_lock(f, RULE_LOCK_ID, STAMP_NEVER, false); /* again */
    struct ledger_lock k = get(f, RULE_LOCK_ID);
    assert_int_equal(LOCK_BY_RULE, k.kind);
    assert_text("anna@x.test", k.name);
    assert_text("account messages 500/30m lock", k.rule);
    assert_int_equal(501, k.used);
    assert_true(k.until == STAMP_NEVER && k.ended == 0 && k.gathered == noon + 2 * SPAN_SECOND);

    f->now += SPAN_HOUR;
    put_account(f, (struct directory_account){.unlocked = UINT64_MAX});
    assert_int_equal(0, get(f, RULE_LOCK_ID).ended); /* smtpd has not followed yet */
    f->now += SPAN_SECOND;
    put_rule_lock(f, RULE_LOCK_ID, STAMP_NEVER, true);
    k = get(f, RULE_LOCK_ID);
    assert_true(k.ended == f->now);
    assert_int_equal(LOCK_LIFTED, k.end_kind);
    assert_text("token=3", k.ended_by);
}

static void an_earlier_unlock_is_not_the_end_of_a_timed_lock(void **state)
{
    struct fixture *f = *state;
    put_account(f, (struct directory_account){.unlocked = UINT64_MAX});
    put_rule_lock(f, RULE_LOCK_ID, f->now + SPAN_DAY, false);
    f->now += SPAN_DAY;
    put_rule_lock(f, RULE_LOCK_ID, f->now, true);
    struct ledger_lock k = get(f, RULE_LOCK_ID);
    assert_int_equal(LOCK_ENDED_IN_TIME, k.end_kind);
    assert_text("", k.ended_by);
}

static void an_operator_locks_and_unlocks(void **state)
{
    struct fixture *f = *state;
    struct ledger_lock *locks;
    struct directory_account d = {
        .state = ACCOUNT_LOCKED, .until = STAMP_NEVER, .reason = SLICE("hijacked")};
    put_account(f, (struct directory_account){0});
    put_account(f, d);
    d.reason = SLICE("hijacked, see mail of Monday");
    f->now += SPAN_MINUTE;
    put_account(f, d); /* the same lock */
    assert_int_equal(1, list(f, true, &locks));
    assert_int_equal(LOCK_BY_OPERATOR, locks[0].kind);
    assert_true(locks[0].since == noon && locks[0].until == STAMP_NEVER);
    assert_text("hijacked, see mail of Monday", locks[0].reason);
    assert_text("token=3", locks[0].made_by);
    f->now += SPAN_MINUTE;
    put_account(f, (struct directory_account){.unlocked = UINT64_MAX});
    assert_int_equal(0, list(f, true, &locks));
    assert_int_equal(1, list(f, false, &locks));
    assert_true(locks[0].ended == f->now && locks[0].end_kind == LOCK_LIFTED);
}

static void an_operators_timed_lock_ends_by_itself(void **state)
{
    struct fixture *f = *state;
    struct ledger_lock *locks;
    struct directory_account d = {.state = ACCOUNT_LOCKED, .until = f->now + SPAN_HOUR};
    put_account(f, d);
    f->now += SPAN_HOUR;
    assert_int_equal(0, ledger_look_at_locks(f->ledger, f->now - 1));
    assert_int_equal(1, list(f, true, &locks));
    assert_int_equal(0, ledger_look_at_locks(f->ledger, f->now));
    assert_int_equal(0, list(f, true, &locks));
    put_account(f, d); /* told again: it is over */
    assert_int_equal(1, list(f, false, &locks));
    assert_true(locks[0].ended == f->now && locks[0].end_kind == LOCK_ENDED_IN_TIME);
    d.until = f->now + 2 * SPAN_HOUR;
    put_account(f, d); /* another one */
    assert_int_equal(2, list(f, false, &locks));
}

static void a_customer_is_locked_apart_from_its_accounts(void **state)
{
    struct fixture *f = *state;
    struct ledger_lock *locks;
    put_customer(f, (struct directory_customer){0});
    put_account(f, (struct directory_account){.state = ACCOUNT_LOCKED, .until = STAMP_NEVER});
    put_customer(f, (struct directory_customer){.state = ACCOUNT_LOCKED, .until = STAMP_NEVER});
    assert_int_equal(2, list(f, true, &locks));
    assert_text("Blue Web AB", locks[0].name);
    assert_int_equal(0, locks[0].account);
    assert_text("uid=0", locks[0].made_by);
    put_account(f, (struct directory_account){.unlocked = UINT64_MAX});
    assert_int_equal(1, list(f, true, &locks));
    assert_int_equal(0, locks[0].account);
    put_customer(f, (struct directory_customer){0});
    assert_int_equal(0, list(f, true, &locks));
}

static void who_is_gone_is_not_locked(void **state)
{
    struct fixture *f = *state;
    struct ledger_lock *locks;
    struct buf b = BUF_INIT;
    put_account(f, (struct directory_account){0});
    put_rule_lock(f, RULE_LOCK_ID, STAMP_NEVER, false);
    directory_put_removal(&b, ++f->version, ENTITY_ACCOUNT, ACCOUNT);
    project(f, RECORD_DIRECTORY, ACCOUNT, &b);
    assert_int_equal(0, list(f, true, &locks));
    assert_int_equal(LOCK_OWNER_GONE, get(f, RULE_LOCK_ID).end_kind);
    assert_text("anna@x.test", get(f, RULE_LOCK_ID).name);
}

static const struct ledger_evidence *find(const struct ledger_lock *k,
                                          enum ledger_evidence_kind kind, const char *value)
{
    for (size_t i = 0; i < k->evidence_count; i++)
        if (k->evidence[i].kind == kind && slice_eq(k->evidence[i].value, slice_of(value)))
            return &k->evidence[i];
    return NULL;
}

static size_t count(const struct ledger_lock *k, enum ledger_evidence_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < k->evidence_count; i++)
        n += k->evidence[i].kind == kind;
    return n;
}

static void evidence_is_what_was_sent_before(void **state)
{
    struct fixture *f = *state;
    struct buf b = BUF_INIT;
    put_account(f, (struct directory_account){0});
    put_account(f, (struct directory_account){.id = OTHER});
    directory_put_credential(&b, ++f->version,
                             &(struct directory_credential){.id = 40 + ACCOUNT,
                                                            .account = ACCOUNT,
                                                            .kind = CREDENTIAL_UID,
                                                            .label = SLICE("phone")});
    project(f, RECORD_DIRECTORY, ACCOUNT, &b);
    put_message(f, ACCOUNT, "192.0.2.99", "Long ago", "old@y.test");
    f->now += SPAN_DAY;
    put_message(f, OTHER, "192.0.2.98", "Of another", "other@y.test");
    stamp began = f->now;
    uint64_t id = 0;
    for (int i = 0; i < 30; i++) {
        char to[32];
        snprintf(to, sizeof(to), "r%d@z.test", i);
        id = put_message(f, ACCOUNT, i % 3 ? "192.0.2.1" : "192.0.2.2", "Win now", to);
        f->now += SPAN_SECOND;
    }
    put_outcome(f, id, 0, OUTCOME_FAILED);
    put_outcome(f, id, 1, OUTCOME_DELIVERED);
    put_rule_lock(f, RULE_LOCK_ID, STAMP_NEVER, false);
    put_message(f, ACCOUNT, "192.0.2.97", "Too late", "late@y.test");

    struct ledger_lock k = get(f, RULE_LOCK_ID);
    assert_int_equal(30, k.messages);
    assert_int_equal(60, k.recipients);
    assert_int_equal(1, k.delivered);
    assert_int_equal(1, k.failed);
    assert_true(k.looked_from == f->now - SPAN_HOUR);
    assert_int_equal(2, count(&k, EVIDENCE_CLIENT));
    const struct ledger_evidence *e = find(&k, EVIDENCE_CLIENT, "192.0.2.1");
    assert_non_null(e);
    assert_int_equal(20, e->count);
    assert_true(e->first == began + SPAN_SECOND && e->last == began + 29 * SPAN_SECOND);
    e = find(&k, EVIDENCE_SUBJECT, "Win now");
    assert_true(e && e->count == 30);
    e = find(&k, EVIDENCE_CREDENTIAL, "47 (phone)");
    assert_true(e && e->count == 30);
    e = find(&k, EVIDENCE_DOMAIN, "y.test");
    assert_true(e && e->count == 30);
    assert_int_equal(LEDGER_EVIDENCE_ROWS, count(&k, EVIDENCE_RECIPIENT));
    e = find(&k, EVIDENCE_RECIPIENT, "bo@Y.test");
    assert_true(e && e->count == 30);
    assert_non_null(find(&k, EVIDENCE_RECIPIENT, "r29@z.test"));
    assert_null(find(&k, EVIDENCE_RECIPIENT, "r0@z.test"));
    assert_non_null(find(&k, EVIDENCE_HELO, "pc"));
    assert_non_null(find(&k, EVIDENCE_SENDER, "anna@x.test"));
    assert_int_equal(0, count(&k, EVIDENCE_ACCOUNT));
}

static void refused_attempts_are_evidence(void **state)
{
    struct fixture *f = *state;
    put_account(f, (struct directory_account){0});
    for (int i = 0; i < 5; i++) {
        struct buf b = BUF_INIT;
        record_put_u64(&b, TAG_COUNT, i < 4 ? 10 : 0); /* the last was aborted */
        if (i < 4)
            record_put(&b, TAG_RULE, SLICE("account recipients 50/1m defer"));
        project(f, RECORD_REFUSALS, ACCOUNT, &b);
        f->now += 25 * SPAN_SECOND;
    }
    put_rule_lock(f, RULE_LOCK_ID, STAMP_NEVER, false);
    struct ledger_lock k = get(f, RULE_LOCK_ID);
    const struct ledger_evidence *e =
        find(&k, EVIDENCE_REFUSAL, "account recipients 50/1m defer");
    assert_non_null(e);
    assert_int_equal(40, e->count);
    assert_true(e->first == noon && e->last == noon + 75 * SPAN_SECOND);
}

/* Outcomes and refusals that are on their way come first; nobody is told before. */
static void evidence_waits_a_moment(void **state)
{
    struct fixture *f = *state;
    struct ledger_notice *n;
    put_account(f, (struct directory_account){0});
    f->now += SPAN_HOUR;
    struct buf b = BUF_INIT;
    record_put_u64(&b, TAG_ID, RULE_LOCK_ID);
    record_put(&b, TAG_RULE, SLICE("account refusals 5/1d lock"));
    struct journal_record r = {
        .header = {.type = RECORD_LOCK, .at = f->now, .customer = CUSTOMER, .account = ACCOUNT},
        .fields = buf_slice(&b),
    };
    assert_int_equal(0, ledger_begin(f->ledger));
    assert_int_equal(0, projection_put(f->ledger, &r, &f->arena));
    assert_int_equal(0, ledger_settle_locks(f->ledger, f->now));
    assert_int_equal(0, ledger_commit(f->ledger));
    buf_fini(&b);
    assert_int_equal(0, get(f, RULE_LOCK_ID).gathered);
    assert_int_equal(0, notices_of(f, RULE_LOCK_ID, &n));
    assert_int_equal(0, ledger_look_at_locks(f->ledger, f->now + 2 * SPAN_SECOND));
    assert_true(get(f, RULE_LOCK_ID).gathered == f->now + 2 * SPAN_SECOND);
    assert_int_equal(3, notices_of(f, RULE_LOCK_ID, &n));
}

static void a_customers_evidence_is_of_all_its_accounts(void **state)
{
    struct fixture *f = *state;
    struct ledger_lock *locks;
    put_customer(f, (struct directory_customer){0});
    put_account(f, (struct directory_account){0});
    put_account(f, (struct directory_account){.id = OTHER});
    put_message(f, ACCOUNT, "192.0.2.1", "One", "a@y.test");
    put_message(f, OTHER, "192.0.2.2", "Two", "b@y.test");
    f->now += SPAN_SECOND;
    put_customer(f, (struct directory_customer){.state = ACCOUNT_LOCKED, .until = STAMP_NEVER});
    assert_int_equal(1, list(f, true, &locks));
    struct ledger_lock k = get(f, locks[0].id);
    assert_int_equal(2, k.messages);
    assert_non_null(find(&k, EVIDENCE_ACCOUNT, "anna@x.test"));
    assert_non_null(find(&k, EVIDENCE_ACCOUNT, "bo@x.test"));
    assert_non_null(find(&k, EVIDENCE_CLIENT, "192.0.2.2"));
}

static void evidence_goes_with_age_and_with_an_address(void **state)
{
    static const struct ledger_retention keep = {.evidence = 90 * SPAN_DAY};
    struct fixture *f = *state;
    struct ledger_lock *locks;
    struct ledger_erased erased;
    put_account(f, (struct directory_account){0});
    put_message(f, ACCOUNT, "192.0.2.1", "One", "a@y.test");
    f->now += SPAN_SECOND;
    put_rule_lock(f, RULE_LOCK_ID, STAMP_NEVER, false);
    assert_int_equal(0, ledger_erase(f->ledger, SLICE("A@y.test"), &erased));
    assert_int_equal(1, erased.evidence);
    struct ledger_lock k = get(f, RULE_LOCK_ID);
    assert_null(find(&k, EVIDENCE_RECIPIENT, "a@y.test"));
    assert_non_null(find(&k, EVIDENCE_RECIPIENT, "bo@Y.test"));
    stamp gathered = f->now + 2 * SPAN_SECOND;
    assert_int_equal(0, ledger_expire(f->ledger, &keep, gathered + 90 * SPAN_DAY));
    assert_true(ledger_expire(f->ledger, &keep, gathered + 90 * SPAN_DAY + 1) > 0);
    assert_int_equal(0, get(f, RULE_LOCK_ID).evidence_count);
    f->now += 100 * SPAN_DAY;
    put_rule_lock(f, RULE_LOCK_ID, STAMP_NEVER, true);
    assert_int_equal(0, ledger_expire(f->ledger, &keep, f->now + 90 * SPAN_DAY));
    assert_int_equal(1, ledger_expire(f->ledger, &keep, f->now + 90 * SPAN_DAY + 1));
    assert_int_equal(0, list(f, false, &locks));
}

/* ---- what people are told ---- */

static void a_lock_and_its_end_are_told_once(void **state)
{
    struct fixture *f = *state;
    struct ledger_notice *n;
    put_account(f, (struct directory_account){0});
    for (int i = 0; i < 3; i++) {
        put_rule_lock(f, RULE_LOCK_ID, STAMP_NEVER, false);
        assert_int_equal(3, notices_of(f, RULE_LOCK_ID, &n));
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(NOTICE_LOCKED, n[i].kind);
        assert_int_equal(NOTICE_TO_ACCOUNT + i, n[i].reader);
        assert_int_equal(NOTICE_WAITS, n[i].state);
        assert_text("anna@x.test", n[i].name);
        assert_int_equal(501, n[i].used);
    }
    for (int i = 0; i < 3; i++) {
        put_rule_lock(f, RULE_LOCK_ID, STAMP_NEVER, true);
        assert_int_equal(6, notices_of(f, RULE_LOCK_ID, &n));
    }
    assert_int_equal(NOTICE_UNLOCKED, n[3].kind);
}

static void a_customers_lock_is_told_to_two(void **state)
{
    struct fixture *f = *state;
    struct ledger_lock *locks;
    struct ledger_notice *n;
    put_customer(f, (struct directory_customer){.state = ACCOUNT_LOCKED, .until = STAMP_NEVER});
    assert_int_equal(1, list(f, true, &locks));
    assert_int_equal(2, notices_of(f, locks[0].id, &n));
    assert_int_equal(NOTICE_TO_CUSTOMER, n[0].reader);
    assert_int_equal(NOTICE_TO_OPERATOR, n[1].reader);
    assert_text("Blue Web AB", n[0].name);
}

static void a_limit_that_was_passed_is_told(void **state)
{
    static const struct {
        uint64_t id;
        const char *rule;
        enum notice_kind kind;
    } rows[] = {
        {9001, "account messages 2/1h notify", NOTICE_PASSED},
        {9002, "account bytes 90MB/month suspend", NOTICE_SUSPENDED},
    };
    struct fixture *f = *state;
    struct ledger_notice *n;
    put_account(f, (struct directory_account){0});
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b = BUF_INIT;
        record_put_u64(&b, TAG_ID, rows[i].id);
        record_put(&b, TAG_RULE, slice_of(rows[i].rule));
        record_put_u64(&b, TAG_USED, 3);
        record_put_u64(&b, TAG_MAXIMUM, 2);
        project(f, RECORD_NOTICE, ACCOUNT, &b);
        assert_int_equal(3, notices_of(f, rows[i].id, &n));
        assert_int_equal(rows[i].kind, n[0].kind);
        assert_int_equal(2, n[0].max);
        assert_text(rows[i].rule, n[2].rule);
    }
}

static struct ledger_notice next_notice(struct fixture *f)
{
    struct ledger_notice n;
    assert_int_equal(1, ledger_next_notice(f->ledger, f->now, &f->arena, &n));
    return n;
}

static void notices_are_sent_one_after_the_other(void **state)
{
    struct fixture *f = *state;
    uint64_t counts[NOTICE_STATES];
    put_account(f, (struct directory_account){0});
    put_rule_lock(f, RULE_LOCK_ID, STAMP_NEVER, false);

    struct ledger_notice n = next_notice(f);
    assert_int_equal(NOTICE_TO_ACCOUNT, n.reader);
    assert_true(n.tried == 0 && n.address.len == 0);
    assert_int_equal(1, ledger_notice_try(f->ledger, &n, SLICE("anna@y.test"), f->now));
    n.next = f->now + SPAN_MINUTE; /* smtpd did not answer: later */
    assert_int_equal(0, ledger_notice_settle(f->ledger, &n));

    n = next_notice(f);
    assert_int_equal(NOTICE_TO_CUSTOMER, n.reader);
    assert_int_equal(0, ledger_notice_try(f->ledger, &n, SLICE("Anna@Y.test"), f->now));
    n.state = NOTICE_KNOWN;
    assert_int_equal(0, ledger_notice_settle(f->ledger, &n));

    n = next_notice(f);
    assert_int_equal(NOTICE_TO_OPERATOR, n.reader);
    n.state = NOTICE_NOBODY;
    assert_int_equal(0, ledger_notice_settle(f->ledger, &n));
    assert_int_equal(0, ledger_next_notice(f->ledger, f->now, &f->arena, &n));

    f->now += SPAN_MINUTE;
    n = next_notice(f);
    assert_int_equal(NOTICE_TO_ACCOUNT, n.reader);
    assert_true(n.tried == f->now - SPAN_MINUTE && n.tries == 1);
    assert_text("anna@y.test", n.address);
    assert_int_equal(1, ledger_notice_try(f->ledger, &n, n.address, f->now));
    n.state = NOTICE_SENT;
    n.id = 77;
    assert_int_equal(0, ledger_notice_settle(f->ledger, &n));
    assert_int_equal(0, ledger_next_notice(f->ledger, f->now, &f->arena, &n));

    struct ledger_notice *all;
    assert_int_equal(3, notices_of(f, RULE_LOCK_ID, &all));
    assert_true(all[0].tried == f->now - SPAN_MINUTE && all[0].tries == 2 && all[0].id == 77);
    assert_int_equal(0, ledger_reader_open(&f->reader, f->path));
    assert_int_equal(0, ledger_notice_count(f->reader, counts));
    ledger_reader_close(&f->reader);
    assert_true(counts[NOTICE_SENT] == 1 && counts[NOTICE_KNOWN] == 1 &&
                counts[NOTICE_NOBODY] == 1 && counts[NOTICE_WAITS] == 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_rule_locks_and_an_unlock_lifts),
        CASE(an_earlier_unlock_is_not_the_end_of_a_timed_lock),
        CASE(an_operator_locks_and_unlocks),
        CASE(an_operators_timed_lock_ends_by_itself),
        CASE(a_customer_is_locked_apart_from_its_accounts),
        CASE(who_is_gone_is_not_locked),
        CASE(evidence_is_what_was_sent_before),
        CASE(a_customers_evidence_is_of_all_its_accounts),
        CASE(refused_attempts_are_evidence),
        CASE(evidence_waits_a_moment),
        CASE(evidence_goes_with_age_and_with_an_address),
        CASE(a_lock_and_its_end_are_told_once),
        CASE(a_customers_lock_is_told_to_two),
        CASE(a_limit_that_was_passed_is_told),
        CASE(notices_are_sent_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
