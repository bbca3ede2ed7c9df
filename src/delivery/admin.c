#include "delivery/admin.h"

#include "base/arena.h"
#include "base/id.h"
#include "delivery/envelope.h"

#include <jansson.h>
#include <stdlib.h>

enum { LIST_DEFAULT = 100, LIST_MAX = 1000, LIST_RECIPIENTS = 20 };

/* ---- values ---- */

/* Text of a peer may be cut within a character, or be none at all: it is shown as far as it
 * goes. */
static json_t *text_json(slice s)
{
    json_t *j = json_stringn(s.ptr ? s.ptr : "", s.len);
    if (j)
        return j;
    char *copy = xcalloc(1, s.len);
    for (size_t i = 0; i < s.len; i++)
        copy[i] = s.ptr[i] >= ' ' && s.ptr[i] < 127 ? s.ptr[i] : '?';
    j = json_stringn(copy, s.len);
    free(copy);
    return j;
}

static json_t *stamp_json(stamp at)
{
    char text[STAMP_TEXT_MAX];
    if (at == 0)
        return json_null();
    stamp_format(at, text);
    return json_string(text);
}

static json_t *id_json(uint64_t id)
{
    char text[ID_TEXT_LEN + 1];
    id_format(id, text);
    return json_string(text);
}

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static void set_number(json_t *object, const char *key, uint64_t value)
{
    set(object, key, json_integer((json_int_t)value));
}

static json_t *failure(const char *why)
{
    json_t *j = json_object();
    set(j, "ok", json_false());
    set(j, "error", json_string(why));
    return j;
}

/* ---- status ---- */

static json_t *site_trouble(const struct site *s)
{
    if (!s || s->failures == 0)
        return json_null();
    json_t *j = json_object();
    set(j, "at", stamp_json(s->failed_at));
    set(j, "remote", text_json(slice_of(s->remote)));
    set(j, "stage", json_string(stage_name(s->stage)));
    set(j, "text", text_json(slice_of(s->text)));
    return j;
}

static json_t *site_json(const struct site *s)
{
    if (!s)
        return json_null();
    json_t *j = json_object();
    span pause = s->pause_until - loop_time(s->courier->loop);
    set(j, "host", text_json(slice_of(s->name)));
    set_number(j, "port", s->settings.port);
    set_number(j, "connections", s->count);
    set_number(j, "idle", s->idle_count);
    set_number(j, "failures", s->failures);
    set_number(j, "paused_ms", pause > 0 ? (uint64_t)(pause / SPAN_MS) : 0);
    set(j, "trouble", site_trouble(s));
    return j;
}

static json_t *sites_json(const struct direct *x)
{
    struct direct_numbers n;
    if (!x)
        return json_null();
    direct_numbers(x, &n);
    json_t *j = json_object();
    set_number(j, "count", n.sites);
    set_number(j, "paused", n.paused);
    set_number(j, "connections", n.connections);
    return j;
}

static uint64_t ready(const struct admin *a)
{
    struct direct_numbers n;
    if (!a->direct)
        return a->site ? a->site->destination.ready : a->capture->destination.ready;
    direct_numbers(a->direct, &n);
    return n.ready;
}

static json_t *journal_json(struct settle *s)
{
    struct journal_numbers n;
    settle_numbers(s, &n);
    json_t *j = json_object();
    set_number(j, "records", n.records);
    set_number(j, "batches", n.batches);
    set_number(j, "syncs", n.syncs);
    set_number(j, "bytes", n.bytes);
    set_number(j, "failures", n.failures);
    set_number(j, "disk_bytes", n.disk_bytes);
    return j;
}

static json_t *status(const struct admin *a)
{
    const struct courier *c = a->courier;
    json_t *j = json_object();
    set(j, "ok", json_true());
    set(j, "transport", json_string(a->site ? "smarthost" : a->direct ? "direct" : "capture"));
    set(j, "held", json_boolean(c->is_held));
    set(j, "draining", json_boolean(c->is_draining));
    set(j, "caught_up", json_boolean(tail_has_caught_up(a->tail)));
    set_number(j, "messages", c->queue->parcels);
    set_number(j, "queued", c->queue->living);
    set_number(j, "failed", c->queue->failed);
    set_number(j, "ready", ready(a));
    set(j, "snapshot", stamp_json(keeper_saved_at(a->keeper)));
    set(j, "site", site_json(a->site));
    set(j, "sites", sites_json(a->direct));
    set(j, "journal", journal_json(c->settle));
    set_number(j, "smtpd_position", tail_position(a->tail));
    set_number(j, "delivery_position", settle_position(c->settle));
    set_number(j, "control_position", follow_position(a->follow));
    set_number(j, "directory_version", directory_version(c->directory));
    return j;
}

/* ---- messages ---- */

static json_t *trouble_json(const struct trouble *t)
{
    json_t *j = json_object();
    char text[24] = "";
    if (t->status.class != 0)
        snprintf(text, sizeof(text), "%u.%u.%u", t->status.class, t->status.subject,
                 t->status.detail);
    set(j, "at", stamp_json(t->at));
    set(j, "remote", text_json(trouble_remote(t)));
    set(j, "stage", json_string(stage_name(t->stage)));
    set_number(j, "code", t->code);
    set(j, "enhanced", json_string(text));
    set(j, "text", text_json(trouble_reply(t)));
    return j;
}

static json_t *recipient_json(const struct admin *a, const struct parcel *p,
                              const struct recipient *r, slice address)
{
    const struct site *site = a->direct ? direct_site(a->direct, p) : a->site;
    json_t *j = json_object();
    bool is_queued = r->state <= RECIPIENT_WAITING;
    set(j, "address", text_json(address));
    set(j, "state", json_string(recipient_state_name(r->state)));
    set_number(j, "attempts", r->attempts);
    set(j, "next", r->state == RECIPIENT_WAITING ? stamp_json(r->next) : json_null());
    if (r->trouble)
        set(j, "trouble", trouble_json(r->trouble));
    else
        set(j, "trouble", is_queued ? site_trouble(site) : json_null());
    return j;
}

static slice reporting_of(const struct parcel *p)
{
    for (; p; p = queue_also(p))
        if (p->reporting)
            return slice_make(p->reporting->bytes, p->reporting->len);
    return (slice){0};
}

/* p is the first parcel of the message. */
static json_t *message_json(const struct admin *a, struct parcel *p, uint32_t most)
{
    struct envelope e;
    size_t count;
    struct envelope_entry *entries = envelope_entries(p, &count);
    json_t *recipients = json_array();
    envelope_open(&e, a->courier, p);
    slice fields = e.is_open ? e.letter.fields : reporting_of(p);
    for (size_t i = 0; i < count && i < most; i++) {
        const struct recipient *r = entries[i].recipient;
        json_array_append_new(recipients,
                              recipient_json(a, entries[i].parcel, r, envelope_address(&e, r)));
    }
    free(entries);
    json_t *j = json_object();
    set(j, "id", id_json(p->facts.id));
    set(j, "accepted", stamp_json(p->facts.accepted));
    set_number(j, "customer", p->facts.customer);
    set_number(j, "account", p->facts.account);
    set(j, "login", e.is_open ? text_json(record_get(fields, TAG_LOGIN)) : json_null());
    set(j, "from", text_json(record_get(fields, TAG_REVERSE_PATH)));
    slice message_id = record_get(fields, TAG_MESSAGE_ID);
    set(j, "message_id", message_id.len > 0 ? text_json(message_id) : json_null());
    set(j, "size", e.is_open ? json_integer((json_int_t)e.letter.size) : json_null());
    set_number(j, "recipient_count", count);
    set(j, "recipients", recipients);
    envelope_fini(&e);
    return j;
}

static json_t *show(const struct admin *a, json_t *question)
{
    const char *text = json_string_value(json_object_get(question, "id"));
    uint64_t id;
    if (!text || !id_parse(slice_of(text), &id))
        return failure("this is not a queue id");
    struct parcel *p = queue_find(a->courier->queue, id);
    if (!p)
        return failure("no such message in the queue");
    json_t *j = json_object();
    set(j, "ok", json_true());
    set(j, "message", message_json(a, p, UINT32_MAX));
    return j;
}

/* ---- the list ---- */

/* Picks the messages with the smallest ids behind `after`. */
struct pick {
    uint64_t after;
    uint64_t account;                   /* UINT64_MAX: any */
    unsigned states;                    /* of a recipient, as bits; 0: any */
    struct parcel *found[LIST_MAX + 1]; /* by id, rising */
    size_t count;
    size_t most;
};

static bool is_in_state(const struct parcel *p, unsigned states)
{
    if (states == 0)
        return true;
    for (uint32_t i = 0; i < p->count; i++)
        if (states & 1u << p->recipients[i].state)
            return true;
    return false;
}

static bool pick_parcel(void *ctx, struct parcel *p)
{
    struct pick *k = ctx;
    uint64_t id = p->facts.id;
    bool is_full = k->count == k->most;
    if (id <= k->after || (is_full && id > k->found[k->count - 1]->facts.id))
        return true;
    if (k->account != UINT64_MAX && p->facts.account != k->account)
        return true;
    if (!is_in_state(p, k->states))
        return true;
    size_t at = k->count;
    while (at > 0 && k->found[at - 1]->facts.id > id)
        at--;
    if (at > 0 && k->found[at - 1]->facts.id == id)
        return true; /* another parcel of the same message */
    k->count += !is_full;
    for (size_t i = k->count - 1; i > at; i--)
        k->found[i] = k->found[i - 1];
    k->found[at] = p;
    return true;
}

static const struct {
    const char *name;
    unsigned states;
} states[] = {
    {"queued", 1u << RECIPIENT_READY | 1u << RECIPIENT_WAITING | 1u << RECIPIENT_SENDING},
    {"failed", 1u << RECIPIENT_FAILED},
    {"expired", 1u << RECIPIENT_EXPIRED},
};

/* What is wrong with the question, or NULL. */
static const char *read_pick(json_t *question, struct pick *k)
{
    json_t *limit = json_object_get(question, "limit");
    json_t *after = json_object_get(question, "after");
    json_t *account = json_object_get(question, "account");
    json_t *state = json_object_get(question, "state");
    *k = (struct pick){.account = UINT64_MAX, .most = LIST_DEFAULT};
    if (json_is_integer(limit) && json_integer_value(limit) > 0)
        k->most = (size_t)json_integer_value(limit);
    if (k->most > LIST_MAX)
        k->most = LIST_MAX;
    if (json_is_string(after) && !id_parse(slice_of(json_string_value(after)), &k->after))
        return "`after` is not a queue id";
    if (json_is_integer(account))
        k->account = (uint64_t)json_integer_value(account);
    if (!json_is_string(state))
        return NULL;
    for (size_t i = 0; i < COUNT_OF(states); i++)
        if (strcmp(states[i].name, json_string_value(state)) == 0)
            k->states = states[i].states;
    return k->states == 0 ? "`state` is queued, failed or expired" : NULL;
}

static json_t *list(const struct admin *a, json_t *question)
{
    struct pick *k = xcalloc(1, sizeof(*k));
    const char *wrong = read_pick(question, k);
    if (wrong) {
        free(k);
        return failure(wrong);
    }
    size_t shown = k->most++; /* one more tells whether there are more */
    queue_each(a->courier->queue, pick_parcel, k);
    bool has_more = k->count > shown;
    json_t *messages = json_array();
    for (size_t i = 0; i < k->count && i < shown; i++) {
        struct parcel *first = queue_find(a->courier->queue, k->found[i]->facts.id);
        json_array_append_new(messages, message_json(a, first, LIST_RECIPIENTS));
    }
    json_t *j = json_object();
    set(j, "ok", json_true());
    set(j, "messages", messages);
    set(j, "more", json_boolean(has_more));
    set(j, "next", has_more ? id_json(k->found[shown - 1]->facts.id) : json_null());
    free(k);
    return j;
}

static json_t *answer(const struct admin *a, json_t *question)
{
    const char *name = json_string_value(json_object_get(question, "question"));
    if (!name)
        return failure("no question");
    if (strcmp(name, "status") == 0)
        return status(a);
    if (strcmp(name, "queue-list") == 0)
        return list(a, question);
    if (strcmp(name, "queue-show") == 0)
        return show(a, question);
    return failure("unknown question");
}

void admin_answer(void *ctx, slice question, struct buf *out)
{
    json_t *q = json_loadb(question.ptr ? question.ptr : "", question.len, 0, NULL);
    json_t *j = q ? answer(ctx, q) : failure("this is not JSON");
    char *text = json_dumps(j, JSON_COMPACT);
    buf_append(out, slice_of(text));
    free(text);
    json_decref(j);
    json_decref(q);
}
