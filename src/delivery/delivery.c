#include "delivery/delivery.h"

#include "base/arena.h"
#include "base/log.h"
#include "delivery/admin.h"
#include "delivery/carrier.h"
#include "delivery/gate.h"
#include "delivery/intake.h"
#include "delivery/keeper.h"
#include "delivery/reporter.h"
#include "delivery/transport.h"
#include "delivery/upkeep.h"
#include "net/query.h"

#include <errno.h>
#include <stdlib.h>

/* Lookups, capture and snapshots: all of them wait for something. */
enum { JOB_THREADS = 4, JOBS_WAITING = 64 };

static const uint64_t SNAPSHOT_LEAST = 1024 * 1024;
static const span DRAIN = 25 * SPAN_SECOND;

struct delivery {
    struct role *role;
    struct courier courier;
    struct queue queue;
    struct destination limbo; /* of what was loaded, before there is a transport */
    struct transport *transport;
    struct list old; /* transports before a reload */
    struct intake intake;
    struct keeper *keeper;
    struct carrier *carrier;
    struct upkeep upkeep;
    struct reporter *reporter;
    struct admin admin;
    struct query_server *query;
    struct timer schedule; /* the next recipient that is due */
    stamp next_due;        /* for which it is set */
    struct timer drain;
    bool is_finished;
};

/* ---- transports ---- */

/* Everything that is queued goes by t from now on. */
static void use_transport(struct delivery *d, struct transport *t)
{
    queue_move(&d->queue, NULL, transport_destination(t));
    if (d->transport) {
        transport_close(d->transport);
        list_push(&d->old, &d->transport->node);
    }
    d->transport = t;
    d->intake.replay.destination = transport_destination(t);
    d->admin.transport = t;
}

/* The one that is configured is used. False: it cannot be, and `effect` is what that means. */
static bool open_transport(struct delivery *d, const char *effect)
{
    struct buf why = BUF_INIT;
    struct transport *t = transport_new(&d->courier, d->role, &why);
    if (t)
        use_transport(d, t);
    else
        log_error("transport-unusable", LOG_S("why", buf_slice(&why)), LOG_C("effect", effect));
    buf_fini(&why);
    return t != NULL;
}

/* ---- the turn ---- */

static bool is_quiet(const struct delivery *d)
{
    return upkeep_is_idle(&d->upkeep) && transport_is_idle(d->transport) &&
           list_is_empty(&d->old) && settle_is_idle(d->courier.settle) &&
           keeper_is_idle(d->keeper) && carrier_is_idle(d->carrier);
}

static void finish_drain(struct delivery *d)
{
    d->is_finished = true;
    loop_stop(d->role->loop);
}

static void free_idle_transports(struct delivery *d)
{
    LIST_EACH (&d->old, n) {
        struct transport *t = LIST_ITEM(n, struct transport, node);
        if (!transport_is_idle(t))
            continue;
        list_remove(n);
        transport_free(&t);
    }
}

static void set_schedule(struct delivery *d, stamp next, stamp now)
{
    if (next == d->next_due)
        return;
    d->next_due = next;
    if (next == STAMP_NEVER)
        timer_cancel(&d->schedule);
    else
        timer_set(&d->schedule, next - now);
}

/* After everything that a turn of the loop brought: what can be begun is begun. */
static void after_turn(void *ctx)
{
    struct delivery *d = ctx;
    if (d->is_finished)
        return;
    stamp now = env_now(d->courier.env);
    orders_pump(d->intake.orders);
    stamp due = queue_due(&d->queue, now), opens = gates_due(&d->queue, now);
    set_schedule(d, due < opens ? due : opens, now);
    free_idle_transports(d);
    reporter_pump(d->reporter);
    transport_pump(d->transport);
    keeper_consider(d->keeper);
    if (!d->courier.is_draining)
        return;
    settle_flush(d->courier.settle);
    if (is_quiet(d))
        finish_drain(d);
}

static void on_due(void *ctx)
{
    struct delivery *d = ctx;
    d->next_due = STAMP_NEVER; /* the turn's end looks */
}

static void on_settled(void *ctx)
{
    (void)ctx; /* the turn's end looks */
}

static void on_unreported(void *ctx, uint64_t id)
{
    struct delivery *d = ctx;
    if (d->reporter)
        reporter_note(d->reporter, id);
}

/* A warning that goes the way of the mail that it warns of comes no sooner. */
static bool may_warn(void *ctx)
{
    const struct delivery *d = ctx;
    const struct site *next_host = d->transport ? d->transport->site : NULL;
    return !d->courier.is_held && (!next_host || next_host->failures == 0);
}

static void on_finished(void *ctx, const struct parcel *p)
{
    struct delivery *d = ctx;
    bodies_remove(d->courier.env, p);
}

/* ---- the parent's wishes ---- */

static void on_reload(void *ctx)
{
    struct delivery *d = ctx;
    d->courier.is_held = d->role->conf->delivery.hold;
    reporter_configure(d->reporter, d->role->conf);
    carrier_set_max_waste(d->carrier, d->role->conf->journal.max_waste);
    open_transport(d, "the one before the reload stays");
}

static void on_drain_timeout(void *ctx)
{
    struct delivery *d = ctx;
    log_warning("drain-cut-short", LOG_C("effect", "what is being sent is tried again"));
    finish_drain(d);
}

static void on_drain(void *ctx)
{
    struct delivery *d = ctx;
    if (d->courier.is_draining)
        return;
    d->courier.is_draining = true;
    carrier_stop(d->carrier);
    timer_set(&d->drain, DRAIN);
    after_turn(d);
}

/* ---- beginning and end ---- */

static uint64_t parent_of(void *ctx, uint64_t customer)
{
    struct delivery *d = ctx;
    return directory_parent(d->courier.directory, customer);
}

static void on_hurry(void *ctx, struct destination *to)
{
    struct delivery *d = ctx;
    if (d->transport)
        transport_hurry(d->transport, to);
}

static int open_parts(struct delivery *d)
{
    struct courier *c = &d->courier;
    int err = letter_store_open(&c->store, c->env);
    if (err < 0)
        return err;
    letter_store_follow(c->store, &d->role->pages->watermark[ROLE_SMTPD],
                        &d->role->pages->watermark[ROLE_DELIVERY]);
    c->jobs = jobs_new(JOB_THREADS, JOBS_WAITING);
    if (!c->jobs)
        return -EAGAIN;
    return intake_open(&d->intake);
}

/* Small segments are to go as soon as large ones, counted in segments. */
static uint64_t snapshot_bytes(const struct conf *conf)
{
    uint64_t bytes =
        conf->journal.segment > SNAPSHOT_LEAST ? conf->journal.segment : SNAPSHOT_LEAST;
    return bytes < KEEPER_BYTES ? bytes : KEEPER_BYTES;
}

static void begin(struct delivery *d)
{
    struct role *role = d->role;
    struct courier *c = &d->courier;
    const struct intake *in = &d->intake;
    const struct keeper_config keeper = {
        .env = c->env,
        .loop = c->loop,
        .jobs = c->jobs,
        .queue = &d->queue,
        .tail = in->tail,
        .settle = c->settle,
        .bytes = snapshot_bytes(role->conf),
        .follow = in->follow,
        .orders = in->orders,
    };
    d->keeper = keeper_new(&keeper);
    const struct reporter_config report = {c, role->conf, in->highest_id, may_warn, d};
    d->reporter = reporter_new(&report);
    const struct carrier_config carrier = {
        .env = c->env,
        .loop = c->loop,
        .jobs = c->jobs,
        .queue = &d->queue,
        .settle = c->settle,
        .keeper = d->keeper,
        .store = c->store,
        .watermark = {[ID_SMTPD] = &role->pages->watermark[ROLE_SMTPD],
                      [ID_DELIVERY] = &role->pages->watermark[ROLE_DELIVERY]},
        .max_waste = role->conf->journal.max_waste,
    };
    d->carrier = carrier_new(&carrier);
    upkeep_begin(&d->upkeep, c, role, in->tail);
    d->admin = (struct admin){c, in->tail, d->keeper, in->follow, in->orders, d->transport};
    int query = role_fd(role, "query");
    if (query >= 0)
        d->query = query_server_new(c->loop, query, admin_answer, &d->admin);
    timer_init(&d->schedule, c->loop, on_due, d);
    timer_init(&d->drain, c->loop, on_drain_timeout, d);
    d->next_due = STAMP_NEVER;
    loop_after_turn(c->loop, after_turn, d);
    role->ctx = d;
    role->on_reload = on_reload;
    role->on_drain = on_drain;
}

static void close_transports(struct delivery *d)
{
    if (d->courier.jobs)
        jobs_free(&d->courier.jobs);
    if (d->transport) {
        list_push(&d->old, &d->transport->node);
        queue_move(&d->queue, NULL, &d->limbo);
    }
    struct list *n;
    while ((n = list_pop(&d->old))) {
        struct transport *t = LIST_ITEM(n, struct transport, node);
        transport_abort(t);
        transport_free(&t);
    }
}

static void close_all(struct delivery *d)
{
    struct role *role = d->role;
    role->on_reload = role->on_drain = NULL;
    query_server_free(&d->query);
    if (d->keeper) {
        timer_cancel(&d->schedule);
        upkeep_end(&d->upkeep);
        timer_cancel(&d->drain);
        int err = keeper_save(d->keeper);
        if (err < 0)
            log_warning("snapshot-not-written", LOG_E("error", err));
    }
    d->queue.on_finished = NULL;
    reporter_free(&d->reporter);
    close_transports(d);
    resolver_free(&d->courier.resolver);
    settle_free(&d->courier.settle);
    carrier_free(&d->carrier);
    keeper_free(&d->keeper);
    intake_fini(&d->intake);
    queue_fini(&d->queue);
    destination_fini(&d->limbo);
    letter_store_close(&d->courier.store);
    directory_free(&d->courier.directory);
}

int delivery_run(struct role *role)
{
    struct delivery *d = xcalloc(1, sizeof(*d));
    uint64_t seed[2];
    d->role = role;
    env_random(role->env, seed, sizeof(seed));
    queue_init(&d->queue, seed);
    d->queue.on_finished = on_finished;
    d->queue.on_unreported = on_unreported;
    d->queue.ctx = d;
    d->queue.gates.parent_of = parent_of;
    d->queue.gates.ctx = d;
    destination_init(&d->queue, &d->limbo);
    list_init(&d->old);
    d->courier = (struct courier){
        .env = role->env,
        .loop = role->loop,
        .queue = &d->queue,
        .directory = directory_new(seed),
        .stats = &role->pages->stats,
        .is_held = role->conf->delivery.hold,
    };
    const struct intake_config intake = {role, &d->courier, &d->limbo, on_settled, on_hurry, d};
    intake_init(&d->intake, &intake);
    bool is_open = open_parts(d) == 0 && open_transport(d, "nothing can be delivered");
    if (is_open) {
        begin(d);
        role_ready(role);
        loop_run(role->loop);
    }
    close_all(d);
    free(d);
    return is_open ? 0 : 1;
}
