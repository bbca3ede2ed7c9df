/* Replaying: a snapshot taken anywhere, and the rest of both journals in any interleaving, give
 * the queue that all of both journals give. Random traces, fixed seeds. */
#include "delivery/carried.h"
#include "delivery/image.h"
#include "delivery/replay.h"

#include "base/arena.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MESSAGES = 40, EVENTS = 160, TRACES = 150 };

static const uint64_t seed[2] = {3, 4};
static const stamp start = 1000 * SPAN_SECOND;

struct event {
    struct journal_record record;
    struct buf fields;
};

/* A run of the service: messages in smtpd's journal; in delivery's own outcomes, notifications
 * and copies of messages of both. `order[i]` tells which journal the i-th event of the run went
 * to. */
struct run {
    struct queue q;
    struct destination d;
    struct replay r;
    size_t messages; /* read so far */
    size_t outcomes;
};

struct trace {
    struct run live; /* the service itself: what copies are made of */
    struct event message[MESSAGES];
    struct event outcome[EVENTS];
    size_t ids; /* given so far, to messages and notifications */
    size_t messages;
    size_t outcomes;                     /* what is in delivery's own journal */
    struct parcel_facts first[MESSAGES]; /* the first record of each */
    struct event *newest[MESSAGES];      /* and the last one */
    bool order[MESSAGES + EVENTS];
    size_t length;
    uint32_t recipients[MESSAGES];
    uint32_t attempts[MESSAGES][8];
    bool is_final[MESSAGES][8];
    uint64_t accepted;
    uint64_t ended[OUTCOME_SUPPRESSED + 1];
};

static void run_init(struct run *run)
{
    *run = (struct run){0};
    queue_init(&run->q, seed);
    destination_init(&run->q, &run->d);
    replay_init(&run->r, &run->q, &run->d);
}

static void run_fini(struct run *run)
{
    replay_fini(&run->r);
    queue_fini(&run->q);
    destination_fini(&run->d);
}

static uint64_t roll(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    return z ^ (z >> 31);
}

/* Positions of the two journals overlap. */
static struct event *next_event(struct trace *t, bool is_own)
{
    t->order[t->length++] = is_own;
    size_t n = is_own ? ++t->outcomes : ++t->messages;
    struct event *e = is_own ? &t->outcome[n - 1] : &t->message[n - 1];
    e->record.position = 100 * n;
    return e;
}

static void close_event(struct trace *t, struct event *e, enum record_type type, stamp at)
{
    e->record.header.type = type;
    e->record.header.at = at;
    e->record.fields = buf_slice(&e->fields);
    e->record.header.fields_len = (uint32_t)e->fields.len;
    assert_true(replay_record(&t->live.r, &e->record, start) >= 0);
}

static void make_message(struct trace *t, uint64_t *random)
{
    size_t i = t->ids++;
    bool is_own = t->messages > 0 && roll(random) % 4 == 0;
    struct event *e = next_event(t, is_own);
    t->first[i].position = e->record.position;
    t->first[i].flags = is_own ? PARCEL_OWN : 0;
    t->recipients[i] = 1 + (uint32_t)(roll(random) % 8);
    t->accepted += t->recipients[i];
    record_put_u64(&e->fields, TAG_ID, i + 1);
    record_put(&e->fields, TAG_REVERSE_PATH, SLICE("from@x.test"));
    for (uint32_t k = 0; k < t->recipients[i]; k++)
        record_put(&e->fields, TAG_RECIPIENT, SLICE("to@x.test"));
    if (roll(random) % 8 == 0)
        record_put_u64(&e->fields, TAG_NOT_BEFORE, (uint64_t)(start + SPAN_HOUR));
    e->record.header.account = i % 5;
    record_put_u64(&e->fields, TAG_ORIGIN_STAMP, (uint64_t)start + i);
    t->newest[i] = e;
    close_event(t, e, is_own ? RECORD_DSN : RECORD_MESSAGE, start + (stamp)i);
}

/* A copy of a message, living or just finished (the last outcome was on its way then; no group
 * is left). */
static void make_copy(struct trace *t, uint64_t *random)
{
    size_t i = roll(random) % t->ids;
    struct event *e = next_event(t, true);
    struct parcel gone = {.facts = t->first[i]};
    struct parcel *p = queue_find(&t->live.q, i + 1);
    carried_put(&e->fields, t->newest[i]->record.fields, start + SPAN_HOUR, p ? p : &gone);
    e->record.header.account = i % 5;
    t->newest[i] = e;
    close_event(t, e, RECORD_CARRIED, start + SPAN_HOUR);
}

static void make_group(struct trace *t, size_t i, uint32_t k, uint64_t *random,
                       struct buf *fields)
{
    static const enum outcome_kind kinds[] = {
        OUTCOME_DELIVERED, OUTCOME_DELIVERED, OUTCOME_RETRY, OUTCOME_RETRY,
        OUTCOME_FAILED,    OUTCOME_EXPIRED,   OUTCOME_RETRY,
    };
    struct buf facts = BUF_INIT;
    struct settled o = {.index = k, .kind = kinds[roll(random) % COUNT_OF(kinds)]};
    o.attempt = ++t->attempts[i][k];
    o.next = start + (stamp)(roll(random) % 100) * SPAN_SECOND;
    o.stage = STAGE_RCPT;
    o.reply = (struct reply){450, {4, 2, 1}, SLICE("mailbox busy\nreally")};
    if (o.kind != OUTCOME_RETRY) {
        t->is_final[i][k] = true;
        t->ended[o.kind]++;
    }
    if (o.kind == OUTCOME_FAILED || o.kind == OUTCOME_EXPIRED) {
        record_put(&facts, TAG_RECIPIENT, SLICE("to@x.test"));
        record_put(&facts, TAG_RECIPIENT_ORCPT, SLICE("rfc822;to@x.test"));
        o.facts = buf_slice(&facts);
    }
    settled_put(fields, &o);
    buf_fini(&facts);
}

static void make_outcome(struct trace *t, uint64_t *random)
{
    size_t i = roll(random) % t->ids;
    uint32_t tried = 0;
    struct event *e = &t->outcome[t->outcomes]; /* if it comes to be */
    struct buf reporting = BUF_INIT;
    record_put(&reporting, TAG_REVERSE_PATH, SLICE("from@x.test"));
    record_put_u64(&reporting, TAG_ORIGIN_STAMP, (uint64_t)start + i);
    struct settlement s = {i + 1, SLICE("mx.test [192.0.2.1]"), buf_slice(&reporting), 0};
    settlement_put(&e->fields, &s);
    for (uint32_t k = 0; k < t->recipients[i]; k++)
        if (!t->is_final[i][k] && roll(random) % 2) {
            make_group(t, i, k, random, &e->fields);
            tried++;
        }
    buf_fini(&reporting);
    if (tried == 0) {
        buf_clear(&e->fields);
        return;
    }
    next_event(t, true);
    close_event(t, e, RECORD_OUTCOME, start + (stamp)t->length);
}

static void trace_init(struct trace *t, uint64_t *random)
{
    *t = (struct trace){0};
    run_init(&t->live);
    replay_caught_up(&t->live.r, start);
    make_message(t, random);
    while (t->ids < MESSAGES && t->outcomes < EVENTS) {
        uint64_t n = roll(random) % 16;
        if (n < 4)
            make_message(t, random);
        else if (n < 6)
            make_copy(t, random);
        else
            make_outcome(t, random);
    }
}

static void trace_fini(struct trace *t)
{
    run_fini(&t->live);
    for (size_t i = 0; i < MESSAGES; i++)
        buf_fini(&t->message[i].fields);
    for (size_t i = 0; i < EVENTS; i++)
        buf_fini(&t->outcome[i].fields);
}

static void step(struct run *run, struct trace *t, bool is_outcome)
{
    struct event *e = is_outcome ? &t->outcome[run->outcomes++] : &t->message[run->messages++];
    assert_true(replay_record(&run->r, &e->record, start) >= 0);
}

/* Everything that can be asked of a queue, in order of id. */
static void describe(struct run *run, struct buf *out)
{
    for (uint64_t id = 1; id <= MESSAGES; id++) {
        struct parcel *p = queue_find(&run->q, id);
        if (!p)
            continue;
        buf_printf(out, "%u at %s %u of %u: %u living %u failed %u ready, reporting %zu\n",
                   (unsigned)id, p->facts.flags & PARCEL_OWN ? "own" : "smtpd",
                   (unsigned)p->facts.position, (unsigned)p->facts.account, p->living,
                   p->failed, p->ready, p->reporting ? p->reporting->len : 0);
        for (uint32_t i = 0; i < p->count; i++) {
            struct recipient *r = &p->recipients[i];
            if (r->state == RECIPIENT_GONE)
                continue;
            buf_printf(out, " %u state %u attempts %u", r->index, r->state, r->attempts);
            if (r->state == RECIPIENT_WAITING)
                buf_printf(out, " next %lld", (long long)r->next);
            if (r->trouble)
                buf_printf(out, " %lld %u %u.%u.%u %u [%.*s] [%.*s] %u",
                           (long long)r->trouble->at, r->trouble->code,
                           r->trouble->status.class, r->trouble->status.subject,
                           r->trouble->status.detail, r->trouble->stage,
                           SLICE_ARG(trouble_remote(r->trouble)),
                           SLICE_ARG(trouble_reply(r->trouble)), r->trouble->facts_len);
            buf_byte(out, '\n');
        }
    }
    buf_printf(out, "living %u failed %u ready %u\n", (unsigned)run->q.living,
               (unsigned)run->q.failed, (unsigned)run->d.ready);
}

static void test_snapshot_anywhere_and_the_rest(void **state)
{
    (void)state;
    uint64_t random = 42;
    for (int n = 0; n < TRACES; n++) {
        struct trace *t = xcalloc(1, sizeof(*t));
        trace_init(t, &random);
        struct run full, cut, again;
        run_init(&full);
        for (size_t i = 0; i < t->length; i++)
            step(&full, t, t->order[i]);
        replay_caught_up(&full.r, start);
        struct buf want = BUF_INIT, got = BUF_INIT, image = BUF_INIT;
        describe(&full, &want);

        run_init(&cut);
        size_t at = roll(&random) % (t->length + 1);
        for (size_t i = 0; i < at; i++)
            step(&cut, t, t->order[i]);
        uint32_t indexes[3], count; /* somebody has a few in hand */
        queue_take(&cut.q, &cut.d, 3, indexes, &count);
        struct image_needs needs;
        image_save(&cut.q, &image, &needs);
        assert_int_equal(image.error, 0);

        run_init(&again);
        assert_int_equal(image_load(&again.q, &again.d, buf_slice(&image), start), 0);
        replay_set_snapshot(&again.r, at > 0 ? 100 * cut.messages + 8 : 0);
        again.messages = cut.messages;
        again.outcomes = cut.outcomes;
        while (again.messages < t->messages || again.outcomes < t->outcomes) {
            bool may_outcome = again.outcomes < t->outcomes;
            bool may_message = again.messages < t->messages;
            step(&again, t, may_outcome && (!may_message || roll(&random) % 3));
        }
        replay_caught_up(&again.r, start);
        describe(&again, &got);
        buf_byte(&want, '\0');
        buf_byte(&got, '\0');
        assert_string_equal(want.ptr, got.ptr);

        /* I2: nobody is lost, nobody is there twice. */
        assert_int_equal(t->accepted,
                         t->ended[OUTCOME_DELIVERED] + again.q.failed + again.q.living);
        assert_int_equal(again.q.failed, t->ended[OUTCOME_FAILED] + t->ended[OUTCOME_EXPIRED]);
        buf_fini(&want);
        buf_fini(&got);
        buf_fini(&image);
        run_fini(&full);
        run_fini(&cut);
        run_fini(&again);
        trace_fini(t);
        free(t);
    }
}

/* Old segments are gone: of smtpd's journal those whose living messages were all carried. */
static size_t first_needed(const struct trace *t)
{
    size_t first = t->messages;
    for (size_t i = 0; i < t->ids; i++) {
        bool is_needed = queue_find(&t->live.q, i + 1) != NULL;
        size_t n = t->first[i].position / 100 - 1;
        if (is_needed && !(t->first[i].flags & PARCEL_OWN) && t->newest[i] == &t->message[n] &&
            n < first)
            first = n;
    }
    return first;
}

/* The same of delivery's own. Outcomes go with them: the copies know what they said. */
static size_t first_needed_of_own(const struct trace *t)
{
    size_t first = t->outcomes;
    for (size_t i = 0; i < t->ids; i++) {
        const struct event *e = t->newest[i];
        bool is_own = e->record.header.type != RECORD_MESSAGE;
        if (queue_find(&t->live.q, i + 1) && is_own && (size_t)(e - t->outcome) < first)
            first = (size_t)(e - t->outcome);
    }
    return first;
}

static void read_rest(struct run *run, struct trace *t, size_t own, size_t smtpd)
{
    run_init(run);
    run->outcomes = own;
    run->messages = smtpd;
    while (run->outcomes < t->outcomes)
        step(run, t, true);
    while (run->messages < t->messages)
        step(run, t, false);
    replay_caught_up(&run->r, start);
}

/* Of what has a record of its own there everything is known. */
static void assert_nobody_is_lost(struct run *is, struct run *was, const struct trace *t)
{
    for (uint64_t id = 1; id <= MESSAGES; id++) {
        struct parcel *p = queue_find(&was->q, id);
        struct parcel *q = queue_find(&is->q, id);
        for (uint32_t i = 0; p && i < p->count; i++) {
            if (p->recipients[i].state == RECIPIENT_GONE)
                continue;
            struct recipient *r = q ? parcel_recipient(q, p->recipients[i].index) : NULL;
            assert_true(r && r->state != RECIPIENT_GONE);
            if (t->newest[id - 1]->record.header.type == RECORD_MESSAGE)
                continue;
            assert_int_equal(r->state, p->recipients[i].state);
            assert_int_equal(r->attempts, p->recipients[i].attempts);
            assert_int_equal(!r->trouble, !p->recipients[i].trouble);
            assert_int_equal(q->living, p->living);
        }
    }
}

/* Without a snapshot the copies alone tell of messages whose first record has been deleted. */
static void test_copies_stand_for_what_was_deleted(void **state)
{
    (void)state;
    uint64_t random = 4711;
    size_t deleted = 0;
    for (int n = 0; n < TRACES; n++) {
        struct trace *t = xcalloc(1, sizeof(*t));
        struct run rest;
        struct buf want = BUF_INIT, got = BUF_INIT;
        trace_init(t, &random);
        size_t smtpd = first_needed(t);
        size_t own = first_needed_of_own(t);
        deleted += smtpd + own;
        describe(&t->live, &want);
        read_rest(&rest, t, 0, smtpd);
        describe(&rest, &got);
        buf_byte(&want, '\0');
        buf_byte(&got, '\0');
        assert_string_equal(want.ptr, got.ptr);
        run_fini(&rest);
        read_rest(&rest, t, own, smtpd);
        assert_nobody_is_lost(&rest, &t->live, t);
        run_fini(&rest);
        buf_fini(&want);
        buf_fini(&got);
        trace_fini(t);
        free(t);
    }
    assert_true(deleted > TRACES);
}

static void test_needs_is_the_lowest_living_position(void **state)
{
    (void)state;
    struct run run;
    run_init(&run);
    struct buf image = BUF_INIT;
    struct image_needs needs;
    image_save(&run.q, &image, &needs);
    assert_true(needs.smtpd == UINT64_MAX && needs.delivery == UINT64_MAX);
    for (uint64_t id = 1; id <= 3; id++) {
        struct parcel_facts f = {.id = id, .position = id * 1000};
        queue_add(&run.q, &run.d, &f, 1, 0, start);
    }
    struct settlement s = {.id = 1};
    struct settled o = {.kind = OUTCOME_FAILED, .attempt = 1};
    queue_settle(&run.q, &s, &o, start);
    image_save(&run.q, &image, &needs);
    assert_int_equal(needs.smtpd, 2000); /* a failed one needs its record no more */
    assert_true(needs.delivery == UINT64_MAX);
    struct parcel_facts carried = {.id = 2, .position = 700, .flags = PARCEL_OWN};
    assert_true(queue_supersede(&run.q, &carried));
    carried.id = 9;
    assert_false(queue_supersede(&run.q, &carried));
    image_save(&run.q, &image, &needs);
    assert_int_equal(needs.smtpd, 3000);
    assert_int_equal(needs.delivery, 700);
    buf_fini(&image);
    run_fini(&run);
}

static void test_restored_mail_keeps_its_place(void **state)
{
    (void)state;
    enum { LINE = 500 };
    struct run run;
    struct run again;
    struct buf image = BUF_INIT;
    struct image_needs needs;
    run_init(&run);
    run_init(&again);
    for (uint64_t i = 1; i <= LINE; i++) {
        struct parcel_facts f = {
            .id = i * 77777, .position = i, .accepted = start + (stamp)i / 3};
        queue_add(&run.q, &run.d, &f, 1, 0, start);
    }
    image_save(&run.q, &image, &needs);
    assert_int_equal(image_load(&again.q, &again.d, buf_slice(&image), start), 0);
    for (uint64_t i = 1; i <= LINE; i++) {
        uint32_t index;
        uint32_t count;
        struct parcel *p = queue_take(&again.q, &again.d, 1, &index, &count);
        assert_non_null(p);
        assert_int_equal(p->facts.id, i * 77777);
    }
    buf_fini(&image);
    run_fini(&again);
    run_fini(&run);
}

static void test_damaged_images_are_refused(void **state)
{
    (void)state;
    uint64_t random = 7;
    struct trace *t = xcalloc(1, sizeof(*t));
    trace_init(t, &random);
    struct run run;
    run_init(&run);
    for (size_t i = 0; i < t->length; i++)
        step(&run, t, t->order[i]);
    struct buf image = BUF_INIT;
    struct image_needs needs;
    image_save(&run.q, &image, &needs);
    size_t refused = 0;
    for (size_t len = 1; len < image.len; len += 3) {
        struct run half;
        run_init(&half);
        refused += image_load(&half.q, &half.d, slice_make(image.ptr, len), start) < 0;
        run_fini(&half);
    }
    assert_true(refused + MESSAGES >= image.len / 3); /* all but those cut between parcels */
    for (size_t i = 0; i < 2000; i++) { /* nonsense is refused or loaded, never trusted */
        struct run bad;
        run_init(&bad);
        char *copy = xcalloc(1, image.len);
        memcpy(copy, image.ptr, image.len);
        copy[roll(&random) % image.len] ^= (char)(1 + roll(&random) % 255);
        int err = image_load(&bad.q, &bad.d, slice_make(copy, image.len), start);
        assert_true(err == 0 || err == -EBADMSG);
        free(copy);
        run_fini(&bad);
    }
    buf_fini(&image);
    run_fini(&run);
    trace_fini(t);
    free(t);
}

static void test_records_that_make_no_sense(void **state)
{
    (void)state;
    struct run run;
    run_init(&run);
    struct buf b = BUF_INIT;
    struct journal_record record = {.header = {.type = RECORD_MESSAGE}};
    assert_int_equal(replay_record(&run.r, &record, start), -EBADMSG); /* no id */
    record_put_u64(&b, TAG_ID, 5);
    record.fields = buf_slice(&b);
    assert_int_equal(replay_record(&run.r, &record, start), -EBADMSG); /* no recipient */
    record.header.type = RECORD_OUTCOME;
    record_put_u64(&b, TAG_RECIPIENT_INDEX, 0);
    record.fields = buf_slice(&b);
    assert_int_equal(replay_record(&run.r, &record, start), -EBADMSG); /* no outcome */
    record_put_u64(&b, TAG_OUTCOME, 99);
    record.fields = buf_slice(&b);
    assert_int_equal(replay_record(&run.r, &record, start), -EBADMSG);
    record.header.type = RECORD_LOCK;
    assert_int_equal(replay_record(&run.r, &record, start), -EBADMSG); /* of nobody */
    record.header.type = RECORD_SIGN_IN;
    assert_int_equal(replay_record(&run.r, &record, start), 0);
    record.header.type = (enum record_type)999;
    assert_int_equal(replay_record(&run.r, &record, start), -ENOTSUP);
    record.header.flags = RECORD_SKIPPABLE;
    assert_int_equal(replay_record(&run.r, &record, start), 0);
    buf_fini(&b);
    run_fini(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot_anywhere_and_the_rest),
        cmocka_unit_test(test_copies_stand_for_what_was_deleted),
        cmocka_unit_test(test_needs_is_the_lowest_living_position),
        cmocka_unit_test(test_restored_mail_keeps_its_place),
        cmocka_unit_test(test_damaged_images_are_refused),
        cmocka_unit_test(test_records_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
