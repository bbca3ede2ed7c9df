/* /v1/locks */
#include "base/id.h"
#include "codec/words.h"
#include "control/api_request.h"
#include "control/ledger_notices.h"
#include "control/ledger_read.h"
#include "control/lock_story.h"
#include "control/notifier.h"
#include "control/story_parts.h"

#include <errno.h>

static const char *const kinds[] = {[LOCK_BY_RULE] = "rule", [LOCK_BY_OPERATOR] = "operator"};
static const char *const ends[] = {
    [LOCK_ENDED_IN_TIME] = "time",
    [LOCK_LIFTED] = "unlock",
    [LOCK_OWNER_GONE] = "removal",
};

static json_t *end_json(const struct ledger_lock *k, stamp now)
{
    enum ledger_lock_end why = k->ended ? k->end_kind : LOCK_ENDED_IN_TIME;
    if (lock_story_holds(k, now) || why == LOCK_HOLDS || (size_t)why >= COUNT_OF(ends))
        return json_null();
    return json_pack("{s:o, s:s, s:o}", "at", api_stamp(k->ended ? k->ended : k->until), "why",
                     ends[why], "by", api_foreign(k->ended_by));
}

static json_t *lock_json(const struct ledger_lock *k, stamp now)
{
    return json_pack("{s:o, s:s, s:s, s:o, s:I, s:I, s:o, s:o, s:b, s:o, s:I, s:o, s:o, s:o}",
                     "id", api_id(k->id), "kind",
                     (size_t)k->kind < COUNT_OF(kinds) && kinds[k->kind] ? kinds[k->kind] : "",
                     "scope", k->account ? "account" : "customer", "name", api_foreign(k->name),
                     "account", (json_int_t)k->account, "customer", (json_int_t)k->customer,
                     "since", api_stamp(k->since), "until", api_stamp(k->until), "holds",
                     lock_story_holds(k, now), "rule", api_foreign(k->rule), "used",
                     (json_int_t)k->used, "reason", api_foreign(k->reason), "by",
                     api_foreign(k->made_by), "ended", end_json(k, now));
}

static json_t *kind_json(struct api_request *r, const struct ledger_lock *k,
                         enum ledger_evidence_kind kind)
{
    json_t *list = json_array();
    for (size_t i = 0; i < k->evidence_count; i++) {
        const struct ledger_evidence *e = &k->evidence[i];
        if (e->kind != kind)
            continue;
        slice value = kind == EVIDENCE_SUBJECT ? words_decode(&r->arena, e->value) : e->value;
        json_array_append_new(list,
                              json_pack("{s:o, s:I, s:o, s:o}", "value", api_foreign(value),
                                        "count", (json_int_t)e->count, "first",
                                        api_stamp(e->first), "last", api_stamp(e->last)));
    }
    return list;
}

static json_t *evidence_json(struct api_request *r, const struct ledger_lock *k)
{
    static const struct {
        const char *key;
        enum ledger_evidence_kind kind;
    } lists[] = {
        {"clients", EVIDENCE_CLIENT},   {"helo", EVIDENCE_HELO},
        {"senders", EVIDENCE_SENDER},   {"subjects", EVIDENCE_SUBJECT},
        {"domains", EVIDENCE_DOMAIN},   {"credentials", EVIDENCE_CREDENTIAL},
        {"scripts", EVIDENCE_SCRIPT},   {"sample_recipients", EVIDENCE_RECIPIENT},
        {"accounts", EVIDENCE_ACCOUNT}, {"refused_by", EVIDENCE_REFUSAL},
    };
    unsigned percent;
    if (k->gathered == 0)
        return json_null();
    json_t *evidence =
        json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:o}", "gathered", api_stamp(k->gathered),
                  "since", api_stamp(k->looked_from), "messages", (json_int_t)k->messages,
                  "recipients", (json_int_t)k->recipients, "delivered",
                  (json_int_t)k->delivered, "failed", (json_int_t)k->failed, "failed_percent",
                  lock_story_share(k, &percent) ? json_integer(percent) : json_null());
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        json_object_set_new(evidence, lists[i].key, kind_json(r, k, lists[i].kind));
    return evidence;
}

/* ?account=, ?customer=, ?state=, ?after= */
static bool take_query(struct api_request *r, struct ledger_lock_query *q)
{
    slice account = api_query(r, "account");
    slice customer = api_query(r, "customer");
    slice state = api_query(r, "state");
    slice after = api_query(r, "after");
    if ((state.len > 0 && !slice_eq(state, SLICE("open")) && !slice_eq(state, SLICE("all"))) ||
        (after.len > 0 && !id_parse(after, &q->before))) {
        api_error(r, 400, "bad-value",
                  "\"state\" is open or all, \"after\" the \"next\" of the page before.",
                  "A part of the query is not right here.");
        return false;
    }
    q->is_open = !slice_eq(state, SLICE("all"));
    return api_take_limit(r, API_PAGE, API_PAGE_MAX, &q->limit) &&
           (account.len == 0 || api_find_account(r, account, &q->account)) &&
           (customer.len == 0 || api_find_customer(r, customer, &q->customer));
}

void api_locks_list(struct api_request *r)
{
    struct ledger_lock_query q = {0};
    struct ledger_reader *reader;
    struct ledger_lock *locks;
    if (!take_query(r, &q) || !api_open_ledger(r, &reader))
        return;
    int count = ledger_lock_list(reader, &q, &r->arena, &locks);
    ledger_reader_close(&reader);
    if (count < 0) {
        api_fail(r, count);
        return;
    }
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        if (!q.is_open || lock_story_holds(&locks[i], r->now))
            json_array_append_new(list, lock_json(&locks[i], r->now));
    bool is_full = count > 0 && (unsigned)count == q.limit;
    api_answer(r, 200,
               json_pack("{s:o, s:o}", "locks", list, "next",
                         is_full ? api_id(locks[count - 1].id) : json_null()));
}

static json_t *notices_json(const struct ledger_notice *notices, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        const struct ledger_notice *n = &notices[i];
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "of",
                      n->kind == NOTICE_UNLOCKED ? "end" : "lock", "to",
                      notifier_reader(n->reader), "state", notifier_state(n->state), "address",
                      api_foreign(n->address), "tried", api_stamp(n->tried), "id",
                      n->id ? api_id(n->id) : json_null(), "answer", api_foreign(n->answer)));
    }
    return list;
}

static void put_notices(struct buf *out, const struct ledger_notice *notices, int count)
{
    if (count > 0)
        buf_append(out, SLICE("\nTold by mail\n"));
    for (int i = 0; i < count; i++) {
        const struct ledger_notice *n = &notices[i];
        buf_printf(out, "  %s, to the contact of the %s: %s",
                   n->kind == NOTICE_UNLOCKED ? "The end" : "The lock",
                   notifier_reader(n->reader), notifier_state(n->state));
        if (n->address.len > 0)
            story_text(out, " ");
        story_put(out, n->address);
        if (n->answer.len > 0)
            story_text(out, ": ");
        story_put(out, n->answer);
        buf_byte(out, '\n');
    }
}

void api_lock_show(struct api_request *r)
{
    struct ledger_notice *notices = NULL;
    int told = 0;
    struct ledger_reader *reader;
    struct ledger_lock lock;
    struct buf text = BUF_INIT;
    uint64_t id = 0;
    if (!api_open_ledger(r, &reader))
        return;
    int rc =
        id_parse(r->args[0], &id) ? ledger_lock_get(reader, id, &r->arena, &lock) : -ENOENT;
    if (rc == 0)
        told = ledger_notice_list(reader, id, &r->arena, &notices);
    ledger_reader_close(&reader);
    if (rc == -ENOENT) {
        api_error(r, 404, "no-such-lock", "Locks are listed by: utpost lock list --all",
                  "There is no lock \"%.*s\".", SLICE_ARG(slice_to(r->args[0], 255)));
        return;
    }
    if (rc < 0 || told < 0) {
        api_fail(r, rc < 0 ? rc : told);
        return;
    }
    lock_story_write(&text, &lock, r->now);
    put_notices(&text, notices, told);
    json_t *answer = lock_json(&lock, r->now);
    json_object_set_new(answer, "evidence", evidence_json(r, &lock));
    json_object_set_new(answer, "notices", notices_json(notices, told));
    json_object_set_new(answer, "text", api_text(buf_slice(&text)));
    api_answer(r, 200, answer);
    buf_fini(&text);
}

json_t *api_notices_status(struct api_request *r)
{
    uint64_t counts[NOTICE_STATES] = {0};
    struct ledger_reader *reader;
    const struct api_config *c = &r->api->config;
    pthread_mutex_lock(&r->api->mutex);
    json_t *to = json_deep_copy(
        json_object_get(json_object_get(r->api->settings.config, "notices"), "operator"));
    pthread_mutex_unlock(&r->api->mutex);
    if (c->ledger && ledger_reader_open(&reader, ledger_path(c->ledger)) == 0) {
        if (ledger_notice_count(reader, counts) < 0)
            memset(counts, 0, sizeof(counts));
        ledger_reader_close(&reader);
    }
    uint64_t failed =
        counts[NOTICE_REFUSED] + counts[NOTICE_GIVEN_UP] + counts[NOTICE_TOO_LATE];
    bool is_told = json_string_length(to) > 0;
    json_t *status =
        json_pack("{s:I, s:I, s:I, s:I}", "waiting", (json_int_t)counts[NOTICE_WAITS], "sent",
                  (json_int_t)counts[NOTICE_SENT], "without_contact",
                  (json_int_t)counts[NOTICE_NOBODY], "failed", (json_int_t)failed);
    json_object_set_new(status, "operator", is_told ? json_incref(to) : json_null());
    json_decref(to);
    return status;
}
