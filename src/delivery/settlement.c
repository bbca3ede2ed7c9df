#include "delivery/settlement.h"

#include <errno.h>
#include <stdio.h>

static void put_text(struct buf *fields, enum record_tag tag, slice s)
{
    if (s.len > 0)
        record_put(fields, tag, s);
}

void settlement_put(struct buf *fields, const struct settlement *s)
{
    record_put_u64(fields, TAG_ID, s->id);
    put_text(fields, TAG_REMOTE, s->remote);
    put_text(fields, TAG_TLS, s->tls);
    buf_append(fields, s->reporting);
}

static void put_enhanced(struct buf *fields, struct enhanced e)
{
    char text[24];
    if (e.class == 0)
        return;
    int n = snprintf(text, sizeof(text), "%u.%u.%u", e.class, e.subject, e.detail);
    record_put(fields, TAG_ENHANCED, slice_make(text, (size_t)n));
}

void settled_put(struct buf *fields, const struct settled *r)
{
    record_put_u64(fields, TAG_RECIPIENT_INDEX, r->index);
    settled_put_attempt(fields, r);
}

void settled_put_attempt(struct buf *fields, const struct settled *r)
{
    record_put_u64(fields, TAG_OUTCOME, r->kind);
    record_put_u64(fields, TAG_ATTEMPT, r->attempt);
    record_put_u64(fields, TAG_STAGE, r->stage);
    if (r->reply.code != 0)
        record_put_u64(fields, TAG_CODE, r->reply.code);
    put_enhanced(fields, r->reply.enhanced);
    put_text(fields, TAG_REPLY, r->reply.text);
    if (r->kind == OUTCOME_RETRY)
        record_put_u64(fields, TAG_NEXT_ATTEMPT, (uint64_t)r->next);
    if (r->report != REPORT_NONE)
        record_put_u64(fields, TAG_REPORT, r->report);
    buf_append(fields, r->facts);
}

int settlement_read(slice *fields, struct settlement *out)
{
    struct settlement s = {0};
    slice rest = *fields;
    slice before = rest;
    slice reporting = {0};
    struct record_field f;
    int more;
    while ((more = record_next(&rest, &f)) > 0) {
        if (f.tag == TAG_RECIPIENT_INDEX)
            break;
        if (f.tag == TAG_ID)
            s.id = f.number;
        else if (f.tag == TAG_REMOTE)
            s.remote = f.value;
        else if (f.tag == TAG_TLS)
            s.tls = f.value;
        else if (!reporting.ptr)
            reporting.ptr = before.ptr;
        before = rest;
    }
    if (more < 0 || s.id == 0)
        return -EBADMSG;
    if (reporting.ptr)
        s.reporting = slice_make(reporting.ptr, (size_t)(before.ptr - reporting.ptr));
    *fields = before;
    *out = s;
    return 0;
}

static void read_enhanced(slice text, struct enhanced *out)
{
    uint64_t part[3] = {0};
    for (int i = 0; i < 3; i++) {
        slice head;
        if (!slice_split(&text, '.', &head) || !slice_to_u64(head, &part[i]) || part[i] > 999)
            return;
    }
    *out = (struct enhanced){(uint16_t)part[0], (uint16_t)part[1], (uint16_t)part[2]};
}

/* False when a number is none that we could have written. */
static bool read_field(struct settled *r, const struct record_field *f)
{
    switch ((unsigned)f->tag) {
    case TAG_OUTCOME:
        r->kind = (enum outcome_kind)f->number;
        return f->number >= OUTCOME_DELIVERED && f->number <= OUTCOME_SUPPRESSED;
    case TAG_ATTEMPT:
        r->attempt = (uint32_t)f->number;
        return f->number <= UINT32_MAX;
    case TAG_STAGE:
        r->stage = (enum relay_stage)f->number;
        return f->number < STAGE_COUNT;
    case TAG_CODE:
        r->reply.code = (uint16_t)f->number;
        return f->number <= 999;
    case TAG_NEXT_ATTEMPT:
        r->next = (stamp)f->number;
        return r->next >= 0;
    case TAG_REPORT:
        r->report = (enum report)f->number;
        return f->number == REPORT_DELIVERED || f->number == REPORT_RELAYED;
    case TAG_ENHANCED:
        read_enhanced(f->value, &r->reply.enhanced);
        return true;
    case TAG_REPLY:
        r->reply.text = f->value;
        return true;
    default:
        return true;
    }
}

int settled_read(slice *fields, struct settled *out)
{
    struct settled r = {0};
    slice rest = *fields;
    struct record_field f;
    int more = record_next(&rest, &f);
    if (more <= 0)
        return more;
    if (f.tag != TAG_RECIPIENT_INDEX || f.number > UINT32_MAX)
        return -EBADMSG;
    r.index = (uint32_t)f.number;
    slice before = rest;
    while ((more = record_next(&rest, &f)) > 0 && f.tag != TAG_RECIPIENT_INDEX) {
        if (f.tag == TAG_RECIPIENT && !r.facts.ptr)
            r.facts.ptr = before.ptr;
        if (!read_field(&r, &f))
            return -EBADMSG;
        before = rest;
    }
    if (more < 0 || r.kind == 0)
        return -EBADMSG;
    if (r.facts.ptr)
        r.facts.len = (size_t)(before.ptr - r.facts.ptr);
    *fields = before;
    *out = r;
    return 1;
}
