#include "delivery/image.h"

#include "base/arena.h"
#include "delivery/gate.h"

#include <errno.h>
#include <stdlib.h>

/* All numbers are little-endian, unaligned. First the gates and domains: how many gates (u32),
 * each id, customer, lock, lock_until, version, op_version, op_until, ended_at, thawed (u64
 * each), whether it is a customer's, stops, ending (u8 each); how many domains (u32), each its
 * length (u32) and bytes. Then the parcels. A parcel: id, position, customer, account,
 * accepted, body_len (u64 each), fields_len, flags, count, length of reporting (u32 each),
 * reporting, then its recipients: next (u64), index (u32), attempts (u16), state, why it is
 * held, what there is (u8 each: 1 a trouble, 2 warned, from 16 on what is to be reported), and
 * the trouble: at (u64), code, class, subject, detail, length of remote, length of reply (u16
 * each), stage (u8), length of facts (u32), and their bytes. */
enum { HAS_TROUBLE = 1, HAS_WARNED = 2, REPORT_SHIFT = 4 };
enum { GATE_BYTES = 75, PARCEL_BYTES = 64, RECIPIENT_BYTES = 17, TROUBLE_BYTES = 25 };

static void put(struct buf *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++, value >>= 8)
        out->ptr[out->len++] = (char)(value & 0xff);
}

static void put_trouble(struct buf *out, const struct trouble *t)
{
    size_t text = (size_t)t->remote_len + t->reply_len + t->facts_len;
    if (buf_reserve(out, TROUBLE_BYTES + text) < 0)
        return;
    put(out, (uint64_t)t->at, 8);
    put(out, t->code, 2);
    put(out, t->status.class, 2);
    put(out, t->status.subject, 2);
    put(out, t->status.detail, 2);
    put(out, t->remote_len, 2);
    put(out, t->reply_len, 2);
    put(out, t->stage, 1);
    put(out, t->facts_len, 4);
    buf_append(out, slice_make(t->bytes, text));
}

/* What there is of the recipient. */
static unsigned marks_of(const struct recipient *r)
{
    unsigned marks = r->flags & RECIPIENT_WARNED ? HAS_WARNED : 0;
    if (r->trouble)
        marks |= HAS_TROUBLE | (unsigned)r->trouble->report << REPORT_SHIFT;
    return marks;
}

static void put_recipient(struct buf *out, const struct recipient *r)
{
    if (buf_reserve(out, RECIPIENT_BYTES) < 0)
        return;
    put(out, (uint64_t)r->next, 8);
    put(out, r->index, 4);
    put(out, r->attempts, 2);
    put(out, r->state == RECIPIENT_SENDING ? RECIPIENT_READY : r->state, 1);
    put(out, r->flags & HELD_ANY, 1);
    put(out, marks_of(r), 1);
    if (r->trouble)
        put_trouble(out, r->trouble);
}

/* ---- gates and domains ---- */

static bool has_state(const struct gate *g)
{
    return g->stops || g->ending || g->thawed;
}

static uint32_t put_gates(const struct queue *q, bool is_customer, struct buf *out)
{
    size_t at = 0;
    uint32_t count = 0;
    const struct gate *g;
    while ((g = gate_next(q, is_customer, &at))) {
        if (!has_state(g) || buf_reserve(out, GATE_BYTES) < 0)
            continue;
        const uint64_t numbers[] = {
            g->id,
            g->customer,
            g->lock,
            (uint64_t)g->lock_until,
            g->version,
            g->op_version,
            (uint64_t)g->op_until,
            (uint64_t)g->ended_at,
            g->thawed,
        };
        for (size_t i = 0; i < COUNT_OF(numbers); i++)
            put(out, numbers[i], 8);
        put(out, g->is_customer, 1);
        put(out, g->stops, 1);
        put(out, g->ending, 1);
        count++;
    }
    return count;
}

static void put_domains(const struct queue *q, struct buf *out)
{
    size_t at = 0;
    slice name;
    if (buf_reserve(out, 4) < 0)
        return;
    put(out, q->domains.count, 4);
    while (map_next(&q->domains, &at, &name, &(void *){0})) {
        if (buf_reserve(out, 4) < 0)
            return;
        put(out, name.len, 4);
        buf_append(out, name);
    }
}

static void put_stops(const struct queue *q, struct buf *out)
{
    size_t head = out->len;
    if (buf_reserve(out, 4) < 0)
        return;
    put(out, 0, 4);
    uint32_t count = put_gates(q, true, out) + put_gates(q, false, out);
    for (unsigned i = 0; i < 4; i++)
        out->ptr[head + i] = (char)(count >> (8 * i) & 0xff);
    put_domains(q, out);
}

/* ---- messages ---- */

struct saving {
    struct buf *out;
    struct image_needs needs;
};

static bool put_parcel(struct saving *s, const struct parcel *p)
{
    const struct parcel_facts *f = &p->facts;
    if (buf_reserve(s->out, PARCEL_BYTES) < 0)
        return false;
    const uint64_t numbers[] = {f->id,      f->position,           f->customer,
                                f->account, (uint64_t)f->accepted, f->body_len};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        put(s->out, numbers[i], 8);
    put(s->out, f->fields_len, 4);
    put(s->out, f->flags, 4);
    put(s->out, p->living + p->failed, 4);
    put(s->out, p->reporting ? p->reporting->len : 0, 4);
    if (p->reporting)
        buf_append(s->out, slice_make(p->reporting->bytes, p->reporting->len));
    for (uint32_t i = 0; i < p->count; i++)
        if (p->recipients[i].state != RECIPIENT_GONE)
            put_recipient(s->out, &p->recipients[i]);
    uint64_t *needs = f->flags & PARCEL_OWN ? &s->needs.delivery : &s->needs.smtpd;
    if (parcel_needs_record(p) && f->position < *needs)
        *needs = f->position;
    return s->out->error == 0;
}

struct parcels {
    struct parcel **list;
    size_t count;
};

static bool collect(void *ctx, struct parcel *p)
{
    struct parcels *all = ctx;
    all->list[all->count++] = p;
    return true;
}

static int by_age(const void *a, const void *b)
{
    const struct parcel_facts *x = &(*(struct parcel *const *)a)->facts;
    const struct parcel_facts *y = &(*(struct parcel *const *)b)->facts;
    if (x->accepted != y->accepted)
        return x->accepted < y->accepted ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Oldest first: what is restored stands in line in the order of the image. */
void image_save(const struct queue *q, struct buf *out, struct image_needs *needs)
{
    struct saving s = {out, {UINT64_MAX, UINT64_MAX}};
    struct parcels all = {xcalloc(q->parcels, sizeof(*all.list)), 0};
    put_stops(q, out);
    queue_each(q, collect, &all);
    qsort(all.list, all.count, sizeof(*all.list), by_age);
    for (size_t i = 0; i < all.count && put_parcel(&s, all.list[i]); i++)
        continue;
    *needs = s.needs;
    free(all.list);
}

struct loading {
    slice in;
    bool bad; /* sticky: the contents ended, or make no sense */
};

static uint64_t take(struct loading *l, unsigned bytes)
{
    uint64_t value = 0;
    if (l->in.len < bytes) {
        l->bad = true;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)(unsigned char)l->in.ptr[i] << (8 * i);
    l->in = slice_from(l->in, bytes);
    return value;
}

static slice take_text(struct loading *l, size_t len)
{
    slice s = slice_to(l->in, len);
    if (l->in.len < len)
        l->bad = true;
    l->in = slice_from(l->in, len);
    return s;
}

static struct trouble *take_trouble(struct loading *l)
{
    struct trouble t = {.at = (stamp)take(l, 8), .code = (uint16_t)take(l, 2)};
    t.status.class = (uint16_t)take(l, 2);
    t.status.subject = (uint16_t)take(l, 2);
    t.status.detail = (uint16_t)take(l, 2);
    t.remote_len = (uint16_t)take(l, 2);
    t.reply_len = (uint16_t)take(l, 2);
    t.stage = (uint8_t)take(l, 1);
    t.facts_len = (uint32_t)take(l, 4);
    slice text = take_text(l, (size_t)t.remote_len + t.reply_len + t.facts_len);
    if (l->bad || t.stage >= STAGE_COUNT) {
        l->bad = true;
        return NULL;
    }
    struct trouble *out = xcalloc(1, sizeof(*out) + text.len);
    *out = t;
    memcpy(out->bytes, text.ptr, text.len);
    return out;
}

static void take_recipient(struct loading *l, struct recipient *r)
{
    r->next = (stamp)take(l, 8);
    r->index = (uint32_t)take(l, 4);
    r->attempts = (uint16_t)take(l, 2);
    r->state = (uint8_t)take(l, 1);
    r->flags = (uint8_t)(take(l, 1) & HELD_ANY);
    if (r->state >= RECIPIENT_GONE || (r->state == RECIPIENT_HELD && !r->flags))
        l->bad = true;
    unsigned marks = (unsigned)take(l, 1);
    if (marks & HAS_WARNED)
        r->flags |= RECIPIENT_WARNED;
    if ((marks & HAS_TROUBLE) && !l->bad)
        r->trouble = take_trouble(l);
    if (r->trouble)
        r->trouble->report = (uint8_t)(marks >> REPORT_SHIFT);
    if (r->state == RECIPIENT_TAKEN && !r->trouble)
        l->bad = true;
}

static bool take_parcel(struct loading *l, struct queue *q, struct destination *d, stamp now)
{
    struct parcel_facts f = {.id = take(l, 8), .position = take(l, 8)};
    f.customer = take(l, 8);
    f.account = take(l, 8);
    f.accepted = (stamp)take(l, 8);
    f.body_len = take(l, 8);
    f.fields_len = (uint32_t)take(l, 4);
    f.flags = (uint32_t)take(l, 4);
    uint32_t count = (uint32_t)take(l, 4);
    slice reporting = take_text(l, take(l, 4));
    if (l->bad || count == 0 || count > l->in.len / RECIPIENT_BYTES)
        return false;
    struct recipient *recipients = xcalloc(count, sizeof(*recipients));
    for (uint32_t i = 0; i < count && !l->bad; i++) {
        take_recipient(l, &recipients[i]);
        if (i > 0 && recipients[i].index <= recipients[i - 1].index)
            l->bad = true;
    }
    if (l->bad || !queue_restore(q, d, &f, recipients, count, reporting, now)) {
        l->bad = true;
        for (uint32_t i = 0; i < count; i++)
            free(recipients[i].trouble);
    }
    free(recipients);
    return !l->bad;
}

static void take_gate(struct loading *l, struct queue *q)
{
    struct gate read = {.id = take(l, 8), .customer = take(l, 8)};
    read.lock = take(l, 8);
    read.lock_until = (stamp)take(l, 8);
    read.version = take(l, 8);
    read.op_version = take(l, 8);
    read.op_until = (stamp)take(l, 8);
    read.ended_at = (stamp)take(l, 8);
    read.thawed = take(l, 8);
    read.is_customer = take(l, 1) != 0;
    uint8_t stops = (uint8_t)take(l, 1), ending = (uint8_t)take(l, 1);
    if (l->bad)
        return;
    struct gate *g = read.is_customer ? gate_of_customer(q, read.id)
                                      : gate_of_account(q, read.id, read.customer);
    g->lock = read.lock;
    g->lock_until = read.lock_until;
    g->version = read.version;
    g->op_version = read.op_version;
    g->op_until = read.op_until;
    g->thawed = read.thawed;
    gate_stop(q, g, stops);
    gate_end(q, g, ending, read.ended_at);
    q->gates.next_end = 0; /* it is found when it is asked for */
}

static void take_stops(struct loading *l, struct queue *q)
{
    uint32_t gates = (uint32_t)take(l, 4);
    for (uint32_t i = 0; i < gates && !l->bad; i++)
        take_gate(l, q);
    uint32_t domains = (uint32_t)take(l, 4);
    for (uint32_t i = 0; i < domains && !l->bad; i++) {
        slice name = take_text(l, take(l, 4));
        if (!l->bad)
            queue_hold_domain(q, name);
    }
}

int image_load(struct queue *q, struct destination *d, slice contents, stamp now)
{
    struct loading l = {.in = contents};
    take_stops(&l, q);
    while (l.in.len > 0)
        if (!take_parcel(&l, q, d, now))
            return -EBADMSG;
    return l.bad ? -EBADMSG : 0;
}
