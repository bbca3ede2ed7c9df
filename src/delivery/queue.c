#include "delivery/queue.h"

#include "base/arena.h"
#include "delivery/flow.h"
#include "delivery/gate.h"
#include "delivery/queue_inside.h"

#include <stdlib.h>

enum { BUCKETS_FIRST = 64 };

static const char *const state_names[] = {
    [RECIPIENT_READY] = "queued",    [RECIPIENT_WAITING] = "queued",
    [RECIPIENT_HELD] = "held",       [RECIPIENT_SENDING] = "sending",
    [RECIPIENT_FAILED] = "failed",   [RECIPIENT_EXPIRED] = "expired",
    [RECIPIENT_TAKEN] = "delivered", [RECIPIENT_GONE] = "gone",
};

const char *recipient_state_name(enum recipient_state s)
{
    INVARIANT((size_t)s < COUNT_OF(state_names));
    return state_names[s];
}

slice trouble_remote(const struct trouble *t)
{
    return slice_make(t->bytes, t->remote_len);
}

slice trouble_reply(const struct trouble *t)
{
    return slice_make(t->bytes + t->remote_len, t->reply_len);
}

slice trouble_facts(const struct trouble *t)
{
    return slice_make(t->bytes + t->remote_len + t->reply_len, t->facts_len);
}

static char *put(char *at, slice s)
{
    if (s.len > 0)
        memcpy(at, s.ptr, s.len);
    return at + s.len;
}

static struct trouble *trouble_new(const struct settlement *s, const struct settled *r)
{
    slice remote = slice_to(s->remote, TROUBLE_REMOTE_MAX);
    slice reply = slice_to(r->reply.text, TROUBLE_REPLY_MAX);
    struct trouble *t = xcalloc(1, sizeof(*t) + remote.len + reply.len + r->facts.len);
    t->at = s->at;
    t->status = r->reply.enhanced;
    t->code = r->reply.code;
    t->stage = (uint8_t)r->stage;
    t->report = (uint8_t)r->report;
    t->remote_len = (uint16_t)remote.len;
    t->reply_len = (uint16_t)reply.len;
    t->facts_len = (uint32_t)r->facts.len;
    put(put(put(t->bytes, remote), reply), r->facts);
    return t;
}

struct blob *blob_new(slice s)
{
    struct blob *b = xcalloc(1, sizeof(*b) + s.len);
    b->len = s.len;
    put(b->bytes, s);
    return b;
}

/* Ids come from our own sources, so nobody can choose collisions. */
static size_t bucket_of(const struct queue *q, uint64_t id)
{
    return (size_t)((id * 0x9e3779b97f4a7c15u) >> 20) & (q->bucket_count - 1);
}

static void link_in(struct queue *q, struct parcel *p)
{
    struct parcel **bucket = &q->buckets[bucket_of(q, p->facts.id)];
    p->chain = *bucket;
    *bucket = p;
}

static void grow(struct queue *q)
{
    struct parcel **old = q->buckets;
    size_t old_count = q->bucket_count;
    q->bucket_count = old_count * 2;
    q->buckets = xcalloc(q->bucket_count, sizeof(*q->buckets));
    for (size_t i = 0; i < old_count; i++)
        for (struct parcel *p = old[i], *next; p; p = next) {
            next = p->chain;
            link_in(q, p);
        }
    free(old);
}

void queue_init(struct queue *q, const uint64_t seed[2])
{
    *q = (struct queue){.bucket_count = BUCKETS_FIRST, .seed = {seed[0], seed[1]}};
    q->buckets = xcalloc(q->bucket_count, sizeof(*q->buckets));
    gates_init(&q->gates, seed);
    map_init(&q->domains, seed);
}

static void parcel_free(struct parcel *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        free(p->recipients[i].trouble);
    free(p->reporting);
    free(p);
}

static void domains_clear(struct queue *q)
{
    size_t at = 0;
    slice name;
    void *blob;
    while (map_next(&q->domains, &at, &name, &blob)) {
        map_remove(&q->domains, name);
        free(blob);
    }
}

void queue_clear(struct queue *q)
{
    for (size_t i = 0; i < q->bucket_count; i++) {
        for (struct parcel *p = q->buckets[i], *next; p; p = next) {
            next = p->chain;
            heap_remove(&q->schedule, &p->due);
            flow_leave(p);
            parcel_free(p);
        }
        q->buckets[i] = NULL;
    }
    q->parcels = 0;
    q->living = q->failed = 0;
    gates_clear(q);
    domains_clear(q);
}

void queue_fini(struct queue *q)
{
    queue_clear(q);
    gates_fini(&q->gates);
    map_fini(&q->domains);
    heap_fini(&q->schedule);
    free(q->buckets);
    *q = (struct queue){0};
}

void destination_init(struct queue *q, struct destination *d)
{
    *d = (struct destination){.queue = q, .trim_at = FLOWS_IDLE_FIRST};
    list_init(&d->node);
    map_init(&d->flows, q->seed);
}

void destination_fini(struct destination *d)
{
    list_remove(&d->node);
    flows_fini(d);
}

struct parcel *queue_find(const struct queue *q, uint64_t id)
{
    struct parcel *p = q->buckets[bucket_of(q, id)];
    while (p && p->facts.id != id)
        p = p->chain;
    return p;
}

struct parcel *queue_also(const struct parcel *p)
{
    struct parcel *also = p->chain;
    while (also && also->facts.id != p->facts.id)
        also = also->chain;
    return also;
}

bool queue_supersede(struct queue *q, const struct parcel_facts *f)
{
    struct parcel *p = queue_find(q, f->id);
    for (struct parcel *also = p; also; also = queue_also(also)) {
        also->facts.position = f->position;
        also->facts.body_len = f->body_len;
        also->facts.fields_len = f->fields_len;
        also->facts.flags = f->flags;
    }
    return p != NULL;
}

bool queue_is_living(const struct queue *q, uint64_t id)
{
    struct parcel *p = queue_find(q, id);
    while (p && p->living == 0)
        p = queue_also(p);
    return p != NULL;
}

struct recipient *parcel_recipient(struct parcel *p, uint32_t index)
{
    if (index < p->count && p->recipients[index].index == index)
        return &p->recipients[index];
    uint32_t low = 0, high = p->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (p->recipients[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < p->count && p->recipients[low].index == index ? &p->recipients[low] : NULL;
}

/* Of *p or another parcel of its message, which *p then is; or NULL. */
static struct recipient *find_recipient(struct parcel **p, uint32_t index)
{
    for (struct parcel *also = *p; also; also = queue_also(also)) {
        struct recipient *r = parcel_recipient(also, index);
        if (!r)
            continue;
        *p = also;
        return r;
    }
    return NULL;
}

static void wait_until(struct queue *q, struct parcel *p, struct recipient *r, stamp next)
{
    r->state = RECIPIENT_WAITING;
    r->next = next;
    if (!heap_has(&p->due) || next < p->due.key)
        heap_set(&q->schedule, &p->due, next);
}

struct parcel *parcel_new(struct queue *q, struct destination *d, const struct parcel_facts *f,
                          uint32_t count)
{
    if (q->parcels >= q->bucket_count)
        grow(q);
    struct parcel *p = xcalloc(1, sizeof(*p) + count * sizeof(p->recipients[0]));
    p->facts = *f;
    p->count = count;
    list_init(&p->node);
    link_in(q, p);
    flow_join(d, p);
    q->parcels++;
    return p;
}

void recipient_line_up(struct queue *q, struct parcel *p, struct recipient *r, stamp now)
{
    if (r->flags & HELD_ANY) {
        r->state = RECIPIENT_HELD;
    } else if (r->next > now) {
        wait_until(q, p, r, r->next);
    } else {
        r->state = RECIPIENT_READY;
        flow_ready(p, 1);
    }
}

void parcel_line_up(struct queue *q, struct parcel *p, stamp now)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->recipients[i].state <= RECIPIENT_HELD)
            recipient_line_up(q, p, &p->recipients[i], now);
}

struct parcel *queue_add(struct queue *q, struct destination *d, const struct parcel_facts *f,
                         uint32_t count, stamp not_before, stamp now)
{
    if (queue_find(q, f->id))
        return NULL;
    struct parcel *p = parcel_new(q, d, f, count);
    for (uint32_t i = 0; i < count; i++)
        p->recipients[i] = (struct recipient){.next = not_before, .index = i};
    p->living = count;
    q->living += count;
    parcel_line_up(q, p, now);
    return p;
}

static bool is_living(const struct recipient *r)
{
    return r->state <= RECIPIENT_SENDING;
}

struct parcel *queue_restore(struct queue *q, struct destination *d,
                             const struct parcel_facts *f, const struct recipient *recipients,
                             uint32_t count, slice reporting, stamp now)
{
    struct parcel *known = queue_find(q, f->id);
    if (known && find_recipient(&known, recipients[0].index))
        return NULL;
    struct parcel *p = parcel_new(q, d, f, count);
    for (uint32_t i = 0; i < count; i++) {
        struct recipient *r = &p->recipients[i];
        *r = recipients[i];
        if (r->state == RECIPIENT_SENDING)
            r->state = r->flags & HELD_ANY ? RECIPIENT_HELD : RECIPIENT_READY;
        if (is_living(r))
            p->living++;
        else if (r->state != RECIPIENT_GONE)
            p->failed++;
    }
    q->living += p->living;
    q->failed += p->failed;
    if (reporting.len > 0)
        p->reporting = blob_new(reporting);
    parcel_line_up(q, p, now);
    return p;
}

/* Makes the parcel's due recipients READY and finds when the next one is. */
static void wake(struct queue *q, struct parcel *p, stamp now)
{
    stamp next = STAMP_NEVER;
    uint32_t ready = 0;
    heap_remove(&q->schedule, &p->due);
    for (uint32_t i = 0; i < p->count; i++) {
        struct recipient *r = &p->recipients[i];
        if (r->state != RECIPIENT_WAITING)
            continue;
        if (r->next <= now) {
            r->state = RECIPIENT_READY;
            ready++;
        } else if (r->next < next) {
            next = r->next;
        }
    }
    if (next != STAMP_NEVER)
        heap_set(&q->schedule, &p->due, next);
    if (ready > 0)
        flow_ready(p, ready);
}

stamp queue_due(struct queue *q, stamp now)
{
    struct heap_node *n;
    while ((n = heap_peek(&q->schedule)) && n->key <= now)
        wake(q, CONTAINER_OF(n, struct parcel, due), now);
    return n ? n->key : STAMP_NEVER;
}

uint32_t queue_take_from(struct queue *q, struct parcel *p, uint32_t limit, uint32_t *indexes)
{
    (void)q;
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->count && n < limit && n < p->ready; i++) {
        struct recipient *r = &p->recipients[i];
        if (r->state != RECIPIENT_READY)
            continue;
        r->state = RECIPIENT_SENDING;
        indexes[n++] = r->index;
    }
    if (n > 0)
        flow_took(p, n);
    return n;
}

struct parcel *queue_next(struct destination *d)
{
    return flow_next(d);
}

struct parcel *queue_take(struct queue *q, struct destination *d, uint32_t limit,
                          uint32_t *indexes, uint32_t *count)
{
    struct parcel *p = flow_next(d);
    if (!p)
        return NULL;
    uint32_t n = queue_take_from(q, p, limit, indexes);
    INVARIANT(n > 0);
    *count = n;
    return p;
}

void queue_put_back(struct queue *q, struct parcel *p, const uint32_t *indexes, uint32_t count)
{
    (void)q;
    uint32_t ready = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct recipient *r = parcel_recipient(p, indexes[i]);
        INVARIANT(r && r->state == RECIPIENT_SENDING);
        r->state = r->flags & HELD_ANY ? RECIPIENT_HELD : RECIPIENT_READY;
        ready += r->state == RECIPIENT_READY;
    }
    if (ready > 0)
        flow_ready_first(p, ready);
}

static void unlink_parcel(struct queue *q, struct parcel *p)
{
    struct parcel **at = &q->buckets[bucket_of(q, p->facts.id)];
    while (*at != p)
        at = &(*at)->chain;
    *at = p->chain;
    q->parcels--;
    heap_remove(&q->schedule, &p->due);
    flow_leave(p);
    parcel_free(p);
}

static void set_trouble(struct recipient *r, struct trouble *t)
{
    free(r->trouble);
    r->trouble = t;
}

/* Nothing is left to do for the parcel. */
static void leave(struct queue *q, struct parcel *p)
{
    const struct parcel *other = queue_find(q, p->facts.id);
    if (other == p)
        other = queue_also(p);
    if (q->on_finished && !other)
        q->on_finished(q->ctx, p);
    unlink_parcel(q, p);
}

/* The recipient leaves the living, for the state; the parcel may be freed. */
static void finish(struct queue *q, struct parcel *p, struct recipient *r,
                   enum recipient_state state)
{
    r->state = (uint8_t)state;
    p->living--;
    q->living--;
    if (state != RECIPIENT_GONE) {
        p->failed++;
        q->failed++;
    } else {
        set_trouble(r, NULL);
    }
    if (p->living > 0)
        return;
    heap_remove(&q->schedule, &p->due);
    if (p->failed == 0)
        leave(q, p);
}

/* It is kept until it was reported. */
static void keep(struct queue *q, struct parcel *p, struct recipient *r,
                 const struct settlement *s, const struct settled *o)
{
    set_trouble(r, trouble_new(s, o));
    r->attempts = (uint16_t)(o->attempt < UINT16_MAX ? o->attempt : UINT16_MAX);
    if (!p->reporting && s->reporting.len > 0)
        p->reporting = blob_new(s->reporting);
    finish(q, p, r,
           o->kind == OUTCOME_FAILED    ? RECIPIENT_FAILED
           : o->kind == OUTCOME_EXPIRED ? RECIPIENT_EXPIRED
                                        : RECIPIENT_TAKEN);
    if (q->on_unreported)
        q->on_unreported(q->ctx, s->id);
}

static void retry(struct queue *q, struct parcel *p, struct recipient *r,
                  const struct settlement *s, const struct settled *o, stamp now)
{
    set_trouble(r, trouble_new(s, o));
    r->attempts = (uint16_t)(o->attempt < UINT16_MAX ? o->attempt : UINT16_MAX);
    r->next = o->next;
    recipient_line_up(q, p, r, now);
}

/* It was reported, or an operator removes it. */
static void forget(struct queue *q, struct parcel *p, struct recipient *r)
{
    set_trouble(r, NULL);
    r->state = RECIPIENT_GONE;
    p->failed--;
    q->failed--;
    if (p->living == 0 && p->failed == 0)
        leave(q, p);
}

/* The recipient stands in no line any more; what it is next is decided after this. */
static void lift_out(struct parcel *p, struct recipient *r)
{
    if (r->state == RECIPIENT_READY)
        flow_unready(p, 1);
    r->state = RECIPIENT_SENDING;
}

enum queue_settled queue_settle(struct queue *q, const struct settlement *s,
                                const struct settled *o, stamp now)
{
    struct parcel *p = queue_find(q, s->id);
    if (!p)
        return QUEUE_UNKNOWN;
    struct recipient *r = find_recipient(&p, o->index);
    if (!r || r->state == RECIPIENT_GONE)
        return QUEUE_KNOWN;
    if (!is_living(r)) {
        if (o->kind != OUTCOME_REMOVED)
            return QUEUE_KNOWN;
        forget(q, p, r);
        return QUEUE_APPLIED;
    }
    if (o->kind == OUTCOME_RETRY && o->attempt <= r->attempts)
        return QUEUE_KNOWN;
    lift_out(p, r);
    switch (o->kind) {
    case OUTCOME_RETRY:
        retry(q, p, r, s, o, now);
        break;
    case OUTCOME_FAILED:
    case OUTCOME_EXPIRED:
        keep(q, p, r, s, o);
        break;
    case OUTCOME_DELIVERED:
        if (o->report != REPORT_NONE)
            keep(q, p, r, s, o);
        else
            finish(q, p, r, RECIPIENT_GONE);
        break;
    case OUTCOME_REMOVED:
    case OUTCOME_SUPPRESSED:
        finish(q, p, r, RECIPIENT_GONE);
        break;
    }
    return QUEUE_APPLIED;
}

bool queue_reported(struct queue *q, uint64_t id, uint32_t index, enum report report)
{
    struct parcel *p = queue_find(q, id);
    struct recipient *r = p ? find_recipient(&p, index) : NULL;
    if (!r || r->state == RECIPIENT_GONE)
        return false;
    if (report == REPORT_DELAYED) {
        bool is_news = !(r->flags & RECIPIENT_WARNED);
        r->flags |= RECIPIENT_WARNED;
        return is_news;
    }
    if (is_living(r))
        return false;
    forget(q, p, r);
    return true;
}

void queue_scan(const struct queue *q, size_t *at, size_t buckets,
                bool (*fn)(void *ctx, struct parcel *p), void *ctx)
{
    size_t from = *at < q->bucket_count ? *at : 0;
    size_t left = q->bucket_count - from;
    size_t end = from + (buckets < left ? buckets : left);
    *at = end < q->bucket_count ? end : 0;
    for (size_t i = from; i < end; i++)
        for (struct parcel *p = q->buckets[i]; p; p = p->chain)
            if (!fn(ctx, p))
                return;
}

void queue_each(const struct queue *q, bool (*fn)(void *ctx, struct parcel *p), void *ctx)
{
    for (size_t i = 0; i < q->bucket_count; i++)
        for (struct parcel *p = q->buckets[i]; p; p = p->chain)
            if (!fn(ctx, p))
                return;
}
