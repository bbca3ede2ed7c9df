#include "policy/limiter_internal.h"

#include <errno.h>

/* Bits beside the unit. */
enum { UNIT = 255, NOTIFIED = 256, PACE = 512, SUSPENDED = 1024, WAITING = 2048 };

/* Saved: per counter its owner, unit and length, then the window and what waits, or the
 * period's numbers. All numbers as they are in memory of one kind of machine: little-endian, 64
 * bits. */
static void save_u64(struct buf *out, uint64_t value)
{
    buf_append(out, slice_make(&value, sizeof(value)));
}

static bool load_u64(slice *in, uint64_t *value)
{
    if (in->len < sizeof(*value))
        return false;
    memcpy(value, in->ptr, sizeof(*value));
    *in = slice_from(*in, sizeof(*value));
    return true;
}

static void save_period(const struct period *p, struct buf *out)
{
    save_u64(out, p->used);
    save_u64(out, (uint64_t)p->start);
    save_u64(out, (uint64_t)p->end);
    save_u64(out, (uint64_t)p->reset);
    save_u64(out, (uint64_t)p->forgiven);
    save_u64(out, (uint64_t)p->last);
}

static int load_period(struct period *p, slice *in)
{
    uint64_t start, end, reset, forgiven, last;
    if (!load_u64(in, &p->used) || !load_u64(in, &start) || !load_u64(in, &end) ||
        !load_u64(in, &reset) || !load_u64(in, &forgiven) || !load_u64(in, &last))
        return -EBADMSG;
    p->start = (stamp)start;
    p->end = (stamp)end;
    p->reset = (stamp)reset;
    p->forgiven = (stamp)forgiven;
    p->last = (stamp)last;
    return 0;
}

void limiter_save(const struct limiter *l, struct buf *out)
{
    save_u64(out, (uint64_t)l->now);
    void *value;
    for (size_t at = 0; map_next(&l->entities, &at, NULL, &value);) {
        const struct entity *e = value;
        for (uint32_t i = 0; i < e->count; i++) {
            const struct counter *c = &e->counters[i];
            save_u64(out, e->key.scope);
            save_u64(out, e->key.id);
            save_u64(out, c->unit | (c->notified ? NOTIFIED : 0) | (c->is_pace ? PACE : 0) |
                              (c->suspended ? SUSPENDED : 0) | (c->line ? WAITING : 0));
            save_u64(out, (uint64_t)c->length);
            if (c->is_pace) {
                save_u64(out, (uint64_t)c->pace.next);
            } else if (c->length == RULE_PERIOD) {
                save_period(&c->period, out);
            } else {
                window_save(&c->window, out);
                if (c->line)
                    wait_save(c, out);
            }
        }
    }
}

static int load_counter(struct limiter *l, slice *in)
{
    uint64_t scope, id, unit, length;
    if (!load_u64(in, &scope) || !load_u64(in, &id) || !load_u64(in, &unit) ||
        !load_u64(in, &length))
        return -EBADMSG;
    if (scope >= RULE_SCOPE_COUNT || (unit & UNIT) >= RULE_UNIT_COUNT)
        return -EBADMSG;
    if ((span)length != RULE_PERIOD && ((span)length <= 0 || (span)length > 31 * SPAN_DAY))
        return -EBADMSG;
    struct entity *e = limiter_entity(l, (enum rule_scope)scope, id);
    const struct rule rule = {.unit = (enum rule_unit)(unit & UNIT),
                              .window = (span)length,
                              .action = unit & PACE ? RULE_PACE : RULE_DEFER};
    int index = e ? limiter_counter_index(e, &rule, 0) : -1;
    if (index < 0)
        return -ENOMEM;
    struct counter *c = &e->counters[index];
    c->notified = unit & NOTIFIED;
    c->suspended = unit & SUSPENDED;
    if (c->is_pace) {
        uint64_t next;
        if (c->length == RULE_PERIOD || !load_u64(in, &next))
            return -EBADMSG;
        c->pace.next = (stamp)next;
        return 0;
    }
    if (c->length == RULE_PERIOD)
        return load_period(&c->period, in);
    int err = window_load(&c->window, in);
    return err == 0 && unit & WAITING ? wait_load(c, in) : err;
}

int limiter_load(struct limiter *l, slice contents)
{
    uint64_t now;
    if (!load_u64(&contents, &now))
        return -EBADMSG;
    limiter_forget_all(l);
    int err = 0;
    while (err == 0 && contents.len > 0)
        err = load_counter(l, &contents);
    if (err < 0)
        limiter_forget_all(l);
    else
        l->now = (stamp)now;
    return err;
}
