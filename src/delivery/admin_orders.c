/* Answers about commands, accounts' queues and domains. */
#include "delivery/admin_inside.h"

#include "base/id.h"

json_t *admin_stopped(const struct queue *q, uint64_t account, uint64_t customer)
{
    const struct gate *g = gate_in_the_way(q, account, customer);
    if (!g)
        return json_null();
    bool is_by_operator = (g->stops & (GATE_OPERATOR | GATE_LOCK)) == GATE_OPERATOR;
    json_t *j = json_object();
    admin_set(j, "by",
              json_string(g->stops & GATE_LOCK ? "lock"
                          : is_by_operator     ? "operator"
                                               : "hold"));
    admin_set(j, "of", json_string(g->is_customer ? "customer" : "account"));
    admin_set_number(j, "id", g->id);
    stamp until = g->stops & GATE_LOCK ? g->lock_until : is_by_operator ? g->op_until : 0;
    if (g->ending || until == STAMP_NEVER)
        until = 0;
    admin_set(j, "until", admin_stamp(until));
    return j;
}

json_t *admin_command(const struct admin *a, json_t *question)
{
    static const char *const states[] = {
        [ORDER_UNKNOWN] = "unknown",
        [ORDER_WAITING] = "waiting",
        [ORDER_RUNNING] = "running",
        [ORDER_DONE] = "done",
    };
    const char *text = json_string_value(json_object_get(question, "command"));
    struct order_progress p;
    uint64_t token;
    if (!text || !id_parse(slice_of(text), &token))
        return admin_failure("this is not the id of a command");
    orders_progress(a->orders, token, &p);
    const char *verb = queue_verb_name(p.verb);
    json_t *j = json_object();
    admin_set(j, "ok", json_true());
    admin_set(j, "state", json_string(states[p.state]));
    admin_set(j, "verb", verb ? json_string(verb) : json_null());
    admin_set_number(j, "messages", p.messages);
    admin_set_number(j, "recipients", p.recipients);
    admin_set_number(j, "busy", p.busy);
    admin_set_number(j, "paced", p.paced);
    admin_set_number(j, "stopped", p.closed);
    admin_set_number(j, "percent", p.state == ORDER_DONE ? 100 : p.percent);
    return j;
}

struct count {
    const struct queue *queue;
    uint64_t account;
    uint64_t customer;
    uint64_t messages;
    uint64_t recipients;
    uint64_t held;
};

static bool count_parcel(void *ctx, struct parcel *p)
{
    struct count *c = ctx;
    if (p->living == 0 || (c->account != 0 && p->facts.account != c->account) ||
        (c->customer != 0 && !gate_is_customer_of(c->queue, p->facts.customer, c->customer)))
        return true;
    c->messages += queue_find(c->queue, p->facts.id) == p;
    c->recipients += p->living;
    for (uint32_t i = 0; i < p->count; i++)
        c->held += p->recipients[i].state == RECIPIENT_HELD;
    return true;
}

static uint64_t number_of(json_t *question, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(question, key));
    return n > 0 ? (uint64_t)n : 0;
}

json_t *admin_count(const struct admin *a, json_t *question)
{
    const struct queue *q = a->courier->queue;
    struct count c = {.queue = q,
                      .account = number_of(question, "account"),
                      .customer = number_of(question, "customer")};
    queue_each(q, count_parcel, &c);
    json_t *j = json_object();
    admin_set(j, "ok", json_true());
    admin_set_number(j, "messages", c.messages);
    admin_set_number(j, "recipients", c.recipients);
    admin_set_number(j, "held", c.held);
    admin_set(j, "stopped",
              c.account || c.customer ? admin_stopped(q, c.account, c.customer) : json_null());
    return j;
}

/* How the mail of a domain goes, and what of it waits there. */
json_t *admin_domain(const struct admin *a, json_t *question)
{
    const struct courier *c = a->courier;
    slice domain = slice_of(json_string_value(json_object_get(question, "domain")));
    const struct site *s = transport_domain_site(a->transport, domain);
    json_t *j = json_object();
    admin_set(j, "ok", json_true());
    admin_set(j, "transport", json_string(transport_name(a->transport)));
    admin_set(j, "held", json_boolean(c->is_held));
    admin_set(j, "domain_held", json_boolean(queue_holds_domain(c->queue, domain)));
    admin_set(j, "site", admin_site(s));
    admin_set(j, "parcels", s ? json_integer((json_int_t)s->destination.parcels) : json_null());
    admin_set_number(j, "queued", c->queue->living);
    return j;
}
