#include "delivery/admin_inside.h"

#include "base/arena.h"
#include "base/id.h"
#include "delivery/envelope.h"

#include <jansson.h>
#include <stdlib.h>

enum { LIST_DEFAULT = 100, LIST_MAX = 1000, LIST_RECIPIENTS = 20 };

/* ---- values ---- */

/* Text of a peer may be cut within a character, or be none at all: it is shown as far as it
 * goes. */
json_t *admin_text(slice s)
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

json_t *admin_stamp(stamp at)
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

void admin_set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

void admin_set_number(json_t *object, const char *key, uint64_t value)
{
    admin_set(object, key, json_integer((json_int_t)value));
}

json_t *admin_failure(const char *why)
{
    json_t *j = json_object();
    admin_set(j, "ok", json_false());
    admin_set(j, "error", json_string(why));
    return j;
}

/* ---- status ---- */

json_t *admin_site_trouble(const struct site *s)
{
    if (!s || s->failures == 0)
        return json_null();
    json_t *j = json_object();
    admin_set(j, "at", admin_stamp(s->failed_at));
    admin_set(j, "remote", admin_text(slice_of(s->remote)));
    admin_set(j, "stage", json_string(stage_name(s->stage)));
    admin_set(j, "text", admin_text(slice_of(s->text)));
    return j;
}

json_t *admin_site(const struct site *s)
{
    if (!s)
        return json_null();
    json_t *j = json_object();
    span pause = s->pause_until - loop_time(s->courier->loop);
    admin_set(j, "host", admin_text(slice_of(s->name)));
    admin_set_number(j, "port", s->settings.port);
    admin_set_number(j, "connections", s->count);
    admin_set_number(j, "idle", s->idle_count);
    admin_set_number(j, "failures", s->failures);
    admin_set_number(j, "paused_ms", pause > 0 ? (uint64_t)(pause / SPAN_MS) : 0);
    admin_set(j, "trouble", admin_site_trouble(s));
    return j;
}

static json_t *sites_json(const struct direct *x)
{
    struct direct_numbers n;
    if (!x)
        return json_null();
    direct_numbers(x, &n);
    json_t *j = json_object();
    admin_set_number(j, "count", n.sites);
    admin_set_number(j, "paused", n.paused);
    admin_set_number(j, "connections", n.connections);
    return j;
}

static json_t *journal_json(struct settle *s)
{
    struct journal_numbers n;
    settle_numbers(s, &n);
    json_t *j = json_object();
    admin_set_number(j, "records", n.records);
    admin_set_number(j, "batches", n.batches);
    admin_set_number(j, "syncs", n.syncs);
    admin_set_number(j, "bytes", n.bytes);
    admin_set_number(j, "failures", n.failures);
    admin_set_number(j, "disk_bytes", n.disk_bytes);
    return j;
}

static json_t *status(const struct admin *a)
{
    const struct courier *c = a->courier;
    json_t *j = json_object();
    admin_set(j, "ok", json_true());
    admin_set(j, "transport", json_string(transport_name(a->transport)));
    admin_set(j, "held", json_boolean(c->is_held));
    admin_set(j, "draining", json_boolean(c->is_draining));
    admin_set(j, "caught_up", json_boolean(tail_has_caught_up(a->tail)));
    admin_set_number(j, "messages", c->queue->parcels);
    admin_set_number(j, "queued", c->queue->living);
    admin_set_number(j, "failed", c->queue->failed);
    admin_set_number(j, "ready", transport_ready(a->transport));
    admin_set(j, "snapshot", admin_stamp(keeper_saved_at(a->keeper)));
    admin_set(j, "site", admin_site(a->transport->site));
    admin_set(j, "sites", sites_json(a->transport->direct));
    admin_set(j, "journal", journal_json(c->settle));
    admin_set_number(j, "smtpd_position", tail_position(a->tail));
    admin_set_number(j, "delivery_position", settle_position(c->settle));
    admin_set_number(j, "control_position", follow_position(a->follow));
    admin_set_number(j, "directory_version", directory_version(c->directory));
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
    admin_set(j, "at", admin_stamp(t->at));
    admin_set(j, "remote", admin_text(trouble_remote(t)));
    admin_set(j, "stage", json_string(stage_name(t->stage)));
    admin_set_number(j, "code", t->code);
    admin_set(j, "enhanced", json_string(text));
    admin_set(j, "text", admin_text(trouble_reply(t)));
    return j;
}

/* Why it is held: "order", "domain", "lock"; null: it is not. */
static json_t *held_by(const struct recipient *r)
{
    if (!(r->flags & HELD_ANY))
        return json_null();
    return json_string(r->flags & HELD_BY_ORDER ? "order"
                       : r->flags & HELD_DOMAIN ? "domain"
                                                : "lock");
}

static json_t *recipient_json(const struct admin *a, const struct parcel *p,
                              const struct recipient *r, slice address)
{
    const struct site *site = transport_site(a->transport, p);
    json_t *j = json_object();
    bool is_queued = r->state <= RECIPIENT_WAITING;
    bool is_frozen = is_queued && parcel_is_stopped(p);
    bool is_waiting = r->state == RECIPIENT_WAITING;
    bool is_paced = is_waiting && r->attempts == 0 && !r->trouble;
    admin_set(j, "address", admin_text(address));
    admin_set(j, "state", json_string(is_frozen ? "frozen" : recipient_state_name(r->state)));
    admin_set_number(j, "attempts", r->attempts);
    admin_set(j, "next", is_waiting ? admin_stamp(r->next) : json_null());
    admin_set(j, "not_before", is_paced ? admin_stamp(r->next) : json_null());
    admin_set(j, "held_by", held_by(r));
    if (r->trouble)
        admin_set(j, "trouble", trouble_json(r->trouble));
    else
        admin_set(j, "trouble", is_queued ? admin_site_trouble(site) : json_null());
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
    admin_set(j, "id", id_json(p->facts.id));
    admin_set(j, "accepted", admin_stamp(p->facts.accepted));
    admin_set_number(j, "customer", p->facts.customer);
    admin_set_number(j, "account", p->facts.account);
    admin_set(j, "login", e.is_open ? admin_text(record_get(fields, TAG_LOGIN)) : json_null());
    admin_set(j, "from", admin_text(record_get(fields, TAG_REVERSE_PATH)));
    slice message_id = record_get(fields, TAG_MESSAGE_ID);
    admin_set(j, "message_id", message_id.len > 0 ? admin_text(message_id) : json_null());
    admin_set(j, "size", e.is_open ? json_integer((json_int_t)e.letter.size) : json_null());
    admin_set_number(j, "recipient_count", count);
    admin_set(j, "stopped",
              admin_stopped(a->courier->queue, p->facts.account, p->facts.customer));
    admin_set(j, "recipients", recipients);
    envelope_fini(&e);
    return j;
}

static json_t *show(const struct admin *a, json_t *question)
{
    const char *text = json_string_value(json_object_get(question, "id"));
    uint64_t id;
    if (!text || !id_parse(slice_of(text), &id))
        return admin_failure("this is not a queue id");
    struct parcel *p = queue_find(a->courier->queue, id);
    if (!p)
        return admin_failure("no such message in the queue");
    json_t *j = json_object();
    admin_set(j, "ok", json_true());
    admin_set(j, "message", message_json(a, p, UINT32_MAX));
    return j;
}

/* ---- the list ---- */

/* Picks the messages with the smallest ids behind `after`. */
struct pick {
    uint64_t after;
    const struct queue *queue;
    uint64_t account;  /* UINT64_MAX: any */
    uint64_t customer; /* with its customers; 0: any */
    stamp before;      /* accepted up to then */
    bool wants_frozen;
    unsigned states;                    /* of a recipient, as bits; 0: any */
    struct parcel *found[LIST_MAX + 1]; /* by id, rising */
    size_t count;
    size_t most;
};

static bool is_in_state(const struct pick *k, const struct parcel *p)
{
    unsigned states = k->states;
    if (k->wants_frozen)
        return p->living > 0 && parcel_is_stopped(p);
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
    if (k->customer != 0 && !gate_is_customer_of(k->queue, p->facts.customer, k->customer))
        return true;
    if (p->facts.accepted > k->before || !is_in_state(k, p))
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
    {"queued", 1u << RECIPIENT_READY | 1u << RECIPIENT_WAITING | 1u << RECIPIENT_HELD |
                   1u << RECIPIENT_SENDING},
    {"held", 1u << RECIPIENT_HELD},
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
    json_int_t customer = json_integer_value(json_object_get(question, "customer"));
    json_int_t before = json_integer_value(json_object_get(question, "before"));
    *k = (struct pick){.account = UINT64_MAX, .before = STAMP_NEVER, .most = LIST_DEFAULT};
    if (customer > 0)
        k->customer = (uint64_t)customer;
    if (before > 0)
        k->before = before;
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
    k->wants_frozen = strcmp(json_string_value(state), "frozen") == 0;
    if (k->wants_frozen)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(states); i++)
        if (strcmp(states[i].name, json_string_value(state)) == 0)
            k->states = states[i].states;
    return k->states == 0 ? "`state` is queued, held, frozen, failed or expired" : NULL;
}

/* Is one of its recipients at the domain? */
static bool is_for_domain(const struct admin *a, struct parcel *p, slice domain)
{
    struct arena arena = ARENA_INIT;
    struct envelope e;
    size_t count;
    bool found = false;
    struct envelope_entry *entries = envelope_entries(p, &count);
    envelope_open(&e, a->courier, p);
    for (size_t i = 0; i < count && !found; i++)
        found = envelope_is_at(&arena, envelope_address(&e, entries[i].recipient), domain);
    envelope_fini(&e);
    free(entries);
    arena_fini(&arena);
    return found;
}

static json_t *list(const struct admin *a, json_t *question)
{
    struct pick *k = xcalloc(1, sizeof(*k));
    const char *wrong = read_pick(question, k);
    if (wrong) {
        free(k);
        return admin_failure(wrong);
    }
    k->queue = a->courier->queue;
    size_t shown = k->most++; /* one more tells whether there are more */
    queue_each(a->courier->queue, pick_parcel, k);
    bool has_more = k->count > shown;
    slice domain = slice_of(json_string_value(json_object_get(question, "domain")));
    json_t *messages = json_array();
    for (size_t i = 0; i < k->count && i < shown; i++) {
        struct parcel *first = queue_find(a->courier->queue, k->found[i]->facts.id);
        if (domain.len > 0 && !is_for_domain(a, first, domain))
            continue;
        json_array_append_new(messages, message_json(a, first, LIST_RECIPIENTS));
    }
    json_t *j = json_object();
    admin_set(j, "ok", json_true());
    admin_set(j, "messages", messages);
    admin_set(j, "more", json_boolean(has_more));
    admin_set(j, "next", has_more ? id_json(k->found[shown - 1]->facts.id) : json_null());
    free(k);
    return j;
}

static json_t *answer(const struct admin *a, json_t *question)
{
    const char *name = json_string_value(json_object_get(question, "question"));
    if (!name)
        return admin_failure("no question");
    if (strcmp(name, "status") == 0)
        return status(a);
    if (strcmp(name, "queue-list") == 0)
        return list(a, question);
    if (strcmp(name, "queue-show") == 0)
        return show(a, question);
    if (strcmp(name, "queue-command") == 0)
        return admin_command(a, question);
    if (strcmp(name, "queue-count") == 0)
        return admin_count(a, question);
    if (strcmp(name, "queue-domain") == 0)
        return admin_domain(a, question);
    return admin_failure("unknown question");
}

void admin_answer(void *ctx, slice question, struct buf *out)
{
    json_t *q = json_loadb(question.ptr ? question.ptr : "", question.len, 0, NULL);
    json_t *j = q ? answer(ctx, q) : admin_failure("this is not JSON");
    char *text = json_dumps(j, JSON_COMPACT);
    buf_append(out, slice_of(text));
    free(text);
    json_decref(j);
    json_decref(q);
}
