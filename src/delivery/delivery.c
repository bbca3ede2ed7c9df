#include "delivery/delivery.h"

#include "base/arena.h"
#include "base/log.h"
#include "delivery/admin.h"
#include "delivery/bodies.h"
#include "delivery/gate.h"
#include "delivery/reporter.h"
#include "delivery/carrier.h"
#include "net/follow.h"
#include "journal/readers.h"
#include "net/journal_watch.h"
#include "net/query.h"

#include <errno.h>
#include <stdlib.h>

/* Lookups, capture and snapshots: all of them wait for something. */
enum { JOB_THREADS = 4, JOBS_WAITING = 64, SWEEP_TICKS = 10 };

static const char SMTPD_JOURNAL[] = "journal/smtpd";
static const char DELIVERY_JOURNAL[] = "journal/delivery";

static const uint64_t SNAPSHOT_LEAST = 1024 * 1024;
static const span TICK = SPAN_SECOND;
static const span DRAIN = 25 * SPAN_SECOND;

struct delivery {
    struct role *role;
    struct courier courier;
    struct queue queue;
    struct destination limbo; /* of what was loaded, before there is a transport */
    struct replay replay;
    struct transport *transport;
    struct list old; /* transports before a reload */
    struct tail *tail;
    struct orders *orders;
    struct follow *follow;
    struct loop_watch *wake; /* a journal that is read here has grown */
    struct keeper *keeper;
    struct carrier *carrier;
    struct bodies bodies;
    struct reporter *reporter;
    struct admin admin;
    struct query_server *query;
    struct timer schedule; /* the next recipient that is due */
    stamp next_due;        /* for which it is set */
    struct timer tick;
    unsigned ticks;
    struct journal_watch watch;
    struct job journal_sweep;
    bool is_sweeping;
    struct timer sweep;
    struct timer drain;
    uint64_t highest_id; /* of our own journal, at the start */
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
    d->replay.destination = transport_destination(t);
    d->admin.transport = t;
}

/* ---- the turn ---- */

static bool is_quiet(const struct delivery *d)
{
    return !d->is_sweeping && transport_is_idle(d->transport) && list_is_empty(&d->old) &&
           settle_is_idle(d->courier.settle) && keeper_is_idle(d->keeper) &&
           carrier_is_idle(d->carrier);
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
    orders_pump(d->orders);
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

static void publish(struct delivery *d)
{
    struct stats_page *s = d->courier.stats;
    struct journal_numbers n;
    settle_numbers(d->courier.settle, &n);
    journal_watch_look(&d->watch, d->role, &n);
    atomic_store_explicit(&s->queued, d->queue.living, memory_order_relaxed);
    atomic_store_explicit(&s->failed_unreported, d->queue.failed, memory_order_relaxed);
}

static void sweep_journal(struct job *j)
{
    struct delivery *d = CONTAINER_OF(j, struct delivery, journal_sweep);
    int removed = settle_sweep(d->courier.settle);
    if (removed < 0)
        log_warning("sweep-failed", LOG_C("journal", DELIVERY_JOURNAL),
                    LOG_E("error", removed));
    else if (removed > 0)
        log_info("segments-removed", LOG_C("journal", DELIVERY_JOURNAL),
                 LOG_I("count", removed));
}

static void journal_swept(struct job *j)
{
    CONTAINER_OF(j, struct delivery, journal_sweep)->is_sweeping = false;
}

static void on_tick(void *ctx)
{
    struct delivery *d = ctx;
    publish(d);
    timer_set(&d->tick, TICK);
    if (++d->ticks % SWEEP_TICKS != 0 || d->is_sweeping)
        return;
    d->journal_sweep = (struct job){sweep_journal, journal_swept, d->role->loop, {0}, NULL};
    d->is_sweeping = jobs_submit(d->courier.jobs, &d->journal_sweep) == 0;
}

static void on_sweep(void *ctx)
{
    struct delivery *d = ctx;
    timer_set(&d->sweep, BODIES_INTERVAL);
    if (!tail_has_caught_up(d->tail))
        return;
    int removed = bodies_sweep(&d->bodies, &d->queue);
    if (removed != 0)
        log_info("large-bodies-swept", LOG_I("removed", removed));
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
    struct buf why = BUF_INIT;
    d->courier.is_held = d->role->conf->delivery.hold;
    reporter_configure(d->reporter, d->role->conf);
    carrier_set_max_waste(d->carrier, d->role->conf->journal.max_waste);
    struct transport *t = transport_new(&d->courier, d->role, &why);
    if (t)
        use_transport(d, t);
    else
        log_error("transport-unusable", LOG_S("why", buf_slice(&why)),
                  LOG_C("effect", "the one before the reload stays"));
    buf_fini(&why);
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

/* Control's journal is read on from where the queue had obeyed it. */
static void open_follow(struct delivery *d, uint64_t position)
{
    struct role *role = d->role;
    const struct orders_config orders = {
        .courier = &d->courier,
        .smtpd = &role->pages->watermark[ROLE_SMTPD],
        .on_hurry = on_hurry,
        .ctx = d,
    };
    d->orders = orders_new(&orders);
    const struct follow_config follow = {
        .env = role->env,
        .loop = role->loop,
        .jobs = d->courier.jobs,
        .directory = d->courier.directory,
        .watermark = &role->pages->watermark[ROLE_CONTROL],
        .wake = -1,
        .journal = "journal/control",
        .snapshot = "snapshot/delivery/directory",
        .on_record = orders_record,
        .ctx = d->orders,
        .from = position,
    };
    d->follow = follow_new(&follow);
}

/* The snapshot, and delivery's own journal behind it, before anything new is appended there. */
static int restore(struct delivery *d)
{
    struct role *role = d->role;
    uint64_t position[SNAPSHOT_JOURNALS];
    int err = keeper_load(role->env, &d->queue, &d->limbo, position);
    if (err < 0) {
        log_error("snapshot-unreadable", LOG_C("path", KEEPER_PATH), LOG_E("error", err));
        return err;
    }
    uint64_t smtpd = position[ID_SMTPD], own = position[ID_DELIVERY];
    replay_set_snapshot(&d->replay, smtpd);
    size_t reader_count;
    const char *const *readers = journal_readers(ID_DELIVERY, &reader_count);
    open_follow(d, position[ID_CONTROL]);
    const struct settle_config settle = {
        .loop = role->loop,
        .replay = &d->replay,
        .journal =
            {
                .env = role->env,
                .dir = DELIVERY_JOURNAL,
                .node = (uint16_t)role->conf->server.node,
                .self = ID_DELIVERY,
                .watermark = &role->pages->watermark[ROLE_DELIVERY],
                .wake = &role->wake[ROLE_CONTROL],
                .wake_count = 1,
                .segment_bytes = role->conf->journal.segment,
                .linger = role->conf->journal.linger,
                .readers = readers,
                .reader_count = reader_count,
            },
        .on_settled = on_settled,
        .ctx = d,
    };
    struct journal_recovery recovery;
    err = settle_new(&d->courier.settle, &settle, &recovery);
    d->highest_id = recovery.highest_id;
    if (err < 0) {
        log_error("journal-unusable", LOG_C("journal", DELIVERY_JOURNAL), LOG_E("error", err));
        return err;
    }
    struct tail_config tail = {
        .env = role->env,
        .loop = role->loop,
        .journal = DELIVERY_JOURNAL,
        .watermark = &role->pages->watermark[ROLE_DELIVERY],
        .wake = -1,
        .replay = &d->replay,
        .position = own,
    };
    err = tail_read_all(&tail, &own);
    if (err < 0) {
        log_error("journal-unreadable", LOG_C("journal", DELIVERY_JOURNAL),
                  LOG_E("error", err));
        return err;
    }
    settle_set_position(d->courier.settle, own);
    tail.journal = SMTPD_JOURNAL;
    tail.watermark = &role->pages->watermark[ROLE_SMTPD];
    tail.position = smtpd;
    d->tail = tail_new(&tail);
    orders_begin(d->orders, d->tail);
    log_info("queue-restored", LOG_I("recipients", d->queue.living),
             LOG_I("failed", d->queue.failed), LOG_I("smtpd-position", smtpd),
             LOG_I("delivery-position", own));
    return 0;
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
    return restore(d);
}

static int open_transport(struct delivery *d)
{
    struct buf why = BUF_INIT;
    struct transport *t = transport_new(&d->courier, d->role, &why);
    if (t)
        use_transport(d, t);
    else
        log_error("transport-unusable", LOG_S("why", buf_slice(&why)));
    buf_fini(&why);
    return t ? 0 : -EINVAL;
}

static void on_wake(void *ctx)
{
    struct delivery *d = ctx;
    follow_wake(d->follow);
    tail_wake(d->tail);
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
    struct keeper_config keeper = {c->env,
                                   c->loop,
                                   c->jobs,
                                   &d->queue,
                                   d->tail,
                                   c->settle,
                                   .bytes = snapshot_bytes(role->conf),
                                   .follow = d->follow,
                                   .orders = d->orders};
    d->keeper = keeper_new(&keeper);
    const struct reporter_config report = {c, role->conf, d->highest_id, may_warn, d};
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
    d->bodies.env = c->env;
    d->admin.courier = c;
    d->admin.tail = d->tail;
    d->admin.keeper = d->keeper;
    d->admin.follow = d->follow;
    d->admin.orders = d->orders;
    int query = role_fd(role, "query");
    if (query >= 0)
        d->query = query_server_new(c->loop, query, admin_answer, &d->admin);
    if (role->wake[ROLE_DELIVERY] >= 0)
        d->wake = loop_watch(c->loop, role->wake[ROLE_DELIVERY], on_wake, d);
    timer_init(&d->schedule, c->loop, on_due, d);
    timer_init(&d->tick, c->loop, on_tick, d);
    timer_init(&d->sweep, c->loop, on_sweep, d);
    timer_init(&d->drain, c->loop, on_drain_timeout, d);
    d->next_due = STAMP_NEVER;
    timer_set(&d->tick, TICK);
    timer_set(&d->sweep, SPAN_MINUTE);
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
    loop_unwatch(&d->wake);
    if (d->keeper) {
        timer_cancel(&d->schedule);
        timer_cancel(&d->tick);
        timer_cancel(&d->sweep);
        timer_cancel(&d->drain);
        int err = keeper_save(d->keeper);
        if (err < 0)
            log_warning("snapshot-not-written", LOG_E("error", err));
    }
    d->queue.on_finished = NULL;
    reporter_free(&d->reporter);
    close_transports(d);
    follow_free(&d->follow);
    resolver_free(&d->courier.resolver);
    settle_free(&d->courier.settle);
    carrier_free(&d->carrier);
    orders_free(&d->orders);
    keeper_free(&d->keeper);
    tail_free(&d->tail);
    replay_fini(&d->replay);
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
    replay_init(&d->replay, &d->queue, &d->limbo);
    list_init(&d->old);
    d->courier = (struct courier){
        .env = role->env,
        .loop = role->loop,
        .queue = &d->queue,
        .directory = directory_new(seed),
        .stats = &role->pages->stats,
        .is_held = role->conf->delivery.hold,
    };
    int err = open_parts(d);
    if (err == 0)
        err = open_transport(d);
    if (err == 0) {
        begin(d);
        role_ready(role);
        loop_run(role->loop);
    }
    close_all(d);
    free(d);
    return err == 0 ? 0 : 1;
}
