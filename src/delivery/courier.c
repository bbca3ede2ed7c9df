#include "delivery/courier.h"

#include "base/arena.h"
#include "base/log.h"

#include <stdlib.h>

enum { EXPIRE_PARCELS = 1000, EXPIRE_RECIPIENTS = 1000, REPORTED_MAX = 1000 };

void courier_patience(const struct courier *c, uint64_t account, span *expiry, span *warn_after)
{
    directory_patience(c->directory, account, expiry, warn_after);
}

/* The jitter of a retry: the same for all recipients of a message that had as many attempts, so
 * that they stay together; splitmix64's mixer, as good as any. */
static uint32_t jitter(uint64_t id, uint32_t attempt)
{
    uint64_t z = id + attempt * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}

static const struct {
    const char *event;
    enum log_level level;
} events[] = {
    [OUTCOME_DELIVERED] = {"delivered", LOG_INFO},
    [OUTCOME_RETRY] = {"deferred", LOG_INFO},
    [OUTCOME_FAILED] = {"failed", LOG_INFO},
    [OUTCOME_EXPIRED] = {"expired", LOG_INFO},
    [OUTCOME_REMOVED] = {"removed", LOG_INFO},
    [OUTCOME_SUPPRESSED] = {"suppressed", LOG_INFO},
};

static void log_outcome(const struct attempt *a, const struct settled *o, stamp now)
{
    const struct log_field fields[] = {
        LOG_ID("id", a->parcel->facts.id),
        LOG_I("account", a->parcel->facts.account),
        LOG_S("recipient", a->recipient->address),
        LOG_S("remote", a->remote),
        LOG_I("code", o->reply.code),
        LOG_S("reply", slice_to(a->text, TROUBLE_REPLY_MAX)),
        LOG_I("attempt", o->attempt),
        LOG_I("delay-ms", (now - a->parcel->facts.accepted) / SPAN_MS),
        LOG_C("stage", stage_name(o->stage)),
        LOG_I("again-in-s", (o->next - now) / SPAN_SECOND),
    };
    size_t count = COUNT_OF(fields);
    if (o->kind == OUTCOME_DELIVERED)
        count -= 2;
    else if (o->kind != OUTCOME_RETRY)
        count -= 1;
    log_write(events[o->kind].level, events[o->kind].event, fields, count);
}

static void count_outcome(struct courier *c, enum outcome_kind kind)
{
    _Atomic uint64_t *counter = kind == OUTCOME_DELIVERED ? &c->stats->delivered
                                : kind == OUTCOME_RETRY   ? &c->stats->retried
                                                          : &c->stats->failed;
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void courier_settle(struct courier *c, const struct retry_policy *policy, struct slip *slip,
                    const struct attempt *a)
{
    struct parcel *p = queue_find(c->queue, a->parcel->facts.id);
    while (p && p != a->parcel)
        p = queue_also(p);
    struct recipient *r = p ? parcel_recipient(p, a->recipient->index) : NULL;
    INVARIANT(r);
    stamp now = slip_moment(slip, env_now(c->env));
    struct buf facts = BUF_INIT;
    span unused;
    struct settled o = {
        .index = a->recipient->index,
        .attempt = r->attempts + 1u,
        .stage = a->stage,
        .reply = {a->code, a->outcome.status, slice_to(a->text, REPORTED_MAX)},
    };
    struct retry_policy own = *policy;
    if (a->outcome.next != NEXT_CONTINUE)
        courier_patience(c, p->facts.account, &own.expiry, &unused);
    o.kind = schedule_judge(&own, &a->outcome, p->facts.accepted, now, o.attempt,
                            jitter(p->facts.id, o.attempt), &o.next);
    if (o.kind == OUTCOME_DELIVERED)
        o.report = notify_of_success(a->recipient->params.notify,
                                     a->letter->reverse_path.len > 0, a->taker);
    if (o.kind == OUTCOME_FAILED || o.kind == OUTCOME_EXPIRED || o.report != REPORT_NONE) {
        letter_facts(a->recipient, &facts);
        o.facts = buf_slice(&facts);
    }
    slip_add(slip, &o);
    buf_fini(&facts);
    count_outcome(c, o.kind);
    log_outcome(a, &o, now);
}

void courier_hand_in(struct courier *c, struct slip *slip, const struct letter *letter,
                     slice remote)
{
    struct buf reporting = BUF_INIT;
    if (slip_is_reported(slip))
        letter_reporting(letter, &reporting);
    struct settlement head = {
        .id = letter->id, .remote = remote, .reporting = buf_slice(&reporting)};
    slip_hand_in(slip, &head, &letter->header, env_now(c->env));
    buf_fini(&reporting);
}

void courier_settle_unread(struct courier *c, const struct retry_policy *policy,
                           struct parcel *p, const uint32_t *indexes, uint32_t count, int err)
{
    static const slice text = SLICE_INIT("the message could not be read from our own disk");
    struct slip *slip = slip_new(c->settle);
    struct record_header header = {.customer = p->facts.customer, .account = p->facts.account};
    struct outcome outcome = outcome_of(STAGE_LOCAL, NULL, FAULT_LOCAL);
    struct retry_policy patient = *policy;
    stamp now = env_now(c->env);
    patient.expiry = STAMP_NEVER / 4;
    for (uint32_t i = 0; i < count; i++) {
        struct recipient *r = parcel_recipient(p, indexes[i]);
        struct settled o = {.index = indexes[i], .attempt = r->attempts + 1u};
        o.stage = STAGE_LOCAL;
        o.reply = (struct reply){0, outcome.status, text};
        o.kind = schedule_judge(&patient, &outcome, now, now, o.attempt,
                                jitter(p->facts.id, o.attempt), &o.next);
        slip_add(slip, &o);
        count_outcome(c, o.kind);
    }
    log_error("message-unreadable", LOG_ID("id", p->facts.id),
              LOG_I("position", p->facts.position), LOG_E("error", err),
              LOG_I("recipients", count), LOG_C("effect", "it is tried again later"));
    struct settlement head = {.id = p->facts.id};
    slip_hand_in(slip, &head, &header, now);
}

struct search {
    const struct courier *courier;
    const struct retry_policy *policy;
    const struct destination *destination;
    stamp now;
    struct parcel *found[EXPIRE_PARCELS];
    size_t count;
};

static bool has_expired(const struct search *s, const struct parcel *p)
{
    struct retry_policy own = *s->policy;
    span unused;
    courier_patience(s->courier, p->facts.account, &own.expiry, &unused);
    return schedule_has_expired(&own, p->facts.accepted, s->now);
}

static bool find_expired(void *ctx, struct parcel *p)
{
    struct search *s = ctx;
    if (p->ready > 0 && !parcel_is_stopped(p) && parcel_destination(p) == s->destination &&
        has_expired(s, p))
        s->found[s->count++] = p;
    return s->count < EXPIRE_PARCELS;
}

static void settle_parcel(struct courier *c, const struct retry_policy *policy,
                          struct letter *letter, struct attempt *a, struct parcel *p)
{
    uint32_t indexes[EXPIRE_RECIPIENTS];
    struct relay_recipient *recipients = xcalloc(EXPIRE_RECIPIENTS, sizeof(*recipients));
    uint32_t count = queue_take_from(c->queue, p, EXPIRE_RECIPIENTS, indexes);
    int err = letter_open(letter, &p->facts);
    if (err == 0)
        err = letter_recipients(letter, indexes, count, recipients);
    if (err < 0) {
        courier_settle_unread(c, policy, p, indexes, count, err);
    } else {
        struct slip *slip = slip_new(c->settle);
        a->parcel = p;
        for (uint32_t i = 0; i < count; i++) {
            a->recipient = &recipients[i];
            courier_settle(c, policy, slip, a);
        }
        courier_hand_in(c, slip, letter, a->remote);
    }
    letter_close(letter);
    free(recipients);
}

bool courier_settle_ready(struct courier *c, const struct retry_policy *policy,
                          struct destination *d, const struct attempt *like)
{
    struct letter letter;
    struct attempt a = *like;
    struct parcel *p;
    letter_init(&letter, c->env, c->store);
    a.letter = &letter;
    for (size_t i = 0; i < EXPIRE_PARCELS && (p = queue_next(d)); i++)
        settle_parcel(c, policy, &letter, &a, p);
    letter_fini(&letter);
    return queue_next(d) != NULL;
}

bool courier_expire(struct courier *c, const struct retry_policy *policy, struct destination *d,
                    enum relay_stage stage, struct enhanced status, slice remote, slice text)
{
    struct search *s = xcalloc(1, sizeof(*s));
    s->courier = c;
    s->policy = policy;
    s->destination = d;
    s->now = env_now(c->env);
    queue_each(c->queue, find_expired, s);
    struct letter letter;
    letter_init(&letter, c->env, c->store);
    struct attempt a = {.letter = &letter, .stage = stage, .text = text, .remote = remote};
    a.outcome = (struct outcome){.next = NEXT_RETRY, .scope = SCOPE_SITE, .status = status};
    for (size_t i = 0; i < s->count; i++)
        settle_parcel(c, policy, &letter, &a, s->found[i]);
    bool has_more = s->count == EXPIRE_PARCELS;
    letter_fini(&letter);
    free(s);
    return has_more;
}
