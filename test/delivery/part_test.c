/* Messages for several destinations: parting them, and what then holds across their parcels. */
#include "delivery/image.h"

#include "base/arena.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { PLACES = 3 };
static const uint64_t seed[2] = {1, 2};
static const stamp start = 1000 * SPAN_SECOND;

struct fixture {
    struct queue q;
    struct destination all; /* where messages come in */
    struct destination places[PLACES];
    struct list awake;
    uint64_t finished;
};

static void note_finished(void *ctx, const struct parcel *p)
{
    struct fixture *f = ctx;
    f->finished += p->facts.id;
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    queue_init(&f->q, seed);
    f->q.on_finished = note_finished;
    f->q.ctx = f;
    list_init(&f->awake);
    destination_init(&f->q, &f->all);
    for (size_t i = 0; i < PLACES; i++) {
        destination_init(&f->q, &f->places[i]);
        f->places[i].awake = &f->awake;
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    queue_fini(&f->q);
    destination_fini(&f->all);
    for (size_t i = 0; i < PLACES; i++)
        destination_fini(&f->places[i]);
    assert_true(list_is_empty(&f->awake));
    free(f);
    return 0;
}

static struct parcel *add(struct fixture *f, uint64_t id, uint64_t account, uint32_t count)
{
    struct parcel_facts facts = {.id = id, .account = account, .accepted = start};
    return queue_add(&f->q, &f->all, &facts, count, 0, start);
}

/* "0120": the place of each recipient. */
static void part(struct fixture *f, struct parcel *p, const char *where, stamp now)
{
    struct destination *to[16] = {0};
    for (uint32_t i = 0; i < p->count; i++)
        to[i] = where[i] == '-' ? NULL : &f->places[where[i] - '0'];
    queue_part(&f->q, p, to, now);
}

/* Takes one parcel there and checks its recipients: "03". */
static struct parcel *take(struct fixture *f, unsigned place, const char *want)
{
    uint32_t indexes[16], n;
    struct parcel *p = queue_take(&f->q, &f->places[place], 16, indexes, &n);
    assert_non_null(p);
    assert_int_equal(n, strlen(want));
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(indexes[i], want[i] - '0');
    return p;
}

static enum queue_settled settle(struct fixture *f, uint64_t id, uint32_t index,
                                 enum outcome_kind kind, stamp next)
{
    struct settlement s = {.id = id, .remote = SLICE("mx.test"), .at = start};
    struct settled o = {.index = index, .kind = kind, .attempt = 1, .next = next};
    s.reporting = SLICE("of the message");
    o.facts = SLICE("of the recipient");
    return queue_settle(&f->q, &s, &o, start);
}

static void test_one_destination_takes_the_parcel_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct parcel *p = add(f, 5, 1, 3);
    part(f, p, "111", start);
    assert_int_equal(f->q.parcels, 1);
    assert_int_equal(f->all.ready + f->all.parcels, 0);
    assert_int_equal(f->places[1].ready, 3);
    assert_ptr_equal(take(f, 1, "012"), p);
    assert_null(queue_also(p));
}

static void test_each_destination_gets_its_own(void **state)
{
    struct fixture *f = *state;
    part(f, add(f, 5, 1, 6), "012021", start);
    assert_int_equal(f->q.parcels, 3);
    assert_int_equal(f->q.living, 6);
    assert_int_equal(f->all.parcels, 0);
    for (size_t i = 0; i < PLACES; i++)
        assert_int_equal(f->places[i].ready, 2);
    take(f, 0, "03");
    take(f, 1, "15");
    take(f, 2, "24");
    assert_null(queue_add(&f->q, &f->all, &(struct parcel_facts){.id = 5}, 6, 0, start));
}

static void test_outcomes_find_their_recipient(void **state)
{
    struct fixture *f = *state;
    part(f, add(f, 5, 1, 4), "0120", start);
    for (unsigned i = 0; i < PLACES; i++)
        take(f, i, (const char *[]){"03", "1", "2"}[i]);
    assert_int_equal(settle(f, 5, 2, OUTCOME_DELIVERED, 0), QUEUE_APPLIED);
    assert_int_equal(f->q.parcels, 2);
    assert_int_equal(settle(f, 5, 2, OUTCOME_DELIVERED, 0), QUEUE_KNOWN);
    assert_int_equal(settle(f, 5, 3, OUTCOME_DELIVERED, 0), QUEUE_APPLIED);
    assert_int_equal(settle(f, 5, 1, OUTCOME_FAILED, 0), QUEUE_APPLIED);
    assert_int_equal(f->finished, 0);
    assert_true(queue_is_living(&f->q, 5));
    assert_int_equal(settle(f, 5, 0, OUTCOME_DELIVERED, 0), QUEUE_APPLIED);
    assert_int_equal(f->finished, 0);
    assert_false(queue_is_living(&f->q, 5));
    assert_int_equal(f->q.parcels, 1); /* the failed one's */
    assert_int_equal(f->q.failed, 1);
    assert_int_equal(settle(f, 5, 1, OUTCOME_REMOVED, 0), QUEUE_APPLIED);
    assert_int_equal(f->q.parcels, 0);
    assert_int_equal(f->finished, 5); /* once, with the last one */
}

static void test_what_is_in_hand_stays_and_goes_later(void **state)
{
    struct fixture *f = *state;
    uint32_t indexes[2], n;
    struct parcel *p = add(f, 5, 1, 5);
    assert_ptr_equal(queue_take(&f->q, &f->all, 2, indexes, &n), p);
    settle(f, 5, 1, OUTCOME_FAILED, 0);
    part(f, p, "--101", start);
    assert_ptr_equal(parcel_destination(p), &f->all);
    assert_int_equal(p->living, 1);
    assert_int_equal(p->failed, 1);
    assert_int_equal(p->reporting->len, strlen("of the message"));
    take(f, 0, "3");
    take(f, 1, "24");
    queue_put_back(&f->q, p, indexes, 1);
    part(f, p, "2-", start);
    assert_ptr_equal(parcel_destination(p), &f->places[2]);
    assert_int_equal(f->all.parcels, 0);
    take(f, 2, "0");
    assert_int_equal(p->failed, 1);
}

static void test_those_that_wait_wait_there(void **state)
{
    struct fixture *f = *state;
    uint32_t indexes[3], n;
    struct parcel *p = add(f, 5, 1, 3);
    queue_take(&f->q, &f->all, 3, indexes, &n);
    settle(f, 5, 0, OUTCOME_RETRY, start + 10 * SPAN_SECOND);
    settle(f, 5, 1, OUTCOME_RETRY, start + 20 * SPAN_SECOND);
    queue_put_back(&f->q, p, &indexes[2], 1);
    part(f, p, "012", start);
    assert_int_equal(f->places[0].ready + f->places[1].ready, 0);
    take(f, 2, "2");
    assert_int_equal(queue_due(&f->q, start), start + 10 * SPAN_SECOND);
    assert_int_equal(queue_due(&f->q, start + 10 * SPAN_SECOND), start + 20 * SPAN_SECOND);
    p = take(f, 0, "0");
    assert_non_null(parcel_recipient(p, 0)->trouble);
    assert_int_equal(parcel_recipient(p, 0)->attempts, 1);
    assert_int_equal(queue_due(&f->q, start + 20 * SPAN_SECOND), STAMP_NEVER);
    take(f, 1, "1");
}

static void test_accounts_take_turns_in_parting(void **state)
{
    struct fixture *f = *state;
    for (uint64_t id = 1; id <= 6; id++)
        add(f, id, id <= 4 ? 7 : 8, 1);
    unsigned of_the_second = 0;
    for (unsigned i = 0; i < 6; i++) {
        struct parcel *p = queue_next(&f->all);
        of_the_second += p->facts.account == 8;
        if (i == 1 || i == 3)
            assert_int_equal(of_the_second, (i + 1) / 2);
        part(f, p, "0", start);
    }
    assert_null(queue_next(&f->all));
}

static void test_a_destination_with_work_awakes_once(void **state)
{
    struct fixture *f = *state;
    part(f, add(f, 1, 1, 2), "12", start);
    part(f, add(f, 2, 1, 2), "12", start);
    struct list *one = list_pop(&f->awake), *other = list_pop(&f->awake);
    assert_true(one == &f->places[1].node || other == &f->places[1].node);
    assert_true(one == &f->places[2].node || other == &f->places[2].node);
    assert_true(list_is_empty(&f->awake));
    part(f, add(f, 3, 1, 1), "1", start); /* it has some, and could use another connection */
    assert_ptr_equal(list_pop(&f->awake), &f->places[1].node);
    for (int i = 0; i < 3; i++)
        take(f, 1, "0");
    part(f, add(f, 4, 1, 1), "1", start);
    assert_ptr_equal(list_pop(&f->awake), &f->places[1].node);
}

static void test_an_image_keeps_the_parts(void **state)
{
    struct fixture *f = *state;
    part(f, add(f, 5, 1, 4), "0120", start);
    part(f, add(f, 6, 1, 2), "11", start);
    settle(f, 5, 3, OUTCOME_FAILED, 0);
    struct buf image = BUF_INIT;
    struct image_needs needs;
    image_save(&f->q, &image, &needs);
    queue_clear(&f->q);
    assert_int_equal(image_load(&f->q, &f->all, buf_slice(&image), start), 0);
    assert_int_equal(f->q.parcels, 4);
    assert_int_equal(f->q.living, 5);
    assert_int_equal(f->q.failed, 1);
    assert_int_equal(f->all.ready, 5);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(settle(f, 5, i, OUTCOME_DELIVERED, 0), QUEUE_APPLIED);
    assert_int_equal(f->finished, 0);
    /* The same image again adds nothing twice. */
    image_save(&f->q, &image, &needs);
    assert_int_equal(image_load(&f->q, &f->all, buf_slice(&image), start), -EBADMSG);
    buf_fini(&image);
}

static void test_moving_from_everywhere(void **state)
{
    struct fixture *f = *state;
    part(f, add(f, 5, 1, 4), "0120", start);
    add(f, 6, 1, 2);
    queue_move(&f->q, NULL, &f->all);
    assert_int_equal(f->all.parcels, 4);
    assert_int_equal(f->all.ready, 6);
    for (size_t i = 0; i < PLACES; i++)
        assert_int_equal(f->places[i].parcels + f->places[i].ready, 0);
    while (!list_is_empty(&f->awake))
        list_pop(&f->awake);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_destination_takes_the_parcel_as_it_is),
        TEST(test_each_destination_gets_its_own),
        TEST(test_outcomes_find_their_recipient),
        TEST(test_what_is_in_hand_stays_and_goes_later),
        TEST(test_those_that_wait_wait_there),
        TEST(test_accounts_take_turns_in_parting),
        TEST(test_a_destination_with_work_awakes_once),
        TEST(test_an_image_keeps_the_parts),
        TEST(test_moving_from_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
