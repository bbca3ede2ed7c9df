#include "delivery/replay.h"

#include "base/arena.h"
#include "codec/path.h"
#include "delivery/gate.h"
#include "delivery/reported.h"
#include "delivery/carried.h"

#include <errno.h>
#include <stdlib.h>

/* The outcomes of one message that is not known yet, reports of them, and copies of its record.
 */
struct early {
    uint64_t id;
    struct early_record *first;
    struct early_record **last;
};

struct early_record {
    struct early_record *next;
    struct journal_record record; /* its fields: */
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

static void keep_early(struct replay *r, uint64_t id, const struct journal_record *record)
{
    struct early *e = map_get(&r->early, MAP_KEY(id));
    if (!e) {
        e = xcalloc(1, sizeof(*e));
        e->id = id;
        e->last = &e->first;
        map_put(&r->early, MAP_KEY(e->id), e);
    }
    struct early_record *o = xcalloc(1, sizeof(*o) + record->fields.len);
    memcpy(o->fields, record->fields.ptr, record->fields.len);
    o->record = *record;
    o->record.fields = slice_make(o->fields, record->fields.len);
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

static int check_copy(slice fields)
{
    struct carried_recipient c;
    int64_t before = -1;
    slice groups;
    int more = carried_groups(fields, &groups);
    if (more < 0)
        return more;
    while ((more = carried_next(&groups, &c)) > 0) {
        if (c.index <= before)
            return -EBADMSG;
        before = c.index;
    }
    return more;
}

static int apply_outcome(struct replay *r, const struct journal_record *record, stamp now)
{
    struct settlement s;
    slice groups = record->fields;
    int err = settlement_read(&groups, &s);
    if (err == 0)
        err = check_groups(groups);
    if (err < 0)
        return err;
    s.at = record->header.at;
    if (!queue_find(r->queue, s.id)) {
        if (!r->has_caught_up)
            keep_early(r, s.id, record);
        return 1;
    }
    struct settled o;
    while (settled_read(&groups, &o) > 0)
        queue_settle(r->queue, &s, &o, now);
    return 1;
}

int replay_outcome(struct replay *r, slice fields, stamp at, stamp now)
{
    struct journal_record record = {
        .header = {.type = RECORD_OUTCOME, .at = at, .fields_len = (uint32_t)fields.len},
        .fields = fields,
    };
    int err = apply_outcome(r, &record, now);
    return err < 0 ? err : 0;
}

/* A record that describes a message. */
struct description {
    struct parcel_facts facts;
    stamp not_before;
    uint32_t count; /* recipients */
    uint64_t from_smtpd;
    uint64_t from_own;
    slice fields;
};

static void describe_field(struct description *d, const struct record_field *f)
{
    switch ((unsigned)f->tag) {
    case TAG_ID:
        d->facts.id = f->number;
        break;
    case TAG_RECIPIENT:
        d->count++;
        break;
    case TAG_NOT_BEFORE:
        d->not_before = (stamp)f->number;
        break;
    case TAG_FILE:
        d->facts.flags |= PARCEL_FILE;
        break;
    case TAG_ORIGIN_STAMP:
        d->facts.accepted = (stamp)f->number;
        break;
    case TAG_FROM_SMTPD:
        d->from_smtpd = f->number;
        break;
    case TAG_FROM_DELIVERY:
        d->from_own = f->number;
        break;
    default:
        break;
    }
}

static int describe(const struct journal_record *record, struct description *out)
{
    const struct record_header *h = &record->header;
    struct description d = {
        .facts =
            {
                .position = record->position,
                .customer = h->customer,
                .account = h->account,
                .accepted = h->at,
                .body_len = h->body_len,
                .fields_len = h->fields_len,
                .flags = h->type == RECORD_MESSAGE ? 0 : PARCEL_OWN,
            },
        .fields = record->fields,
    };
    slice rest = record->fields;
    struct record_field field;
    int more;
    while ((more = record_next(&rest, &field)) > 0 && field.tag != TAG_RECIPIENT_INDEX)
        describe_field(&d, &field);
    if (more < 0 || d.facts.id == 0 || d.count == 0)
        return -EBADMSG;
    *out = d;
    return 0;
}

static void apply_early(struct replay *r, uint64_t id, stamp now)
{
    struct early *e = map_remove(&r->early, MAP_KEY(id));
    if (!e)
        return;
    /* What comes after the message was finished says nothing new. */
    for (struct early_record *o = e->first; o && queue_find(r->queue, id); o = o->next) {
        int err = replay_record(r, &o->record, now);
        INVARIANT(err >= 0); /* it was checked when it was kept */
    }
    early_free(e);
}

/* Recipients at a domain whose mail an operator holds. */
static void hold_by_domain(struct queue *q, struct parcel *p, slice fields)
{
    struct arena arena = ARENA_INIT;
    struct record_field f;
    uint32_t index = 0;
    while (q->domains.count > 0 && record_next(&fields, &f) > 0) {
        ptrdiff_t at = f.tag == TAG_RECIPIENT ? slice_rfind(f.value, '@') : -1;
        if (at >= 0 &&
            queue_holds_domain(q, path_domain(&arena, slice_from(f.value, (size_t)at + 1))))
            queue_hold(q, p, parcel_recipient(p, index), HELD_DOMAIN);
        index += f.tag == TAG_RECIPIENT;
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

/* A lock by rule begins or ends: of an account, or of a customer with all its accounts. */
static int apply_lock(struct replay *r, const struct journal_record *record)
{
    const struct record_header *h = &record->header;
    uint64_t id = record_get_u64(record->fields, TAG_ID);
    uint64_t version = record_get_u64(record->fields, TAG_VERSION);
    stamp until = (stamp)record_get_u64(record->fields, TAG_UNTIL);
    if (id == 0 || (h->account == 0 && h->customer == 0))
        return -EBADMSG;
    struct gate *g = h->account ? gate_of_account(r->queue, h->account, h->customer)
                                : gate_of_customer(r->queue, h->customer);
    if (record_get_u64(record->fields, TAG_REMOVED))
        gate_unlock(r->queue, g, id, until, h->at);
    else
        gate_lock(r->queue, g, id, until, version);
    gate_drop(r->queue, g);
    return 1;
}

static int add_message(struct replay *r, const struct description *d, stamp now)
{
    struct parcel *p =
        queue_add(r->queue, r->destination, &d->facts, d->count, d->not_before, now);
    if (!p)
        return 0;
    hold_by_domain(r->queue, p, d->fields);
    apply_early(r, d->facts.id, now);
    return 1;
}

/* Finished messages are not in a snapshot: what it has read and does not have is over. */
static bool is_over(const struct replay *r, const struct description *d)
{
    if (r->has_caught_up)
        return true;
    if (d->from_smtpd == 0)
        return r->smtpd_from != 0 || d->from_own >= r->own_first;
    return d->from_smtpd < r->smtpd_from || d->from_smtpd <= r->smtpd_read;
}

/* What a report needs of the message, once a recipient has failed. */
static void put_reporting(struct buf *out, slice fields)
{
    static const enum record_tag tags[] = {TAG_REVERSE_PATH, TAG_ENVID, TAG_RET, TAG_MESSAGE_ID,
                                           TAG_ORIGIN_STAMP};
    for (size_t i = 0; i < COUNT_OF(tags); i++) {
        slice value = record_get(fields, tags[i]);
        if (value.ptr)
            record_put(out, tags[i], value);
    }
}

static uint32_t list_copied(slice groups, uint32_t count, struct recipient *list)
{
    struct carried_recipient c;
    uint32_t n = 0;
    while (n < count && carried_next(&groups, &c) > 0)
        if (c.index < count)
            list[n++] = (struct recipient){
                .next = c.next,
                .index = c.index,
                .flags = c.was_warned ? RECIPIENT_WARNED : 0,
            };
    return n;
}

/* What the last attempts were, as if their outcomes were read. */
static void settle_copied(struct replay *r, uint64_t id, slice fields, slice groups, stamp now)
{
    struct buf reporting = BUF_INIT;
    struct carried_recipient c;
    put_reporting(&reporting, fields);
    while (carried_next(&groups, &c) > 0) {
        struct settlement s = c.attempt;
        s.id = id;
        s.reporting = buf_slice(&reporting);
        if (c.was_tried)
            queue_settle(r->queue, &s, &c.last, now);
    }
    buf_fini(&reporting);
}

/* The message as its copy has it, with those recipients that were still in the queue. */
static int add_copy(struct replay *r, const struct description *d, slice fields, stamp now)
{
    struct recipient *list = xcalloc(d->count, sizeof(*list));
    slice groups;
    int err = carried_groups(fields, &groups);
    INVARIANT(err == 0); /* it was checked */
    uint32_t n = list_copied(groups, d->count, list);
    bool is_new =
        n > 0 && queue_restore(r->queue, r->destination, &d->facts, list, n, (slice){0}, now);
    free(list);
    if (is_new) {
        settle_copied(r, d->facts.id, fields, groups, now);
        apply_early(r, d->facts.id, now);
    }
    return is_new;
}

/* The original is not to be had, or the outcomes since may not be any more. */
static bool add_from_early(struct replay *r, uint64_t id, stamp now)
{
    const struct early *e = map_get(&r->early, MAP_KEY(id));
    const struct early_record *o = e ? e->first : NULL;
    struct description d;
    while (o && o->record.header.type != RECORD_CARRIED)
        o = o->next;
    return o && describe(&o->record, &d) == 0 && add_copy(r, &d, o->record.fields, now);
}

static int apply_message(struct replay *r, const struct journal_record *record, stamp now)
{
    struct description d;
    int err = describe(record, &d);
    if (err < 0)
        return err;
    if (r->smtpd_from == 0 && add_from_early(r, d.facts.id, now))
        return 1;
    return add_message(r, &d, now);
}

static int apply_carried(struct replay *r, const struct journal_record *record, stamp now)
{
    struct description d;
    int err = describe(record, &d);
    if (err == 0)
        err = check_copy(record->fields);
    if (err < 0)
        return err;
    if (queue_supersede(r->queue, &d.facts))
        return 1;
    if (is_over(r, &d))
        return 0;
    if (d.from_smtpd == 0)
        return add_copy(r, &d, record->fields, now);
    keep_early(r, d.facts.id, record);
    return 1;
}

/* What is said of recipients of another message, which waits for that one as outcomes do. */
static void apply_reported(struct replay *r, const struct journal_record *record,
                           const struct reported *said)
{
    if (!queue_find(r->queue, said->id)) {
        struct journal_record part = *record;
        part.fields = said->fields;
        if (!r->has_caught_up)
            keep_early(r, said->id, &part);
        return;
    }
    slice groups = said->groups;
    uint32_t index;
    enum report report;
    while (reported_next(&groups, &index, &report))
        queue_reported(r->queue, said->id, index, report);
}

static int apply_dsn(struct replay *r, const struct journal_record *record, stamp now)
{
    struct reported said;
    int has_said = reported_find(record->fields, &said);
    bool is_message = record_get_u64(record->fields, TAG_ID) != 0;
    if (has_said < 0 || (!has_said && !is_message))
        return -EBADMSG;
    int err = is_message ? apply_message(r, record, now) : 0;
    if (err < 0)
        return err;
    if (has_said)
        apply_reported(r, record, &said);
    return 1;
}

static void note_own(struct replay *r, const struct journal_record *record)
{
    if (r->own_first == 0)
        r->own_first = record->position;
}

int replay_record(struct replay *r, const struct journal_record *record, stamp now)
{
    switch ((unsigned)record->header.type) {
    case RECORD_MESSAGE:
        if (record->position > r->smtpd_read)
            r->smtpd_read = record->position;
        return apply_message(r, record, now);
    case RECORD_OUTCOME:
        note_own(r, record);
        return apply_outcome(r, record, now);
    case RECORD_DSN:
        note_own(r, record);
        return apply_dsn(r, record, now);
    case RECORD_CARRIED:
        note_own(r, record);
        return apply_carried(r, record, now);
    case RECORD_LOCK:
        return apply_lock(r, record);
    case RECORD_REFUSALS:
    case RECORD_SIGN_IN:
        return 0;
    default:
        return record->header.flags & RECORD_SKIPPABLE ? 0 : -ENOTSUP;
    }
}

void replay_set_snapshot(struct replay *r, uint64_t smtpd_from)
{
    r->smtpd_from = smtpd_from;
}

void replay_caught_up(struct replay *r, stamp now)
{
    size_t at = 0;
    void *value;
    while (map_next(&r->early, &at, NULL, &value))
        add_from_early(r, ((const struct early *)value)->id, now);
    r->has_caught_up = true;
    forget_early(r);
}
