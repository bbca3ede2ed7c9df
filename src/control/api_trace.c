/* /v1/trace, /v1/why: what became of a message, and why it waits. */
#include "base/id.h"
#include "codec/path.h"
#include "control/api_request.h"
#include "control/ledger_read.h"
#include "control/story.h"

#include <stdio.h>
#include <time.h>

enum { TRACE_USUAL = 5, TRACE_MOST = 50 };
#define ASK_TIMEOUT (2 * SPAN_SECOND)

/* ---- as JSON ---- */

static const char *state_name(uint32_t state)
{
    return state == LEDGER_QUEUED ? "queued" : outcome_name((enum outcome_kind)state);
}

static json_t *attempt_json(const struct ledger_attempt *a)
{
    return json_pack(
        "{s:I, s:o, s:s, s:s, s:i, s:o, s:o, s:o, s:o}", "number", (json_int_t)a->number, "at",
        api_stamp(a->at), "outcome", outcome_name(a->outcome), "stage", stage_name(a->stage),
        "code", (int)a->code, "enhanced", api_foreign(a->enhanced), "reply",
        api_foreign(a->reply), "remote", api_foreign(a->remote), "tls", api_foreign(a->tls));
}

static json_t *report_json(const struct ledger_report *p)
{
    static const char *const names[] = {
        [REPORT_NONE] = "none",
        [REPORT_FAILED] = "failed",
        [REPORT_DELAYED] = "delayed",
        [REPORT_DELIVERED] = "delivered",
        [REPORT_RELAYED] = "relayed",
        [REPORT_UNWANTED] = "unwanted",
        [REPORT_IMPOSSIBLE] = "no-sender",
    };
    const char *name = (size_t)p->report < COUNT_OF(names) ? names[p->report] : names[0];
    return json_pack("{s:s, s:o, s:o}", "report", name, "at", api_stamp(p->at), "notification",
                     p->notification ? api_id(p->notification) : json_null());
}

static json_t *recipient_json(const struct ledger_recipient *to)
{
    json_t *tries = json_array();
    for (size_t i = 0; i < to->try_count; i++)
        json_array_append_new(tries, attempt_json(&to->tries[i]));
    json_t *reports = json_array();
    for (size_t i = 0; i < to->report_count; i++)
        json_array_append_new(reports, report_json(&to->reports[i]));
    return json_pack("{s:o, s:s, s:I, s:o, s:o, s:o, s:o}", "address", api_foreign(to->address),
                     "state", state_name(to->state), "attempts", (json_int_t)to->attempts,
                     "next", api_stamp(to->next), "waits_because", api_foreign(to->trouble),
                     "tries", tries, "reports", reports);
}

json_t *api_message(const struct ledger_message *m)
{
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I,"
                     " s:I}",
                     "id", api_id(m->id), "accepted", api_stamp(m->at), "customer",
                     (json_int_t)m->customer, "account", (json_int_t)m->account, "credential",
                     (json_int_t)m->credential, "login", api_foreign(m->login), "client",
                     api_foreign(m->client), "helo", api_foreign(m->helo), "protocol",
                     api_foreign(m->protocol), "tls", api_foreign(m->tls), "listener",
                     api_foreign(m->listener), "from", api_foreign(m->reverse_path),
                     "message_id", api_foreign(m->message_id), "size", (json_int_t)m->octets,
                     "recipient_count", (json_int_t)m->recipient_count);
}

/* ---- what delivery knows ---- */

static bool is_waiting(const struct ledger_message *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->recipients[i].state == LEDGER_QUEUED)
            return true;
    return false;
}

static bool is_text(const json_t *object, const char *key, const char *text)
{
    const char *have = json_string_value(json_object_get(object, key));
    return have && strcmp(have, text) == 0;
}

/* A moment as stamp_format writes it; 0: none. */
static stamp stamp_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    struct tm tm = {0};
    unsigned ms = 0;
    if (!text || sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3uZ", &tm.tm_year, &tm.tm_mon,
                        &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms) < 6)
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (stamp)timegm(&tm) * SPAN_SECOND + (stamp)ms * SPAN_MS;
}

/* What delivery says of a recipient, and of what stops its message. */
static enum ledger_live live_of(const json_t *live, const json_t *stopped,
                                struct ledger_recipient *to)
{
    if (is_text(live, "state", "sending"))
        return LIVE_SENDING;
    if (is_text(live, "state", "held"))
        return is_text(live, "held_by", "domain") ? LIVE_HELD_DOMAIN
               : is_text(live, "held_by", "lock") ? LIVE_HELD_LOCK
                                                  : LIVE_HELD;
    if (is_text(live, "state", "frozen")) {
        to->of_customer = is_text(stopped, "of", "customer");
        to->until = stamp_of(stopped, "until");
        return is_text(stopped, "by", "lock")       ? LIVE_STOPPED_LOCK
               : is_text(stopped, "by", "operator") ? LIVE_STOPPED_OPERATOR
                                                    : LIVE_STOPPED_HOLD;
    }
    stamp not_before = stamp_of(live, "not_before");
    if (not_before == 0)
        return LIVE_UNKNOWN;
    to->next = not_before;
    return LIVE_PACED;
}

static void take_live(struct api_request *r, struct ledger_recipient *to, const json_t *live,
                      const json_t *stopped)
{
    to->live = live_of(live, stopped, to);
    const json_t *trouble = json_object_get(live, "trouble");
    const char *stage = json_string_value(json_object_get(trouble, "stage"));
    const char *text = json_string_value(json_object_get(trouble, "text"));
    const char *remote = json_string_value(json_object_get(trouble, "remote"));
    if (!text || to->attempts > 0)
        return;
    to->trouble = arena_printf(&r->arena, "%s (%s%s%s)", text, stage ? stage : "",
                               remote && remote[0] ? ", " : "", remote ? remote : "");
}

/* What delivery knows beside its journal: why a recipient waits that was not tried yet. It is
 * asked on the way and may be away: then the ledger alone speaks. */
static void ask_delivery(struct api_request *r, struct ledger_message *m)
{
    int rc;
    json_t *answer = api_ask(
        r, "delivery", json_pack("{s:s, s:o}", "question", "queue-show", "id", api_id(m->id)),
        ASK_TIMEOUT, &rc);
    const json_t *message = json_object_get(answer, "message");
    const json_t *list = json_object_get(message, "recipients");
    const json_t *stopped = json_object_get(message, "stopped");
    struct ledger_recipient *own = arena_array(&r->arena, struct ledger_recipient, m->count);
    size_t at;
    json_t *live;
    memcpy(own, m->recipients, m->count * sizeof(*own));
    m->recipients = own;
    for (size_t i = 0; i < m->count; i++) {
        json_array_foreach(list, at, live)
        {
            const char *address = json_string_value(json_object_get(live, "address"));
            if (address && own[i].state == LEDGER_QUEUED &&
                slice_eq(slice_of(address), own[i].address))
                take_live(r, &own[i], live, stopped);
        }
    }
    json_decref(answer);
}

/* ---- trace ---- */

static void answer_trace(struct api_request *r, struct ledger_message *found, int count)
{
    struct buf text = BUF_INIT;
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        struct ledger_message *m = &found[i];
        json_t *recipients = json_array();
        if (is_waiting(m))
            ask_delivery(r, m);
        for (size_t k = 0; k < m->count; k++)
            json_array_append_new(recipients, recipient_json(&m->recipients[k]));
        json_t *message = api_message(m);
        json_object_set_new(message, "recipients", recipients);
        json_array_append_new(list, message);
        if (i > 0)
            buf_byte(&text, '\n');
        story_write(&text, m, r->now);
    }
    api_answer(r, 200,
               json_pack("{s:o, s:o}", "messages", list, "text", api_text(buf_slice(&text))));
    buf_fini(&text);
}

/* The messages that q names; false, with an answer, when there are none. */
static bool find_messages(struct api_request *r, slice q, struct ledger_message **found,
                          int *count)
{
    struct ledger_reader *reader;
    uint64_t account;
    unsigned limit;
    if (!api_query_account(r, &account) ||
        !api_take_limit(r, TRACE_USUAL, TRACE_MOST, &limit) || !api_open_ledger(r, &reader))
        return false;
    *count = ledger_find(reader, q, account, limit, &r->arena, found);
    ledger_reader_close(&reader);
    if (*count < 0)
        api_fail(r, *count);
    else if (*count == 0)
        api_error(r, 404, "not-found",
                  "Give the id of the 250 answer, the whole Message-ID, or an address as it was"
                  " given. Refused messages, and those older than [retention] message-log, are"
                  " not in the log.",
                  "No message is known by \"%.*s\".", SLICE_ARG(slice_to(q, 255)));
    return *count > 0;
}

static bool take_q(struct api_request *r, const char *hint, slice *q)
{
    *q = slice_trim(api_query(r, "q"));
    if (q->len > 0 && q->len <= 1000)
        return true;
    api_error(r, 400, "bad-value", hint, "\"q\" says what to look for.");
    return false;
}

void api_trace(struct api_request *r)
{
    struct ledger_message *found;
    int count;
    slice q;
    if (take_q(r, "An id, a Message-ID or an address.", &q) &&
        find_messages(r, q, &found, &count))
        answer_trace(r, found, count);
}

/* ---- why ---- */

/* Of an address only its own recipients, unless it is the sender's. */
static void narrow(struct api_request *r, struct ledger_message *m, slice q)
{
    struct ledger_recipient *own = arena_array(&r->arena, struct ledger_recipient, m->count);
    size_t n = 0;
    for (size_t i = 0; i < m->count; i++)
        if (slice_ieq(m->recipients[i].address, q))
            own[n++] = m->recipients[i];
    if (n == 0)
        return;
    m->recipients = own;
    m->count = n;
}

static void why_messages(struct api_request *r, slice q)
{
    struct ledger_message *found;
    struct buf text = BUF_INIT;
    int count, told = 0, waiting = 0;
    if (!find_messages(r, q, &found, &count))
        return;
    for (int i = 0; i < count; i++)
        waiting += is_waiting(&found[i]);
    for (int i = 0; i < count; i++) {
        struct ledger_message *m = &found[i];
        if (waiting > 0 && !is_waiting(m))
            continue;
        if (is_waiting(m))
            ask_delivery(r, m);
        narrow(r, m, q);
        if (told++ > 0)
            buf_byte(&text, '\n');
        story_why(&text, m, r->now);
    }
    api_answer(r, 200,
               json_pack("{s:i, s:o}", "messages", told, "text", api_text(buf_slice(&text))));
    buf_fini(&text);
}

static slice text_of(const json_t *object, const char *key)
{
    return slice_of(json_string_value(json_object_get(object, key)));
}

static uint64_t count_of(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static void take_site(struct story_domain *d, const json_t *site)
{
    const json_t *trouble = json_object_get(site, "trouble");
    slice stage = text_of(trouble, "stage");
    d->connections = count_of(site, "connections");
    d->pause = (span)count_of(site, "paused_ms") * SPAN_MS;
    d->failure.at = stamp_of(trouble, "at");
    d->failure.reply = text_of(trouble, "text");
    d->failure.remote = text_of(trouble, "remote");
    for (int i = 0; i < STAGE_COUNT; i++)
        if (slice_eq(stage, slice_of(stage_name((enum relay_stage)i))))
            d->failure.stage = (enum relay_stage)i;
}

static void why_domain(struct api_request *r, slice q)
{
    slice domain = path_domain(&r->arena, q);
    json_t *says = api_ask_delivery(
        r, json_pack("{s:s, s:o}", "question", "queue-domain", "domain", api_text(domain)), 400,
        "bad-question", NULL);
    if (!says)
        return;
    const json_t *site = json_object_get(says, "site");
    bool is_relayed = is_text(says, "transport", "smarthost");
    struct story_domain d = {
        .domain = domain,
        .transport = text_of(says, "transport"),
        .relay = is_relayed ? text_of(site, "host") : (slice){0},
        .is_held = json_is_true(json_object_get(says, "held")),
        .is_domain_held = json_is_true(json_object_get(says, "domain_held")),
        .is_known = json_is_object(site),
        .waiting = count_of(says, is_relayed ? "queued" : "parcels"),
    };
    struct buf text = BUF_INIT;
    if (json_is_object(site))
        take_site(&d, site);
    story_why_domain(&text, &d, r->now);
    api_answer(r, 200,
               json_pack("{s:i, s:o}", "messages", 0, "text", api_text(buf_slice(&text))));
    buf_fini(&text);
    json_decref(says);
}

void api_why(struct api_request *r)
{
    uint64_t id;
    slice q;
    if (!take_q(r, "A queue id, a Message-ID, an address or a domain.", &q))
        return;
    if (slice_find(q, '@') < 0 && slice_find(q, '.') >= 0 && !id_parse(q, &id))
        why_domain(r, q);
    else
        why_messages(r, q);
}
