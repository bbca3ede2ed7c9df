#include "delivery/replay.h"

#include "base/arena.h"

#include <errno.h>
#include <stdlib.h>

/* The outcomes of one message that is not known yet. */
struct early {
    uint64_t id;
    struct early_record *first;
    struct early_record **last;
};

struct early_record {
    struct early_record *next;
    stamp at;
    size_t len;
    char fields[];
};

void replay_init(struct replay *r, struct queue *q, struct destination *d)
{
    *r = (struct replay){.queue = q, .destination = d};
    map_init(&r->early, q->seed);
}

static void early_free(struct early *e)
{
    for (struct early_record *o = e->first, *next; o; o = next) {
        next = o->next;
        free(o);
    }
    free(e);
}

static void forget_early(struct replay *r)
{
    size_t at = 0;
    void *value;
    while (map_next(&r->early, &at, NULL, &value)) {
        struct early *e = value;
        map_remove(&r->early, MAP_KEY(e->id));
        early_free(e);
    }
}

void replay_fini(struct replay *r)
{
    forget_early(r);
    map_fini(&r->early);
}

static void keep_early(struct replay *r, uint64_t id, slice fields, stamp at)
{
    struct early *e = map_get(&r->early, MAP_KEY(id));
    if (!e) {
        e = xcalloc(1, sizeof(*e));
        e->id = id;
        e->last = &e->first;
        map_put(&r->early, MAP_KEY(e->id), e);
    }
    struct early_record *o = xcalloc(1, sizeof(*o) + fields.len);
    o->at = at;
    o->len = fields.len;
    memcpy(o->fields, fields.ptr, fields.len);
    *e->last = o;
    e->last = &o->next;
}

/* The record is checked whole before any of it is applied. */
static int check_groups(slice groups)
{
    struct settled o;
    int more;
    while ((more = settled_read(&groups, &o)) > 0)
        continue;
    return more;
}

int replay_outcome(struct replay *r, slice fields, stamp at, stamp now)
{
    struct settlement s;
    slice groups = fields;
    int err = settlement_read(&groups, &s);
    if (err == 0)
        err = check_groups(groups);
    if (err < 0)
        return err;
    s.at = at;
    if (!queue_find(r->queue, s.id)) {
        if (!r->has_caught_up)
            keep_early(r, s.id, fields, at);
        return 0;
    }
    struct settled o;
    while (settled_read(&groups, &o) > 0)
        queue_settle(r->queue, &s, &o, now);
    return 0;
}

static void apply_early(struct replay *r, uint64_t id, stamp now)
{
    struct early *e = map_remove(&r->early, MAP_KEY(id));
    if (!e)
        return;
    for (struct early_record *o = e->first; o; o = o->next) {
        int err = replay_outcome(r, slice_make(o->fields, o->len), o->at, now);
        INVARIANT(err == 0); /* it was checked when it was kept */
    }
    early_free(e);
}

static int add_message(struct replay *r, const struct journal_record *record, stamp now)
{
    const struct record_header *h = &record->header;
    struct parcel_facts f = {
        .position = record->position,
        .customer = h->customer,
        .account = h->account,
        .accepted = h->at,
        .body_len = h->body_len,
        .fields_len = h->fields_len,
    };
    stamp not_before = 0;
    uint32_t count = 0;
    slice rest = record->fields;
    struct record_field field;
    int more;
    while ((more = record_next(&rest, &field)) > 0) {
        if (field.tag == TAG_ID)
            f.id = field.number;
        else if (field.tag == TAG_RECIPIENT)
            count++;
        else if (field.tag == TAG_NOT_BEFORE)
            not_before = (stamp)field.number;
        else if (field.tag == TAG_FILE)
            f.flags |= PARCEL_FILE;
    }
    if (more < 0 || f.id == 0 || count == 0)
        return -EBADMSG;
    if (!queue_add(r->queue, r->destination, &f, count, not_before, now))
        return 0;
    apply_early(r, f.id, now);
    return 1;
}

int replay_record(struct replay *r, const struct journal_record *record, stamp now)
{
    int err;
    switch ((unsigned)record->header.type) {
    case RECORD_MESSAGE:
        return add_message(r, record, now);
    case RECORD_OUTCOME:
        err = replay_outcome(r, record->fields, record->header.at, now);
        return err < 0 ? err : 1;
    case RECORD_REFUSALS:
    case RECORD_SIGN_IN:
    case RECORD_LOCK:
        return 0;
    default:
        return record->header.flags & RECORD_SKIPPABLE ? 0 : -ENOTSUP;
    }
}

void replay_caught_up(struct replay *r)
{
    r->has_caught_up = true;
    forget_early(r);
}
