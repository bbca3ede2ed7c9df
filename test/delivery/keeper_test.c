/* Snapshots on the disk, with outcomes before, behind and on their way: what a crash leaves is
 * read back exactly, from the snapshot and both journals. */
#include "office.h"

#include "base/log.h"

enum { MESSAGES = 8 };

struct stage {
    struct office *office;
    struct keeper *keeper;
    uint64_t ids[MESSAGES];
};

static bool has_caught_up(struct office *o)
{
    return tail_has_caught_up(o->tail);
}

static bool is_settled(struct office *o)
{
    return settle_is_idle(o->courier.settle);
}

static int set_up(void **state)
{
    struct stage *s = xcalloc(1, sizeof(*s));
    struct office *o = s->office = office_new();
    for (size_t i = 0; i < MESSAGES; i++)
        s->ids[i] = office_post_one(o, "a@y.test", "A: b\r\n\r\nx\r\n");
    office_follow(o);
    office_run(o, has_caught_up);
    assert_int_equal(o->queue.living, MESSAGES);
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

/* What a new process would have: the bits of the messages that still live. */
static unsigned after_a_crash(struct stage *s)
{
    struct reborn b;
    unsigned alive = 0;
    reborn_init(&b, s->office);
    for (unsigned i = 0; i < MESSAGES; i++)
        if (queue_find(&b.queue, s->ids[i]))
            alive |= 1u << i;
    reborn_fini(&b);
    return alive;
}

static void test_without_a_snapshot(void **state)
{
    struct stage *s = *state;
    office_deliver(s->office, s->ids[0]);
    office_run(s->office, is_settled);
    assert_int_equal(after_a_crash(s), 0xfe);
}

static void test_outcomes_before_and_behind_it(void **state)
{
    struct stage *s = *state;
    office_deliver(s->office, s->ids[0]);
    office_deliver(s->office, s->ids[1]);
    office_run(s->office, is_settled);
    assert_int_equal(keeper_save(s->keeper), 0);
    assert_true(keeper_saved_at(s->keeper) > 0);
    assert_int_equal(after_a_crash(s), 0xfc);
    office_deliver(s->office, s->ids[2]);
    office_run(s->office, is_settled);
    office_deliver(s->office, s->ids[3]);
    office_run(s->office, is_settled);
    assert_int_equal(after_a_crash(s), 0xf0);
}

static void test_outcomes_on_their_way(void **state)
{
    struct stage *s = *state;
    office_deliver(s->office, s->ids[0]);
    office_run(s->office, is_settled);
    office_deliver(s->office, s->ids[1]); /* gathers */
    assert_int_equal(keeper_save(s->keeper), 0);
    assert_int_equal(after_a_crash(s), 0xfe); /* sent, but not known to be: due again */
    office_run(s->office, is_settled);
    assert_int_equal(after_a_crash(s), 0xfc);
}

static void test_messages_behind_it(void **state)
{
    struct stage *s = *state;
    assert_int_equal(keeper_save(s->keeper), 0);
    uint64_t last = s->ids[7];
    s->ids[7] = office_post_one(s->office, "b@y.test", "A: b\r\n\r\nx\r\n");
    assert_int_equal(after_a_crash(s), 0xff);
    assert_true(last != s->ids[7]);
}

static bool is_written(struct office *o)
{
    (void)o;
    struct stage *s = o->transport;
    return keeper_is_idle(s->keeper);
}

static void test_a_snapshot_that_cannot_be_written(void **state)
{
    struct stage *s = *state;
    struct office *o = s->office;
    office_deliver(s->office, s->ids[0]);
    office_run(o, is_settled);
    assert_int_equal(keeper_save(s->keeper), 0);
    office_deliver(s->office, s->ids[1]);
    office_run(o, is_settled);
    for (int at = 1; at < 8; at++) { /* every operation of writing it */
        atomic_store(&o->faulty.fail_times, 1);
        atomic_store(&o->faulty.fail_in, at);
        int err = keeper_save(s->keeper);
        bool has_fired = atomic_load(&o->faulty.fail_in) == 0;
        atomic_store(&o->faulty.fail_in, 0);
        assert_true(err < 0 || !has_fired);
        assert_int_equal(after_a_crash(s), 0xfc); /* the old one, or the new one */
    }
    o->transport = s;
    office_run(o, is_written);
}

static void test_a_damaged_snapshot_is_passed_over(void **state)
{
    struct stage *s = *state;
    char path[128];
    office_deliver(s->office, s->ids[0]);
    office_run(s->office, is_settled);
    assert_int_equal(keeper_save(s->keeper), 0);
    snprintf(path, sizeof(path), "%s/%s", s->office->root, KEEPER_PATH);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    fseek(f, 120, SEEK_SET);
    fputc('?', f);
    fclose(f);
    assert_int_equal(after_a_crash(s), 0xfe); /* the journals have it all */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_setup("test", LOG_LOGFMT, getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_snapshot),
        TEST(test_outcomes_before_and_behind_it),
        TEST(test_outcomes_on_their_way),
        TEST(test_messages_behind_it),
        TEST(test_a_snapshot_that_cannot_be_written),
        TEST(test_a_damaged_snapshot_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
