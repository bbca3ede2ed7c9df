#include "delivery/reporter.h"

#include "base/log.h"
#include "delivery/report_write.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    REPORTS_PER_TURN = 50,
    FLYING_MAX = 500,            /* with the journal */
    FLYING_BYTES_MAX = 32 << 20, /* and their octets */
    SCAN_BUCKETS_LEAST = 4096,
    HOSTNAME_MAX = 256,
};
static const span LOOK_AGAIN = 50 * SPAN_MS; /* doubles */
static const span LOOK_AGAIN_MOST = 10 * SPAN_SECOND;
static const span TRY_AGAIN = SPAN_MINUTE; /* the message's record cannot be read */
static const span SCAN = SPAN_SECOND;
enum { SCAN_ROUNDS = 60 };

/* A message of which something is to be reported. */
struct entry {
    struct heap_node due; /* loop time at which it is looked at */
    struct reporter *report;
    uint64_t id;
    span first; /* when it was noted */
    span wait;
    size_t bytes; /* of its notification, which is with the journal */
};

struct reporter {
    struct reporter_config config;
    struct id_source ids;
    struct map entries; /* by message */
    struct heap due;
    struct timer timer; /* the next entry */
    struct timer scan;
    size_t scan_at;
    struct letter letter;
    span warn_after;
    span expiry;
    size_t flying;
    size_t flying_bytes;
    char hostname[HOSTNAME_MAX];
};

static void on_timer(void *ctx)
{
    (void)ctx; /* the turn's end looks */
}

static void on_scan(void *ctx);

void reporter_configure(struct reporter *r, const struct conf *conf)
{
    snprintf(r->hostname, sizeof(r->hostname), "%.*s", SLICE_ARG(conf->server.hostname));
    r->warn_after = conf->delivery.warn_after;
    r->expiry = conf->delivery.expiry;
}

struct reporter *reporter_new(const struct reporter_config *c)
{
    struct courier *courier = c->courier;
    struct reporter *r = xcalloc(1, sizeof(*r));
    r->config = *c;
    id_source_init(&r->ids, (uint8_t)c->conf->server.node, ID_DELIVERY);
    id_source_raise(&r->ids, c->highest_id);
    map_init(&r->entries, courier->queue->seed);
    letter_init(&r->letter, courier->env, courier->store);
    timer_init(&r->timer, courier->loop, on_timer, r);
    timer_init(&r->scan, courier->loop, on_scan, r);
    reporter_configure(r, c->conf);
    r->config.conf = NULL;
    timer_set(&r->scan, 0);
    return r;
}

static void forget(struct entry *e)
{
    struct reporter *r = e->report;
    map_remove(&r->entries, MAP_KEY(e->id));
    heap_remove(&r->due, &e->due);
    free(e);
}

void reporter_free(struct reporter **at)
{
    struct reporter *r = *at;
    size_t i = 0;
    void *value;
    if (!r)
        return;
    *at = NULL;
    while (map_next(&r->entries, &i, NULL, &value))
        forget(value);
    map_fini(&r->entries);
    heap_fini(&r->due);
    timer_cancel(&r->timer);
    timer_cancel(&r->scan);
    letter_fini(&r->letter);
    free(r);
}

void reporter_note(struct reporter *r, uint64_t id)
{
    if (map_get(&r->entries, MAP_KEY(id)))
        return;
    struct entry *e = xcalloc(1, sizeof(*e));
    e->report = r;
    e->id = id;
    e->first = loop_time(r->config.courier->loop);
    e->wait = LOOK_AGAIN;
    map_put(&r->entries, MAP_KEY(e->id), e);
    heap_set(&r->due, &e->due, e->first);
}

/* ---- looking for what is to be reported ---- */

static bool is_delayed(const struct reporter *r, const struct parcel *p, stamp now)
{
    bool has_one = false;
    span expiry = r->expiry, warn_after = r->warn_after;
    if (parcel_is_stopped(p)) /* a warning would be, too */
        return false;
    for (uint32_t i = 0; i < p->count && !has_one; i++)
        has_one = recipient_is_delayed(&p->recipients[i]);
    if (!has_one)
        return false;
    courier_patience(r->config.courier, p->facts.account, &expiry, &warn_after);
    return warn_after > 0 && now - p->facts.accepted >= warn_after;
}

struct search {
    struct reporter *report;
    stamp now;
    bool may_warn;
};

static bool look_at(void *ctx, struct parcel *p)
{
    const struct search *s = ctx;
    bool is_due = p->failed > 0;
    if (!is_due && s->may_warn && p->living > 0)
        is_due = is_delayed(s->report, p, s->now);
    if (is_due)
        reporter_note(s->report, p->facts.id);
    return true;
}

static bool may_warn(const struct reporter *r)
{
    return !r->config.may_warn || r->config.may_warn(r->config.ctx);
}

/* A part of the queue, so that all of it was seen in a minute. */
static void on_scan(void *ctx)
{
    struct reporter *r = ctx;
    const struct courier *c = r->config.courier;
    struct search s = {r, env_now(c->env), may_warn(r)};
    size_t buckets = c->queue->bucket_count / SCAN_ROUNDS;
    if (buckets < SCAN_BUCKETS_LEAST)
        buckets = SCAN_BUCKETS_LEAST;
    queue_scan(c->queue, &r->scan_at, buckets, look_at, &s);
    timer_set(&r->scan, SCAN);
}

/* ---- one message ---- */

/* Is any recipient of the message in hand, or about to be? */
static bool is_round_over(const struct queue *q, uint64_t id)
{
    for (struct parcel *p = queue_find(q, id); p; p = queue_also(p)) {
        if (p->ready > 0)
            return false;
        for (uint32_t i = 0; i < p->count; i++)
            if (p->recipients[i].state == RECIPIENT_SENDING)
                return false;
    }
    return true;
}

static bool has_unreported(const struct queue *q, uint64_t id)
{
    struct parcel *p = queue_find(q, id);
    while (p && p->failed == 0)
        p = queue_also(p);
    return p != NULL;
}

static void on_written(void *ctx, int result)
{
    struct entry *e = ctx;
    struct reporter *r = e->report;
    uint64_t id = e->id;
    INVARIANT(result == 0); /* it is appended until it is synced */
    r->flying--;
    r->flying_bytes -= e->bytes;
    forget(e);
    if (has_unreported(r->config.courier->queue, id))
        reporter_note(r, id);
}

static void log_round(const struct round *round, uint64_t id)
{
    if (round->impossible > 0)
        log_warning("not-reported", LOG_ID("id", round->id),
                    LOG_I("recipients", round->impossible),
                    LOG_C("why", "the message has no sender to be told"));
    if (round->unwanted > 0)
        log_debug("not-reported", LOG_ID("id", round->id), LOG_I("recipients", round->unwanted),
                  LOG_C("why", "as the sender asked"));
    if (id != 0)
        log_info("reported", LOG_ID("id", round->id), LOG_ID("notification", id),
                 LOG_S("to", round->reverse_path), LOG_I("recipients", round->count),
                 LOG_C("failed", round->has_failed ? "yes" : "no"));
}

static void count_round(struct stats_page *s, const struct round *round, uint64_t id)
{
    if (id != 0)
        atomic_fetch_add_explicit(&s->notifications, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->unreportable, round->impossible, memory_order_relaxed);
}

static void hand_in(struct entry *e, struct round *round, uint64_t id, struct buf *fields,
                    struct buf *body)
{
    struct reporter *r = e->report;
    const struct courier *c = r->config.courier;
    const struct settle_message m = {
        .header =
            {
                .type = RECORD_DSN,
                .at = round->now,
                .customer = round->facts.customer,
                .account = round->facts.account,
            },
        .fields = *fields,
        .body = *body,
        .done = on_written,
        .ctx = e,
    };
    log_round(round, id);
    count_round(c->stats, round, id);
    e->bytes = fields->len + body->len;
    heap_remove(&r->due, &e->due);
    r->flying++;
    r->flying_bytes += e->bytes;
    settle_message(c->settle, &m);
}

static void put_off(struct entry *e, span wait)
{
    heap_set(&e->report->due, &e->due, loop_time(e->report->config.courier->loop) + wait);
}

static void write_round(struct entry *e, struct round *round)
{
    struct buf fields = BUF_INIT, body = BUF_INIT;
    uint64_t id = round->count > 0 ? id_next(&e->report->ids, round->now) : 0;
    int err = round_write(round, id, &fields, &body);
    if (err == 0) {
        hand_in(e, round, id, &fields, &body);
        return;
    }
    buf_fini(&fields);
    buf_fini(&body);
    log_error("not-reported", LOG_ID("id", e->id), LOG_E("error", err),
              LOG_C("effect", "it is tried again later"));
    put_off(e, TRY_AGAIN);
}

static void report_message(struct entry *e)
{
    struct reporter *r = e->report;
    struct courier *c = r->config.courier;
    struct parcel *p = queue_find(c->queue, e->id);
    struct round round = {
        .courier = c,
        .letter = &r->letter,
        .hostname = slice_of(r->hostname),
        .id = e->id,
        .now = env_now(c->env),
        .warn_after = r->warn_after,
        .expiry = r->expiry,
    };
    if (p)
        courier_patience(c, p->facts.account, &round.expiry, &round.warn_after);
    if (!may_warn(r))
        round.warn_after = 0;
    int found = round_collect(&round);
    if (found > 0) {
        write_round(e, &round);
    } else if (found == 0) {
        forget(e);
    } else {
        log_error("not-reported", LOG_ID("id", e->id), LOG_E("error", found),
                  LOG_C("effect", "it is tried again later"));
        put_off(e, TRY_AGAIN);
    }
    round_fini(&round);
}

/* ---- the turn ---- */

static bool may_write(const struct reporter *r)
{
    const struct courier *c = r->config.courier;
    return !c->is_draining && settle_is_well(c->settle) && r->flying < FLYING_MAX &&
           r->flying_bytes < FLYING_BYTES_MAX;
}

static void look(struct entry *e, span now)
{
    const struct queue *q = e->report->config.courier->queue;
    if (now - e->first >= REPORT_GATHER || is_round_over(q, e->id)) {
        report_message(e);
        return;
    }
    put_off(e, e->wait);
    e->wait = e->wait < LOOK_AGAIN_MOST / 2 ? e->wait * 2 : LOOK_AGAIN_MOST;
}

void reporter_pump(struct reporter *r)
{
    span now = loop_time(r->config.courier->loop);
    struct heap_node *n;
    for (unsigned i = 0; i < REPORTS_PER_TURN && may_write(r); i++) {
        n = heap_peek(&r->due);
        if (!n || n->key > now)
            break;
        look(CONTAINER_OF(n, struct entry, due), now);
    }
    n = heap_peek(&r->due);
    if (!n || !may_write(r))
        timer_cancel(&r->timer); /* what is awaited makes a turn */
    else
        timer_set(&r->timer, n->key > now ? n->key - now : 0);
}
