#include "delivery/carried.h"

#include "base/arena.h"

#include <errno.h>
#include <stdlib.h>

/* ---- writing ---- */

/* The fields of the message itself; *has_from: it is a copy already. */
static void put_message(struct buf *out, slice fields, stamp *accepted, bool *has_from)
{
    struct record_field f;
    while (record_next(&fields, &f) > 0 && f.tag != TAG_RECIPIENT_INDEX) {
        if (f.tag == TAG_ORIGIN_STAMP) {
            *accepted = (stamp)f.number;
            continue;
        }
        if (f.tag == TAG_REPORTS)
            continue; /* a notification's record has told that */
        *has_from |= f.tag == TAG_FROM_SMTPD || f.tag == TAG_FROM_DELIVERY;
        record_put(out, f.tag, f.value);
    }
}

struct entry {
    const struct parcel *parcel;
    const struct recipient *recipient;
};

static int by_index(const void *a, const void *b)
{
    const struct recipient *x = ((const struct entry *)a)->recipient;
    const struct recipient *y = ((const struct entry *)b)->recipient;
    return (x->index > y->index) - (x->index < y->index);
}

/* The recipients of all parcels of the message, by index. */
static struct entry *collect(struct parcel *p, size_t *count)
{
    size_t room = 0;
    size_t n = 0;
    for (struct parcel *also = p; also; also = queue_also(also))
        room += also->living + also->failed;
    struct entry *all = xcalloc(room, sizeof(*all));
    for (struct parcel *also = p; also; also = queue_also(also))
        for (uint32_t i = 0; i < also->count; i++)
            if (also->recipients[i].state != RECIPIENT_GONE && n < room)
                all[n++] = (struct entry){also, &also->recipients[i]};
    qsort(all, n, sizeof(*all), by_index);
    *count = n;
    return all;
}

static void put_attempt(struct buf *out, const struct recipient *r)
{
    const struct trouble *t = r->trouble;
    struct settled o = {
        .kind = r->state == RECIPIENT_FAILED    ? OUTCOME_FAILED
                : r->state == RECIPIENT_EXPIRED ? OUTCOME_EXPIRED
                : r->state == RECIPIENT_TAKEN   ? OUTCOME_DELIVERED
                                                : OUTCOME_RETRY,
        .report = r->state == RECIPIENT_TAKEN ? (enum report)t->report : REPORT_NONE,
        .attempt = r->attempts,
        .next = r->next,
        .stage = (enum relay_stage)t->stage,
        .reply = {t->code, t->status, trouble_reply(t)},
        .facts = trouble_facts(t),
    };
    record_put_u64(out, TAG_TRIED_AT, (uint64_t)t->at);
    if (t->remote_len > 0)
        record_put(out, TAG_REMOTE, trouble_remote(t));
    settled_put_attempt(out, &o);
}

static void put_group(struct buf *out, const struct recipient *r)
{
    record_put_u64(out, TAG_RECIPIENT_INDEX, r->index);
    if (r->flags & RECIPIENT_WARNED)
        record_put_u64(out, TAG_WARNED, 1);
    if (r->trouble)
        put_attempt(out, r);
    else if (r->state == RECIPIENT_WAITING)
        record_put_u64(out, TAG_NEXT_ATTEMPT, (uint64_t)r->next);
}

void carried_put(struct buf *out, slice fields, stamp at, struct parcel *p)
{
    bool has_from = false;
    size_t count;
    put_message(out, fields, &at, &has_from);
    record_put_u64(out, TAG_ORIGIN_STAMP, (uint64_t)at);
    if (!has_from)
        record_put_u64(out, p->facts.flags & PARCEL_OWN ? TAG_FROM_DELIVERY : TAG_FROM_SMTPD,
                       p->facts.position);
    struct entry *all = collect(p, &count);
    for (size_t i = 0; i < count; i++)
        put_group(out, all[i].recipient);
    free(all);
}

/* ---- reading ---- */

int carried_groups(slice fields, slice *groups)
{
    slice before = fields;
    struct record_field f;
    int more;
    while ((more = record_next(&fields, &f)) > 0) {
        if (f.tag == TAG_RECIPIENT_INDEX) {
            *groups = before;
            return 0;
        }
        before = fields;
    }
    *groups = before;
    return more;
}

/* The fields of the group at the beginning of these. */
static int take_group(slice *groups, slice *out)
{
    slice rest = *groups;
    struct record_field f;
    int more = record_next(&rest, &f);
    if (more <= 0)
        return more;
    if (f.tag != TAG_RECIPIENT_INDEX)
        return -EBADMSG;
    slice before = rest;
    while ((more = record_next(&rest, &f)) > 0 && f.tag != TAG_RECIPIENT_INDEX)
        before = rest;
    if (more < 0)
        return -EBADMSG;
    *out = slice_make(groups->ptr, (size_t)(before.ptr - groups->ptr));
    *groups = before;
    return 1;
}

int carried_next(slice *groups, struct carried_recipient *out)
{
    slice group;
    slice rest = *groups;
    int more = take_group(&rest, &group);
    if (more <= 0)
        return more;
    uint64_t index = record_get_u64(group, TAG_RECIPIENT_INDEX);
    struct carried_recipient r = {
        .index = (uint32_t)index,
        .next = (stamp)record_get_u64(group, TAG_NEXT_ATTEMPT),
        .was_tried = record_get(group, TAG_OUTCOME).len > 0,
        .was_warned = record_get_u64(group, TAG_WARNED) != 0,
    };
    if (index > UINT32_MAX || r.next < 0)
        return -EBADMSG;
    if (r.was_tried) {
        if (settled_read(&group, &r.last) < 0)
            return -EBADMSG;
        enum outcome_kind kind = r.last.kind;
        bool is_taken = kind == OUTCOME_DELIVERED && r.last.report != REPORT_NONE;
        if (kind != OUTCOME_RETRY && kind != OUTCOME_FAILED && kind != OUTCOME_EXPIRED &&
            !is_taken)
            return -EBADMSG;
        slice whole = slice_make(groups->ptr, (size_t)(rest.ptr - groups->ptr));
        r.attempt.at = (stamp)record_get_u64(whole, TAG_TRIED_AT);
        r.attempt.remote = record_get(whole, TAG_REMOTE);
    }
    *groups = rest;
    *out = r;
    return 1;
}
