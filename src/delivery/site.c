#include "delivery/site.h"

#include "base/arena.h"
#include "base/log.h"
#include "delivery/session.h"

#include <stdio.h>
#include <stdlib.h>

static const span QUIET = 10 * SPAN_SECOND;
static const span PLAIN = 10 * SPAN_MINUTE;
static const span TELL_ON = 50 * SPAN_MS;

static void on_timer(void *ctx)
{
    site_pump(ctx);
}

/* What is too old while the host is away. True: there is more. */
static bool expire(struct site *s)
{
    return s->failures > 0 && !s->is_closing &&
           courier_expire(s->courier, &s->settings.retry, &s->destination, s->stage,
                          s->outcome.status, slice_of(s->remote), slice_of(s->text));
}

/* The failure of an attempt, for each recipient that is READY at a domain. */
static bool settle_ready(struct site *s)
{
    struct attempt a = {
        .outcome = s->outcome,
        .stage = s->stage,
        .text = slice_of(s->text),
        .remote = slice_of(s->remote),
    };
    s->is_settling = courier_settle_ready(s->courier, &s->settings.retry, &s->destination, &a);
    return s->is_settling;
}

/* Tells in portions that leave the loop its time. */
static void tell(void *ctx)
{
    struct site *s = ctx;
    if (s->pool ? settle_ready(s) : expire(s))
        timer_set(&s->telling, TELL_ON);
    else
        site_wake(s);
}

static void on_found(void *ctx, const struct target_trouble *trouble)
{
    struct site *s = ctx;
    if (!trouble) {
        site_pump(s);
        return;
    }
    struct site_failure f = {
        .outcome = trouble->outcome,
        .stage = trouble->stage,
        .text = trouble->text,
        .remote = slice_of(s->name),
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

void site_pool_init(struct site_pool *p, unsigned most)
{
    *p = (struct site_pool){.most = most};
    list_init(&p->awake);
    list_init(&p->starved);
    list_init(&p->idle);
}

static struct site *make(struct courier *c, slice name)
{
    struct site *s = xcalloc(1, sizeof(*s));
    s->courier = c;
    s->name = xcalloc(1, name.len + 1);
    memcpy(s->name, name.ptr, name.len);
    destination_init(c->queue, &s->destination);
    timer_init(&s->timer, c->loop, on_timer, s);
    timer_init(&s->telling, c->loop, tell, s);
    list_init(&s->sessions);
    list_init(&s->idle);
    return s;
}

struct site *site_new(struct courier *c, const struct conf *conf, slice secret, slice ca,
                      struct buf *why)
{
    struct site *s = make(c, conf->smarthost.host);
    settings_init(&s->settings, conf, secret);
    target_init_host(&s->target, c->loop, c->jobs, s->name);
    s->target.on_found = on_found;
    s->target.ctx = s;
    if (!make_tls(s, ca, why))
        site_free(&s);
    return s;
}

struct site *site_new_domain(struct courier *c, const struct settings *settings,
                             struct tls_context *tls, const struct route_policy *policy,
                             struct site_pool *pool, slice domain)
{
    struct site *s = make(c, domain);
    s->pool = pool;
    s->destination.awake = &pool->awake;
    s->settings = *settings;
    s->settings.arena = ARENA_INIT; /* its texts are the owner's */
    s->tls = tls ? tls_ref(tls) : NULL;
    target_init_domain(&s->target, c->loop, c->env, c->resolver, policy, s->name);
    s->target.on_found = on_found;
    s->target.ctx = s;
    return s;
}

struct site *site_of(struct destination *d)
{
    return CONTAINER_OF(d, struct site, destination);
}

void site_wake(struct site *s)
{
    if (!s->pool)
        return; /* it is pumped after every turn */
    list_remove(&s->destination.node);
    list_push(&s->pool->awake, &s->destination.node);
}

void site_hurry(struct site *s)
{
    s->pause_until = s->quiet_until = 0;
    site_wake(s);
}

void site_opened(struct site *s)
{
    s->count++;
    s->opening++;
    if (s->pool)
        s->pool->count++;
}

void site_closed(struct site *s)
{
    s->count--;
    site_wake(s);
    if (!s->pool)
        return;
    s->pool->count--;
    struct list *starved = list_pop(&s->pool->starved);
    if (starved) /* before all that are awake, this site among them */
        list_insert_before(s->pool->awake.next, starved);
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
    timer_cancel(&s->telling);
    target_fini(&s->target);
    destination_fini(&s->destination);
    tls_unref(&s->tls);
    settings_fini(&s->settings);
    free(s->name);
    free(s);
}

bool site_may_begin(const struct site *s)
{
    return !s->is_closing && courier_may_send(s->courier);
}

bool site_is_in_the_way(const struct site *s)
{
    return s->pool && !list_is_empty(&s->pool->starved);
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

/* It gets the next connection that becomes free, and one that is idle makes room. */
static void starve(struct site *s)
{
    struct site_pool *p = s->pool;
    list_remove(&s->destination.node);
    list_push(&p->starved, &s->destination.node);
    if (!list_is_empty(&p->idle))
        session_quit(LIST_ITEM(p->idle.next, struct session, pool_idle));
}

static void open_more(struct site *s)
{
    while (s->count < wanted(s) && may_open(s)) {
        unsigned index;
        const struct target_address *address = target_address(&s->target, &index);
        if (!address)
            return;
        if (s->pool && s->pool->count >= s->pool->most) {
            starve(s);
            return;
        }
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
    if (s->destination.ready > 0 && !s->is_settling)
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
        log_info("site-reached", LOG_C("host", s->name), LOG_I("port", s->settings.port),
                 LOG_I("rounds", s->failures));
    s->failures = 0;
    s->pause_until = 0;
    site_wake(s);
}

static void remember(struct site *s, const struct site_failure *f)
{
    s->failed_at = env_now(s->courier->env);
    s->stage = f->stage;
    s->outcome = f->outcome;
    snprintf(s->text, sizeof(s->text), "%.*s", SLICE_ARG(slice_to(f->text, SITE_TEXT_MAX)));
    snprintf(s->remote, sizeof(s->remote), "%.*s",
             SLICE_ARG(slice_to(f->remote, SITE_REMOTE_MAX)));
}

/* Nothing works: the site waits, and of a domain all that wait there are told. What is our own
 * fault is no attempt. */
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
    if (!s->pool || !f->is_local)
        tell(s);
}

/* It will not work any other time. */
static void give_up(struct site *s, const struct site_failure *f)
{
    s->round++;
    log_info("site-refused", LOG_S("remote", f->remote), LOG_S("reply", f->text),
             LOG_C("stage", stage_name(f->stage)), LOG_I("ready", s->destination.ready));
    tell(s);
}

void site_failed(struct site *s, const struct site_failure *f)
{
    remember(s, f);
    if (f->outcome.next == NEXT_PLAIN) {
        log_warning("tls-failed", LOG_S("remote", f->remote), LOG_S("reply", f->text),
                    LOG_C("effect", "plain text for a while"));
        s->plain_until = loop_time(s->courier->loop) + PLAIN;
        target_again(&s->target);
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
    if (s->pool && f->outcome.next == NEXT_FAIL)
        give_up(s, f);
    else
        back_off(s, f);
}
