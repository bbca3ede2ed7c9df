#include "delivery/orders_inside.h"

#include "base/arena.h"
#include "base/log.h"
#include "delivery/gate.h"
#include "model/directory.h"

#include <errno.h>
#include <stdlib.h>

enum {
    /* Of one turn: */
    LOOKS = 4000,   /* messages */
    LETTERS = 100,  /* of which the record is read */
    BACKLOG = 2000, /* outcomes that are not synced yet, at which removing waits */
};

static void on_more(void *ctx)
{
    (void)ctx; /* the turn's end looks */
}

struct orders *orders_new(const struct orders_config *c)
{
    struct orders *o = xcalloc(1, sizeof(*o));
    o->config = *c;
    list_init(&o->all);
    timer_init(&o->more, c->courier->loop, on_more, o);
    return o;
}

static void order_free(struct order *x)
{
    list_remove(&x->node);
    free(x->ids);
    free(x->texts);
    free(x);
}

void orders_free(struct orders **at)
{
    struct orders *o = *at;
    if (!o)
        return;
    *at = NULL;
    LIST_EACH (&o->all, n)
        order_free(LIST_ITEM(n, struct order, node));
    timer_cancel(&o->more);
    free(o);
}

/* ---- what is read ---- */

static struct order *order_new(struct orders *o, stamp at)
{
    struct order *x = xcalloc(1, sizeof(*x));
    x->at = at;
    x->mark = atomic_load_explicit(&o->config.smtpd->durable, memory_order_acquire);
    list_push(&o->all, &x->node);
    return x;
}

/* What of the gate's mail is queued is to be held before it opens. */
static void add_keep(struct orders *o, const struct gate *g)
{
    struct order *x = order_new(o, g->ended_at);
    x->is_keep = true;
    if (g->is_customer)
        x->command.customer = g->id;
    else
        x->command.account = g->id;
    x->position = UINT64_MAX;
}

static void add_command(struct orders *o, const struct journal_record *r,
                        const struct queue_command *c)
{
    struct order *x = order_new(o, r->header.at);
    x->command = *c;
    x->position = r->position;
    x->progress.verb = c->verb;
    x->ids = xcalloc(c->id_count, sizeof(*x->ids));
    if (c->id_count > 0)
        memcpy(x->ids, c->ids, c->id_count * sizeof(*x->ids));
    x->command.ids = x->ids;
    x->texts = xcalloc(1, c->by.len + c->domain.len);
    if (c->by.len > 0)
        memcpy(x->texts, c->by.ptr, c->by.len);
    if (c->domain.len > 0)
        memcpy(x->texts + c->by.len, c->domain.ptr, c->domain.len);
    x->command.by = slice_make(x->texts, c->by.len);
    x->command.domain = slice_make(x->texts + c->by.len, c->domain.len);
}

/* The state of an account or customer: an operator's lock, or none. */
static void take_directory(struct orders *o, const struct journal_record *r)
{
    struct queue *q = orders_queue(o);
    slice fields = r->fields;
    uint64_t entity = record_get_u64(fields, TAG_ENTITY);
    uint64_t id = record_get_u64(fields, TAG_KEY);
    uint64_t parent = record_get_u64(fields, TAG_PARENT);
    stamp until = (stamp)record_get_u64(fields, TAG_UNTIL);
    bool is_locked = record_get_u64(fields, TAG_STATE) == ACCOUNT_LOCKED;
    bool is_customer = entity == ENTITY_CUSTOMER;
    if ((!is_customer && entity != ENTITY_ACCOUNT) || record_get_u64(fields, TAG_REMOVED))
        return;
    struct gate *g = gate_find(q, is_customer, id);
    if (!g && is_locked)
        g = is_customer ? gate_of_customer(q, id) : gate_of_account(q, id, parent);
    if (g && !is_customer)
        gate_of_account(q, id, parent); /* it may have moved */
    if (is_customer)
        gates_review(q);
    if (!g)
        return;
    gate_set_operator(q, g, is_locked, until ? until : STAMP_NEVER,
                      record_get_u64(fields, TAG_VERSION), r->header.at);
}

void orders_record(void *ctx, const struct journal_record *r)
{
    struct orders *o = ctx;
    struct queue_command c;
    if (r->header.type == RECORD_DIRECTORY) {
        take_directory(o, r);
        return;
    }
    int err = queue_command_read(r->fields, o->room, &c);
    if (err == 0)
        add_command(o, r, &c);
    else if (err != -ENOENT)
        log_error("command-unusable", LOG_I("position", r->position), LOG_E("error", err));
    if (err == 0 && o->tail)
        timer_set(&o->more, 0);
}

static bool has_keep(const struct orders *o, const struct gate *g)
{
    LIST_EACH (&o->all, n) {
        const struct order *x = LIST_ITEM(n, struct order, node);
        uint64_t id = g->is_customer ? x->command.customer : x->command.account;
        if (x->is_keep && !x->is_walked && id == g->id && x->at >= g->ended_at)
            return true;
    }
    return false;
}

/* Locks that were lifted leave work behind. */
static void find_ending(struct orders *o, bool is_customer)
{
    size_t at = 0;
    struct gate *g;
    while ((g = gate_next(orders_queue(o), is_customer, &at)))
        if (g->ending && !has_keep(o, g))
            add_keep(o, g);
}

void orders_begin(struct orders *o, const struct tail *tail)
{
    o->tail = tail;
    timer_set(&o->more, 0);
}

/* ---- the walk ---- */

static bool has_time(const struct orders *o)
{
    return o->looks > 0 && o->letters > 0 && o->changes > 0;
}

/* Messages of one bucket: nothing is freed meanwhile. */
static void walk_bucket(struct orders *o, struct order *x, size_t bucket)
{
    struct queue *q = orders_queue(o);
    o->looks--;
    for (struct parcel *p = q->buckets[bucket]; p; p = p->chain)
        if (queue_find(q, p->facts.id) == p)
            orders_look_at(o, x, p);
}

static bool walk_ids(struct orders *o, struct order *x)
{
    for (; x->at_id < x->command.id_count && has_time(o); x->at_id++) {
        struct parcel *p = queue_find(orders_queue(o), x->ids[x->at_id]);
        if (p)
            orders_look_at(o, x, p);
    }
    return x->at_id == x->command.id_count;
}

/* Buckets that have come since it began hold what was in one of the first: those of the same
 * remainder are walked with it. */
static bool walk_buckets(struct orders *o, struct order *x)
{
    const struct queue *q = orders_queue(o);
    for (; x->at_bucket < x->first_buckets && has_time(o); x->at_bucket++)
        for (size_t b = x->at_bucket; b < q->bucket_count; b += x->first_buckets)
            walk_bucket(o, x, b);
    return x->at_bucket == x->first_buckets;
}

static struct gate *own_gate(const struct orders *o, const struct queue_command *c)
{
    bool is_customer = c->customer != 0;
    return gate_find(orders_queue(o), is_customer, is_customer ? c->customer : c->account);
}

static struct gate *make_gate(const struct orders *o, const struct queue_command *c)
{
    struct queue *q = orders_queue(o);
    struct gate *g = own_gate(o, c);
    if (g)
        return g;
    if (c->customer != 0)
        return gate_of_customer(q, c->customer);
    return gate_of_account(q, c->account,
                           directory_customer_of(o->config.courier->directory, c->account));
}

/* What holds for mail to come, too. */
static void begin_standing(struct orders *o, struct order *x)
{
    const struct queue_command *c = &x->command;
    struct queue *q = orders_queue(o);
    if (!queue_command_is_standing(c))
        return;
    if (c->domain.len > 0) {
        if (c->verb == QUEUE_HOLD)
            queue_hold_domain(q, c->domain);
        else if (c->verb == QUEUE_RELEASE)
            queue_release_domain(q, c->domain);
        return;
    }
    struct gate *g = own_gate(o, c);
    if (c->verb == QUEUE_HOLD)
        gate_stop(q, make_gate(o, c), GATE_HOLD);
    if (c->verb == QUEUE_RELEASE && g) {
        x->has_opened = g->stops & GATE_HOLD;
        gate_lift(q, g, GATE_HOLD);
    }
    if (c->verb == QUEUE_THAW)
        gate_thaw(q, make_gate(o, c), c->version);
}

static void begin(struct orders *o, struct order *x)
{
    x->has_begun = true;
    x->first_buckets = orders_queue(o)->bucket_count;
    x->progress.state = ORDER_RUNNING;
    if (!x->is_keep) {
        begin_standing(o, x);
        return;
    }
    const struct gate *g = own_gate(o, &x->command);
    x->is_walked = !g || !g->ending; /* it was released or purged meanwhile */
}

/* Everything it is about has been looked at. */
static void end(struct orders *o, struct order *x)
{
    struct queue *q = orders_queue(o);
    x->is_walked = true;
    struct gate *g = own_gate(o, &x->command);
    if (x->is_keep && g)
        gate_lift(q, g, g->ended_at <= x->at ? g->ending : 0);
    else if (!x->is_keep && x->command.verb == QUEUE_PURGE)
        gate_thaw(q, make_gate(o, &x->command), x->command.version);
}

static void step(struct orders *o, struct order *x)
{
    if (!x->has_begun)
        begin(o, x);
    if (x->is_walked)
        return;
    bool is_over = x->command.id_count > 0 ? walk_ids(o, x) : walk_buckets(o, x);
    if (is_over)
        end(o, x);
}

/* ---- the turn ---- */

static void finish(struct orders *o, struct order *x)
{
    const struct order_progress *p = &x->progress;
    if (x->is_keep) {
        log_info("lock-lifted", LOG_I("account", x->command.account),
                 LOG_I("customer", x->command.customer), LOG_I("held", p->recipients));
    } else {
        x->progress.state = ORDER_DONE;
        o->finished[o->finished_at++ % FINISHED_KEPT] =
            (struct finished){x->command.token, x->progress};
        log_info("queue-command", LOG_C("verb", queue_verb_name(x->command.verb)),
                 LOG_S("by", x->command.by), LOG_I("messages", p->messages),
                 LOG_I("recipients", p->recipients));
    }
    order_free(x);
}

/* The first one that is still to walk; those before it wait for their outcomes. */
static struct order *current(const struct orders *o)
{
    LIST_EACH (&o->all, n) {
        struct order *x = LIST_ITEM(n, struct order, node);
        if (!x->is_walked)
            return x;
    }
    return NULL;
}

static bool may_walk(const struct orders *o, const struct order *x)
{
    return !o->config.courier->is_draining && tail_has_caught_up(o->tail) &&
           tail_has_read(o->tail, x->mark) &&
           settle_backlog(o->config.courier->settle) < BACKLOG;
}

void orders_pump(struct orders *o)
{
    struct order *x;
    if (!o->tail)
        return;
    if (orders_queue(o)->gates.has_ending) {
        orders_queue(o)->gates.has_ending = false;
        find_ending(o, true);
        find_ending(o, false);
    }
    o->looks = LOOKS;
    o->letters = LETTERS;
    o->changes = ORDERS_CHANGES;
    while ((x = current(o)) && has_time(o) && may_walk(o, x))
        step(o, x);
    LIST_EACH (&o->all, n) {
        x = LIST_ITEM(n, struct order, node);
        if (x->is_walked && x->unsynced == 0)
            finish(o, x);
    }
    if (current(o) && !has_time(o))
        timer_set(&o->more, 0);
}

uint64_t orders_position(const struct orders *o, uint64_t read)
{
    uint64_t first = read;
    LIST_EACH (&o->all, n) {
        const struct order *x = LIST_ITEM(n, struct order, node);
        if (x->position < first)
            first = x->position;
    }
    return first;
}

void orders_progress(const struct orders *o, uint64_t token, struct order_progress *out)
{
    *out = (struct order_progress){.state = ORDER_UNKNOWN};
    LIST_EACH (&o->all, n) {
        const struct order *x = LIST_ITEM(n, struct order, node);
        if (x->is_keep || x->command.token != token)
            continue;
        *out = x->progress;
        out->state = x->has_begun ? ORDER_RUNNING : ORDER_WAITING;
        if (x->first_buckets > 0)
            out->percent = (unsigned)(x->at_bucket * 100 / x->first_buckets);
        return;
    }
    for (size_t i = 0; i < FINISHED_KEPT; i++)
        if (o->finished[i].token == token && o->finished[i].progress.state == ORDER_DONE)
            *out = o->finished[i].progress;
}
