/* Messages whose record is in delivery's own journal: notifications, and copies of messages.
 * They are queued when they are synced, read from there, and there again after a crash. */
#include "office.h"

#include "base/log.h"

enum { DSN_ID = 77 };

struct stage {
    struct office *office;
    struct keeper *keeper;
    int done; /* calls */
    int result;
};

static void note_done(void *ctx, int result)
{
    struct stage *s = ctx;
    s->done++;
    s->result = result;
}

static bool is_settled(struct office *o)
{
    return settle_is_idle(o->courier.settle) && tail_has_caught_up(o->tail);
}

static int set_up(void **state)
{
    struct stage *s = xcalloc(1, sizeof(*s));
    struct office *o = s->office = office_new();
    office_follow(o);
    s->keeper = office_keeper(o);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *s = *state;
    keeper_free(&s->keeper);
    tail_free(&s->office->tail);
    office_free(s->office);
    free(s);
    return 0;
}

static void hand_in(struct stage *s, enum record_type type, uint64_t id, uint64_t from,
                    slice body)
{
    struct settle_message m = {
        .header = {.type = type, .at = env_now(s->office->env), .account = 3},
        .done = note_done,
        .ctx = s,
    };
    record_put_u64(&m.fields, TAG_ID, id);
    record_put(&m.fields, TAG_REVERSE_PATH, SLICE(""));
    record_put(&m.fields, TAG_RECIPIENT, SLICE("sender@x.test"));
    record_put_u64(&m.fields, TAG_ORIGIN_STAMP, 5 * SPAN_SECOND);
    if (from)
        record_put_u64(&m.fields, TAG_FROM_SMTPD, from);
    buf_append(&m.body, body);
    settle_message(s->office->courier.settle, &m);
}

static void assert_reads(struct stage *s, const struct parcel *p, slice body)
{
    struct letter l;
    struct relay_recipient to;
    slice piece;
    letter_init(&l, s->office->env, s->office->courier.store);
    assert_int_equal(letter_open(&l, &p->facts), 0);
    assert_int_equal(letter_recipients(&l, (uint32_t[]){0}, 1, &to), 0);
    assert_int_equal(letter_piece(&l, &piece), 1);
    assert_true(slice_eq(piece, body));
    letter_fini(&l);
}

static void test_a_notification_is_queued_when_it_is_synced(void **state)
{
    struct stage *s = *state;
    struct office *o = s->office;
    slice body = SLICE("Subject: failed\r\n\r\nsorry\r\n");
    hand_in(s, RECORD_DSN, DSN_ID, 0, body);
    assert_null(queue_find(&o->queue, DSN_ID));
    office_run(o, is_settled);
    assert_int_equal(s->done, 1);
    assert_int_equal(s->result, 0);
    struct parcel *p = queue_find(&o->queue, DSN_ID);
    assert_non_null(p);
    assert_int_equal(p->facts.flags, PARCEL_OWN);
    assert_int_equal(p->facts.accepted, 5 * SPAN_SECOND);
    assert_int_equal(p->facts.account, 3);
    assert_true(settle_position(o->courier.settle) > p->facts.position);
    assert_reads(s, p, body);
}

static void test_a_copy_takes_the_place_of_the_message(void **state)
{
    struct stage *s = *state;
    struct office *o = s->office;
    uint64_t id = office_post_one(o, "a@y.test", "A: b\r\n\r\nfirst\r\n");
    office_run(o, is_settled);
    struct parcel *p = queue_find(&o->queue, id);
    assert_non_null(p);
    assert_reads(s, p, SLICE("A: b\r\n\r\nfirst\r\n"));
    hand_in(s, RECORD_CARRIED, id, p->facts.position, SLICE("A: b\r\n\r\nsecond\r\n"));
    office_run(o, is_settled);
    assert_ptr_equal(queue_find(&o->queue, id), p);
    assert_int_equal(p->facts.flags, PARCEL_OWN);
    assert_int_equal(p->living, 1);
    assert_reads(s, p, SLICE("A: b\r\n\r\nsecond\r\n"));
    hand_in(s, RECORD_CARRIED, id + 1, 4096, SLICE("x")); /* it was finished meanwhile */
    office_run(o, is_settled);
    assert_int_equal(s->done, 2);
    assert_null(queue_find(&o->queue, id + 1));
}

static void assert_same(struct stage *s, uint64_t id)
{
    struct reborn a;
    reborn_init(&a, s->office);
    struct parcel *was = queue_find(&s->office->queue, id);
    struct parcel *is = queue_find(&a.queue, id);
    assert_true(!was == !is);
    if (is) {
        assert_int_equal(is->facts.position, was->facts.position);
        assert_int_equal(is->facts.flags, was->facts.flags);
        assert_int_equal(is->facts.accepted, was->facts.accepted);
        assert_int_equal(is->facts.body_len, was->facts.body_len);
        assert_int_equal(is->living, was->living);
    }
    reborn_fini(&a);
}

static void test_both_are_there_after_a_crash(void **state)
{
    struct stage *s = *state;
    struct office *o = s->office;
    uint64_t id = office_post_one(o, "a@y.test", "A: b\r\n\r\nfirst\r\n");
    office_run(o, is_settled);
    uint64_t from = queue_find(&o->queue, id)->facts.position;
    hand_in(s, RECORD_DSN, DSN_ID, 0, SLICE("A: dsn\r\n\r\n"));
    hand_in(s, RECORD_CARRIED, id, from, SLICE("A: b\r\n\r\nfirst\r\n"));
    office_run(o, is_settled);
    assert_same(s, id); /* without a snapshot */
    assert_same(s, DSN_ID);
    assert_int_equal(keeper_save(s->keeper), 0);
    assert_same(s, id); /* from the snapshot alone */
    assert_same(s, DSN_ID);
    hand_in(s, RECORD_CARRIED, id, from, SLICE("A: b\r\n\r\nfirst\r\n"));
    office_run(o, is_settled);
    assert_same(s, id); /* a copy behind the snapshot */
}

static void test_a_notification_is_appended_until_it_is_synced(void **state)
{
    struct stage *s = *state;
    struct office *o = s->office;
    office_run(o, is_settled);
    atomic_store(&o->own.fail_times, 2);
    atomic_store(&o->own.fail_in, 1);
    hand_in(s, RECORD_DSN, DSN_ID, 0, SLICE("A: dsn\r\n\r\n"));
    office_run(o, is_settled);
    assert_int_equal(atomic_load(&o->own.fail_in), 0);
    assert_int_equal(s->done, 1);
    assert_int_equal(s->result, 0);
    assert_reads(s, queue_find(&o->queue, DSN_ID), SLICE("A: dsn\r\n\r\n"));
    assert_same(s, DSN_ID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_setup("test", LOG_LOGFMT, getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        TEST(test_a_notification_is_queued_when_it_is_synced),
        TEST(test_a_copy_takes_the_place_of_the_message),
        TEST(test_both_are_there_after_a_crash),
        TEST(test_a_notification_is_appended_until_it_is_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
