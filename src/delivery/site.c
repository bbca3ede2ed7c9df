#include "delivery/site.h"

#include "base/arena.h"
#include "base/log.h"
#include "delivery/session.h"

#include <stdio.h>
#include <stdlib.h>

static const span QUIET = 10 * SPAN_SECOND;
static const span PLAIN = 10 * SPAN_MINUTE;
static const span EXPIRE_ON = 50 * SPAN_MS;

static void on_timer(void *ctx)
{
    site_pump(ctx);
}

/* What is too old while the host is away, in portions that leave the loop its time. */
static void expire(void *ctx)
{
    struct site *s = ctx;
    if (s->failures > 0 && !s->is_closing &&
        courier_expire(s->courier, &s->settings.retry, &s->destination, s->stage, s->status,
                       slice_of(s->remote), slice_of(s->text)))
        timer_set(&s->expiring, EXPIRE_ON);
}

static void on_found(void *ctx, enum relay_fault fault)
{
    struct site *s = ctx;
    if (fault == FAULT_NONE) {
        site_pump(s);
        return;
    }
    struct site_failure f = {
        .outcome = outcome_of(STAGE_CONNECT, NULL, fault),
        .stage = STAGE_CONNECT,
        .text = slice_of(fault_name(fault)),
        .remote = slice_of(s->settings.host),
        .address = TARGET_ADDRESSES_MAX,
        .round = s->round,
    };
    site_failed(s, &f);
}

static bool make_tls(struct site *s, slice ca, struct buf *why)
{
    enum relay_tls mode = s->settings.relay.tls;
    if (mode == RELAY_TLS_NONE)
        return true;
    struct tls_options o = {
        .verify = mode == RELAY_TLS_VERIFY || mode == RELAY_TLS_IMPLICIT,
        .ca_pem = ca,
    };
    s->tls = tls_client(&o, why);
    return s->tls != NULL;
}

struct site *site_new(struct courier *c, const struct conf *conf, slice secret, slice ca,
                      struct buf *why)
{
    struct site *s = xcalloc(1, sizeof(*s));
    s->courier = c;
    settings_init(&s->settings, conf, secret);
    if (!make_tls(s, ca, why)) {
        settings_fini(&s->settings);
        free(s);
        return NULL;
    }
    destination_init(c->queue, &s->destination);
    target_init(&s->target, c->loop, c->jobs, s->settings.host);
    s->target.on_found = on_found;
    s->target.ctx = s;
    timer_init(&s->timer, c->loop, on_timer, s);
    timer_init(&s->expiring, c->loop, expire, s);
    list_init(&s->sessions);
    list_init(&s->idle);
    return s;
}

void site_abort(struct site *s)
{
    s->is_closing = true;
    while (!list_is_empty(&s->sessions))
        session_abort(LIST_ITEM(s->sessions.next, struct session, node));
}

void site_free(struct site **at)
{
    struct site *s = *at;
    if (!s)
        return;
    *at = NULL;
    INVARIANT(s->count == 0);
    timer_cancel(&s->timer);
    timer_cancel(&s->expiring);
    target_fini(&s->target);
    destination_fini(&s->destination);
    tls_unref(&s->tls);
    settings_fini(&s->settings);
    free(s);
}

bool site_may_begin(const struct site *s)
{
    return !s->is_closing && courier_may_send(s->courier);
}

static span later(span a, span b)
{
    return a > b ? a : b;
}

/* How many connections the work that is ready could use. */
static uint64_t wanted(const struct site *s)
{
    const struct destination *d = &s->destination;
    uint64_t busy = s->count - s->opening - s->idle_count;
    uint64_t work = d->ready_parcels + d->ready / s->settings.recipients_per_message;
    uint64_t most = s->failures > 0 ? 1 : s->settings.connections;
    return busy + work < most ? busy + work : most;
}

/* May a further connection be opened? If not now, the timer says when. */
static bool may_open(struct site *s)
{
    span now = loop_time(s->courier->loop);
    span from = later(s->pause_until, s->quiet_until);
    if (from <= now)
        return true;
    timer_set(&s->timer, from - now);
    return false;
}

static void open_more(struct site *s)
{
    while (s->count < wanted(s) && may_open(s)) {
        unsigned index;
        const struct address *address = target_address(&s->target, &index);
        if (!address)
            return;
        bool is_plain = s->plain_until > loop_time(s->courier->loop);
        session_open(s, address, index, is_plain);
    }
}

void site_pump(struct site *s)
{
    if (!site_may_begin(s)) {
        if (s->is_closing || s->courier->is_draining || s->courier->is_held)
            while (!list_is_empty(&s->idle))
                session_quit(LIST_ITEM(s->idle.next, struct session, idle));
        return;
    }
    while (s->destination.ready > 0 && !list_is_empty(&s->idle))
        session_work(LIST_ITEM(s->idle.next, struct session, idle));
    if (s->destination.ready > 0)
        open_more(s);
}

void site_close(struct site *s)
{
    s->is_closing = true;
    timer_cancel(&s->timer);
    site_pump(s);
}

bool site_is_idle(const struct site *s)
{
    return s->count == 0 && !target_is_looking(&s->target);
}

void site_reached(struct site *s)
{
    if (s->failures > 0)
        log_info("site-reached", LOG_C("host", s->settings.host),
                 LOG_I("port", s->settings.port), LOG_I("rounds", s->failures));
    s->failures = 0;
    s->pause_until = 0;
}

static void remember(struct site *s, const struct site_failure *f)
{
    s->failed_at = env_now(s->courier->env);
    s->stage = f->stage;
    s->status = f->outcome.status;
    snprintf(s->text, sizeof(s->text), "%.*s", SLICE_ARG(slice_to(f->text, SITE_TEXT_MAX)));
    snprintf(s->remote, sizeof(s->remote), "%.*s",
             SLICE_ARG(slice_to(f->remote, SITE_REMOTE_MAX)));
}

/* Nothing works: the site waits. */
static void back_off(struct site *s, const struct site_failure *f)
{
    struct courier *c = s->courier;
    uint32_t random;
    env_random(c->env, &random, sizeof(random));
    s->failures++;
    s->round++;
    span wait = schedule_backoff(&s->settings.retry, s->failures, random);
    s->pause_until = loop_time(c->loop) + wait;
    timer_set(&s->timer, wait);
    log_warning("site-unreachable", LOG_S("remote", f->remote), LOG_S("reply", f->text),
                LOG_C("stage", stage_name(f->stage)), LOG_I("rounds", s->failures),
                LOG_I("again-in-ms", wait / SPAN_MS), LOG_I("ready", s->destination.ready));
    expire(s);
}

void site_failed(struct site *s, const struct site_failure *f)
{
    remember(s, f);
    if (f->outcome.next == NEXT_PLAIN) {
        log_warning("tls-failed", LOG_S("remote", f->remote), LOG_S("reply", f->text),
                    LOG_C("effect", "plain text for a while"));
        s->plain_until = loop_time(s->courier->loop) + PLAIN;
        return;
    }
    if (s->is_closing || s->courier->is_draining || f->round != s->round)
        return;
    if (f->outcome.next == NEXT_ADDRESS && target_next(&s->target, f->address)) {
        log_info("address-failed", LOG_S("remote", f->remote), LOG_S("reply", f->text),
                 LOG_C("stage", stage_name(f->stage)));
        return;
    }
    if (s->count > s->opening) { /* others are signed on */
        s->quiet_until = loop_time(s->courier->loop) + QUIET;
        log_info("connection-failed", LOG_S("remote", f->remote), LOG_S("reply", f->text),
                 LOG_C("stage", stage_name(f->stage)), LOG_I("working", s->count - s->opening));
        return;
    }
    back_off(s, f);
}
