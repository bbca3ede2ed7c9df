/* Carrying forward: what lives in old segments is copied into delivery's own journal, and
 * nothing of those segments is needed any more; nothing is copied without a reason. */
#include "office.h"

#include "base/log.h"
#include "delivery/carrier.h"
#include "journal/readers.h"
#include "journal/snapshot.h"

enum { MESSAGES = 60, BODY = 100 * 1000 }; /* ten to a segment of the office */

struct stage {
    struct office *office;
    struct keeper *keeper;
    struct carrier *carrier;
    uint64_t ids[MESSAGES];
    char *body;
};

static bool has_read(struct office *o)
{
    return tail_has_caught_up(o->tail) && settle_is_idle(o->courier.settle);
}

/* Everybody but the queue has read everything. */
static void others_are_past(struct stage *s, uint64_t position)
{
    struct office *o = s->office;
    static const char *const paths[] = {"snapshot/control/ledger", "snapshot/smtpd/limits",
                                        "snapshot/smtpd/tokens"};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct snapshot head = {.version = 1};
        for (int j = 0; j < SNAPSHOT_JOURNALS; j++) {
            head.position[j] = position;
            head.needs[j] = UINT64_MAX;
        }
        assert_int_equal(snapshot_write(&o->real.env, paths[i], &head), 0);
    }
}

static void consider(struct office *o)
{
    struct stage *s = o->transport;
    keeper_consider(s->keeper);
}

static int set_up(void **state)
{
    struct stage *s = xcalloc(1, sizeof(*s));
    struct office *o = s->office = office_new();
    s->body = xcalloc(1, BODY + 1);
    memset(s->body, 'x', BODY);
    for (size_t i = 0; i < MESSAGES; i++) {
        snprintf(s->body, 32, "Subject: %zu\r\n\r\n", i);
        s->body[strlen(s->body)] = 'x';
        s->ids[i] = office_post_one(o, "a@y.test", s->body);
    }
    office_follow(o);
    s->keeper = office_keeper(o);
    struct carrier_config carrier = {
        .env = o->env,
        .loop = o->loop,
        .jobs = o->courier.jobs,
        .queue = &o->queue,
        .settle = o->courier.settle,
        .keeper = s->keeper,
        .store = o->courier.store,
        .watermark = {&o->pages.watermark[ROLE_SMTPD], &o->pages.watermark[ROLE_DELIVERY]},
        .max_waste = 2 << 20,
        .interval = 50 * SPAN_MS,
    };
    s->carrier = carrier_new(&carrier);
    o->transport = s;
    o->pump = consider;
    office_run(o, has_read);
    others_are_past(s, UINT64_MAX);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *s = *state;
    s->office->pump = NULL;
    carrier_stop(s->carrier);
    jobs_free(&s->office->courier.jobs);
    carrier_free(&s->carrier);
    keeper_free(&s->keeper);
    tail_free(&s->office->tail);
    s->office->courier.jobs = jobs_new(1, 1);
    office_free(s->office);
    free(s->body);
    free(s);
    return 0;
}

/* All but those whose number is a multiple of `step`. */
static void deliver_most(struct stage *s, size_t step)
{
    for (size_t i = 0; i < MESSAGES; i++)
        if (i % step != 0)
            office_deliver(s->office, s->ids[i]);
    office_run(s->office, has_read);
}

static struct snapshot head_of(struct stage *s)
{
    struct snapshot head = {0};
    (void)!snapshot_read_head(&s->office->real.env, KEEPER_PATH, &head);
    return head;
}

static bool is_carried(struct office *o)
{
    struct stage *s = o->transport;
    return head_of(s).needs[ID_SMTPD] > 3 << 20 && keeper_is_idle(s->keeper);
}

static void assert_reads(struct stage *s, size_t i)
{
    struct office *o = s->office;
    struct letter l;
    slice piece;
    char want[32];
    snprintf(want, sizeof(want), "Subject: %zu\r\n", i);
    letter_init(&l, o->env, o->courier.store);
    assert_int_equal(letter_open(&l, &queue_find(&o->queue, s->ids[i])->facts), 0);
    assert_int_equal(letter_piece(&l, &piece), 1);
    assert_true(slice_starts(piece, slice_of(want)));
    assert_int_equal(piece.len, BODY);
    letter_fini(&l);
}

static void test_old_segments_become_free(void **state)
{
    struct stage *s = *state;
    deliver_most(s, 15); /* 0, 15, 30, 45 live */
    office_run(s->office, is_carried);
    for (size_t i = 0; i < MESSAGES; i += 15) {
        struct parcel *p = queue_find(&s->office->queue, s->ids[i]);
        assert_int_equal(p->living, 1);
        assert_reads(s, i);
    }
    assert_true(queue_find(&s->office->queue, s->ids[0])->facts.flags & PARCEL_OWN);
    assert_true(carrier_numbers(s->carrier).messages >= 2);
    assert_int_equal(carrier_numbers(s->carrier).lost, 0);
    assert_true(head_of(s).needs[ID_DELIVERY] < UINT64_MAX);
}

static bool have_turns_passed(struct office *o)
{
    static unsigned turns;
    struct stage *s = o->transport;
    (void)s;
    return ++turns % 40 == 0;
}

static void test_nothing_is_copied_without_a_reason(void **state)
{
    struct stage *s = *state;
    carrier_set_max_waste(s->carrier, 1 << 20);
    for (size_t i = 0; i < MESSAGES; i += 3)
        office_deliver(s->office, s->ids[i]); /* two live for each that is done */
    office_run(s->office, have_turns_passed);
    assert_int_equal(carrier_numbers(s->carrier).messages, 0);
    carrier_set_max_waste(s->carrier, 100 << 20);
    for (size_t i = 1; i < MESSAGES; i += 3) /* half lives, but little is kept */
        office_deliver(s->office, s->ids[i]);
    office_run(s->office, have_turns_passed);
    assert_int_equal(carrier_numbers(s->carrier).messages, 0);
}

static void test_a_reader_that_is_behind_keeps_all(void **state)
{
    struct stage *s = *state;
    others_are_past(s, 1 << 20); /* control has read one segment of it */
    deliver_most(s, 15);
    office_run(s->office, have_turns_passed);
    assert_int_equal(carrier_numbers(s->carrier).messages, 0);
    others_are_past(s, UINT64_MAX);
    office_run(s->office, is_carried);
}

static void test_a_journal_that_fails_is_left_alone(void **state)
{
    struct stage *s = *state;
    deliver_most(s, 15);
    atomic_store(&s->office->own.fail_times, 3);
    atomic_store(&s->office->own.fail_in, 1);
    office_run(s->office, is_carried); /* later */
    assert_int_equal(atomic_load(&s->office->own.fail_in), 0);
    for (size_t i = 0; i < MESSAGES; i += 15)
        assert_reads(s, i);
}

static void test_a_damaged_record_holds_nothing_back(void **state)
{
    struct stage *s = *state;
    struct parcel *p = queue_find(&s->office->queue, s->ids[0]);
    char path[128];
    snprintf(path, sizeof(path), "%s/journal/smtpd/0000000000000000.seg", s->office->root);
    FILE *f = fopen(path, "r+");
    fseek(f, (long)(p->facts.position + RECORD_HEADER_LEN + p->facts.fields_len + 5), SEEK_SET);
    fputc('!', f);
    fclose(f);
    deliver_most(s, 15);
    office_run(s->office, is_carried);
    p = queue_find(&s->office->queue, s->ids[0]);
    assert_int_equal(p->living, 1);
    assert_int_equal(p->facts.flags, PARCEL_LOST);
    assert_int_equal(carrier_numbers(s->carrier).lost, 1);
    assert_reads(s, 15);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_setup("test", LOG_LOGFMT, getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(test_old_segments_become_free),
        TEST(test_nothing_is_copied_without_a_reason),
        TEST(test_a_reader_that_is_behind_keeps_all),
        TEST(test_a_journal_that_fails_is_left_alone),
        TEST(test_a_damaged_record_holds_nothing_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
