/* The queue under a clock that the test moves: lines, turns, schedule, settling. */
#include "delivery/queue.h"

#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const uint64_t seed[2] = {1, 2};
static const stamp start = 1000 * SPAN_SECOND;

struct fixture {
    struct queue q;
    struct destination d;
    uint64_t next_id;
    uint64_t finished;
    unsigned unreported;
};

static void count_finished(void *ctx, const struct parcel *p)
{
    struct fixture *f = ctx;
    (void)p;
    f->finished++;
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    queue_init(&f->q, seed);
    f->q.on_finished = count_finished;
    f->q.ctx = f;
    destination_init(&f->q, &f->d);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    queue_fini(&f->q);
    destination_fini(&f->d);
    free(f);
    return 0;
}

static struct parcel *add(struct fixture *f, uint64_t account, uint32_t recipients)
{
    struct parcel_facts facts = {.id = ++f->next_id, .account = account, .accepted = start};
    return queue_add(&f->q, &f->d, &facts, recipients, 0, start);
}

static struct parcel *take(struct fixture *f, uint32_t limit, uint32_t *indexes, uint32_t *n)
{
    return queue_take(&f->q, &f->d, limit, indexes, n);
}

static enum queue_settled settle(struct fixture *f, uint64_t id, uint32_t index,
                                 enum outcome_kind kind, uint32_t attempt, stamp next,
                                 stamp now)
{
    struct settlement s = {.id = id, .remote = SLICE("mx.test"), .at = now};
    struct settled o = {.index = index, .kind = kind, .attempt = attempt, .next = next};
    o.reply = (struct reply){.code = 450, .text = SLICE("try later")};
    return queue_settle(&f->q, &s, &o, now);
}

static void test_first_in_first_out_within_an_account(void **state)
{
    struct fixture *f = *state;
    uint32_t index, n;
    for (int i = 0; i < 5; i++)
        add(f, 7, 1);
    for (uint64_t id = 1; id <= 5; id++)
        assert_int_equal(take(f, 10, &index, &n)->facts.id, id);
    assert_null(take(f, 10, &index, &n));
}

static void test_a_mailing_delays_its_own_sender_only(void **state)
{
    struct fixture *f = *state;
    uint32_t indexes[100], n;
    for (int i = 0; i < 1000; i++)
        add(f, 1, 100);
    for (int i = 0; i < 50; i++)
        assert_int_equal(take(f, 100, indexes, &n)->facts.account, 1);
    /* Another account's message is at most one transaction away. */
    uint64_t small = add(f, 2, 1)->facts.id;
    bool found = false;
    for (int i = 0; i < 2 && !found; i++)
        found = take(f, 100, indexes, &n)->facts.id == small;
    assert_true(found);
}

static void test_shares_are_counted_in_recipients(void **state)
{
    struct fixture *f = *state;
    uint32_t indexes[10], n;
    for (int i = 0; i < 400; i++) {
        add(f, 1, 10); /* ten at a time */
        add(f, 2, 1);  /* one at a time */
        add(f, 2, 1);
    }
    uint64_t had[3] = {0};
    for (int i = 0; i < 440; i++) {
        struct parcel *p = take(f, 10, indexes, &n);
        had[p->facts.account] += n;
    }
    assert_in_range(had[1], had[2] - 10, had[2] + 10);
}

static void test_coming_and_going_gains_nothing(void **state)
{
    struct fixture *f = *state;
    uint32_t indexes[100], n;
    uint64_t had[3] = {0};
    for (int i = 0; i < 2000; i++)
        add(f, 1, 1);
    /* Account 2 has one message of 100 recipients at a time, the next when that is done. */
    uint64_t its = add(f, 2, 100)->facts.id;
    for (int i = 0; i < 1000; i++) {
        struct parcel *p = take(f, 100, indexes, &n);
        uint64_t id = p->facts.id;
        had[p->facts.account] += n;
        for (uint32_t k = 0; k < n; k++)
            settle(f, id, indexes[k], OUTCOME_DELIVERED, 1, 0, start);
        if (id == its)
            its = add(f, 2, 100)->facts.id;
    }
    assert_in_range(had[2], 0, had[1] + 200);
}

static void test_an_idle_account_saves_nothing_up(void **state)
{
    struct fixture *f = *state;
    uint32_t index, n;
    uint64_t had[3] = {0};
    add(f, 2, 1);
    for (int i = 0; i < 1000; i++)
        add(f, 1, 1);
    for (int i = 0; i < 500; i++)
        take(f, 1, &index, &n);
    for (int i = 0; i < 400; i++)
        add(f, 2, 1);
    for (int i = 0; i < 200; i++)
        had[take(f, 1, &index, &n)->facts.account]++;
    assert_in_range(had[1], 99, 101);
}

static void test_large_messages_go_in_parts(void **state)
{
    struct fixture *f = *state;
    uint32_t a[100], b[100], n, m;
    add(f, 1, 150);
    struct parcel *p = take(f, 100, a, &n);
    assert_int_equal(n, 100);
    assert_ptr_equal(take(f, 100, b, &m), p);
    assert_int_equal(m, 50);
    assert_int_equal(b[0], 100);
    assert_null(take(f, 100, b, &m));
    queue_put_back(&f->q, p, a, 100);
    assert_int_equal(f->d.ready, 100);
    assert_ptr_equal(take(f, 100, a, &n), p);
    assert_int_equal(a[99], 99);
}

static void test_put_back_is_first_again(void **state)
{
    struct fixture *f = *state;
    uint32_t index, n;
    for (int i = 0; i < 3; i++)
        add(f, 1, 1);
    struct parcel *p = take(f, 1, &index, &n);
    queue_put_back(&f->q, p, &index, 1);
    assert_ptr_equal(take(f, 1, &index, &n), p);
}

static void test_retries_wait_for_their_time(void **state)
{
    struct fixture *f = *state;
    uint32_t indexes[3], n;
    uint64_t id = add(f, 1, 3)->facts.id;
    take(f, 3, indexes, &n);
    settle(f, id, 0, OUTCOME_RETRY, 1, start + 10 * SPAN_SECOND, start);
    settle(f, id, 1, OUTCOME_RETRY, 1, start + 5 * SPAN_SECOND, start);
    settle(f, id, 2, OUTCOME_DELIVERED, 1, 0, start);
    assert_int_equal(queue_due(&f->q, start), start + 5 * SPAN_SECOND);
    assert_null(take(f, 3, indexes, &n));
    assert_int_equal(queue_due(&f->q, start + 5 * SPAN_SECOND), start + 10 * SPAN_SECOND);
    assert_non_null(take(f, 3, indexes, &n));
    assert_int_equal(n, 1);
    assert_int_equal(indexes[0], 1);
    assert_int_equal(queue_due(&f->q, start + SPAN_MINUTE), STAMP_NEVER);
    assert_non_null(take(f, 3, indexes, &n));
    assert_int_equal(indexes[0], 0);
    struct recipient *r = parcel_recipient(queue_find(&f->q, id), 0);
    assert_int_equal(r->attempts, 1);
    assert_true(slice_eq(trouble_reply(r->trouble), SLICE("try later")));
    assert_true(slice_eq(trouble_remote(r->trouble), SLICE("mx.test")));
    assert_int_equal(f->q.living, 2);
}

static void test_not_before(void **state)
{
    struct fixture *f = *state;
    uint32_t index, n;
    struct parcel_facts facts = {.id = 77, .account = 1};
    assert_non_null(queue_add(&f->q, &f->d, &facts, 1, start + SPAN_SECOND, start));
    assert_null(take(f, 1, &index, &n));
    assert_int_equal(queue_due(&f->q, start + SPAN_SECOND - 1), start + SPAN_SECOND);
    queue_due(&f->q, start + SPAN_SECOND);
    assert_non_null(take(f, 1, &index, &n));
}

static void test_failed_ones_stay_until_removed(void **state)
{
    struct fixture *f = *state;
    uint32_t indexes[2], n;
    uint64_t id = add(f, 1, 2)->facts.id;
    take(f, 2, indexes, &n);
    assert_int_equal(settle(f, id, 0, OUTCOME_FAILED, 1, 0, start), QUEUE_APPLIED);
    assert_int_equal(f->finished, 0);
    assert_int_equal(settle(f, id, 1, OUTCOME_EXPIRED, 1, 0, start), QUEUE_APPLIED);
    assert_int_equal(f->finished, 0); /* a report may need its body */
    assert_int_equal(f->q.living, 0);
    assert_int_equal(f->q.failed, 2);
    assert_int_equal(settle(f, id, 0, OUTCOME_DELIVERED, 2, 0, start), QUEUE_KNOWN);
    assert_int_equal(parcel_recipient(queue_find(&f->q, id), 0)->state, RECIPIENT_FAILED);
    settle(f, id, 0, OUTCOME_REMOVED, 0, 0, start);
    settle(f, id, 1, OUTCOME_REMOVED, 0, 0, start);
    assert_null(queue_find(&f->q, id));
    assert_int_equal(f->q.failed, 0);
    assert_int_equal(f->finished, 1);
}

static void count_unreported(void *ctx, uint64_t id)
{
    struct fixture *f = ctx;
    assert_non_null(queue_find(&f->q, id));
    f->unreported++;
}

static bool count_parcel(void *ctx, struct parcel *p)
{
    (void)p;
    ++*(unsigned *)ctx;
    return true;
}

static void test_reported_ones_are_forgotten(void **state)
{
    struct fixture *f = *state;
    uint64_t id = add(f, 1, 4)->facts.id;
    uint32_t indexes[4], n;
    f->q.on_unreported = count_unreported;
    take(f, 4, indexes, &n);
    settle(f, id, 0, OUTCOME_FAILED, 1, 0, start);
    settle(f, id, 1, OUTCOME_DELIVERED, 1, 0, start);
    struct settlement s = {.id = id, .reporting = SLICE("reporting")};
    struct settled o = {.index = 2, .kind = OUTCOME_DELIVERED, .report = REPORT_RELAYED};
    assert_int_equal(queue_settle(&f->q, &s, &o, start), QUEUE_APPLIED);
    assert_int_equal(queue_settle(&f->q, &s, &o, start), QUEUE_KNOWN);
    assert_int_equal(f->unreported, 2);
    assert_int_equal(f->q.living, 1);
    assert_int_equal(f->q.failed, 2);
    struct recipient *r = parcel_recipient(queue_find(&f->q, id), 2);
    assert_int_equal(r->state, RECIPIENT_TAKEN);
    assert_int_equal(r->trouble->report, REPORT_RELAYED);
    /* What is said twice, of somebody else, or too early says nothing. */
    assert_false(queue_reported(&f->q, id, 3, REPORT_FAILED));
    assert_false(queue_reported(&f->q, id, 1, REPORT_FAILED));
    assert_false(queue_reported(&f->q, id, 9, REPORT_FAILED));
    assert_false(queue_reported(&f->q, id + 1, 0, REPORT_FAILED));
    assert_true(queue_reported(&f->q, id, 3, REPORT_DELAYED));
    assert_false(queue_reported(&f->q, id, 3, REPORT_DELAYED));
    settle(f, id, 3, OUTCOME_RETRY, 1, start + 1, start);
    assert_int_equal(parcel_recipient(queue_find(&f->q, id), 3)->flags, RECIPIENT_WARNED);
    assert_true(queue_reported(&f->q, id, 0, REPORT_FAILED));
    assert_false(queue_reported(&f->q, id, 0, REPORT_FAILED));
    assert_true(queue_reported(&f->q, id, 2, REPORT_RELAYED));
    assert_int_equal(f->q.failed, 0);
    assert_int_equal(f->finished, 0);
    settle(f, id, 3, OUTCOME_DELIVERED, 2, 0, start);
    assert_int_equal(f->finished, 1);
    assert_null(queue_find(&f->q, id));
}

static void test_scan_sees_all_in_rounds(void **state)
{
    struct fixture *f = *state;
    size_t at = 0;
    unsigned seen = 0;
    for (int i = 0; i < 1000; i++)
        add(f, 1, 1);
    unsigned rounds = 0;
    do {
        queue_scan(&f->q, &at, 100, count_parcel, &seen);
        rounds++;
    } while (at != 0);
    assert_int_equal(seen, 1000);
    assert_int_equal(rounds, (f->q.bucket_count + 99) / 100);
}

static void test_outcomes_count_once(void **state)
{
    struct fixture *f = *state;
    uint64_t id = add(f, 1, 2)->facts.id;
    assert_int_equal(settle(f, id, 0, OUTCOME_RETRY, 3, start + 9, start), QUEUE_APPLIED);
    assert_int_equal(settle(f, id, 0, OUTCOME_RETRY, 3, start + 9, start), QUEUE_KNOWN);
    assert_int_equal(settle(f, id, 0, OUTCOME_RETRY, 2, start + 5, start), QUEUE_KNOWN);
    assert_int_equal(parcel_recipient(queue_find(&f->q, id), 0)->next, start + 9);
    assert_int_equal(settle(f, id, 0, OUTCOME_DELIVERED, 4, 0, start), QUEUE_APPLIED);
    assert_int_equal(settle(f, id, 0, OUTCOME_DELIVERED, 4, 0, start), QUEUE_KNOWN);
    assert_int_equal(settle(f, id, 5, OUTCOME_DELIVERED, 1, 0, start), QUEUE_KNOWN);
    assert_int_equal(settle(f, 999, 0, OUTCOME_DELIVERED, 1, 0, start), QUEUE_UNKNOWN);
    assert_int_equal(f->q.living, 1);
    assert_int_equal(f->d.ready, 1);
    /* The same record again adds nothing. */
    struct parcel_facts again = {.id = id, .account = 1};
    assert_null(queue_add(&f->q, &f->d, &again, 2, 0, start));
    assert_int_equal(f->q.living, 1);
}

static void test_moving_to_another_destination(void **state)
{
    struct fixture *f = *state;
    struct destination other;
    uint32_t indexes[4], n;
    destination_init(&f->q, &other);
    add(f, 1, 4);
    add(f, 2, 1);
    struct parcel *p = take(f, 1, indexes, &n);
    queue_move(&f->q, &f->d, &other);
    assert_int_equal(f->d.ready, 0);
    assert_int_equal(other.ready, 4);
    assert_null(take(f, 1, indexes, &n));
    queue_put_back(&f->q, p, indexes, 1);
    assert_int_equal(other.ready, 5);
    while (queue_take(&f->q, &other, 4, indexes, &n))
        continue;
    queue_move(&f->q, &other, &f->d);
    destination_fini(&other);
}

static void test_many_accounts_are_forgotten(void **state)
{
    struct fixture *f = *state;
    uint32_t index, n;
    for (uint64_t account = 1; account <= 20000; account++) {
        uint64_t id = add(f, account, 1)->facts.id;
        take(f, 1, &index, &n);
        settle(f, id, 0, OUTCOME_DELIVERED, 1, 0, start);
    }
    assert_in_range(f->d.flows.count, 0, 2000);
    assert_int_equal(f->q.parcels, 0);
    assert_int_equal(f->finished, 20000);
}

static void test_a_recipient_is_small(void **state)
{
    (void)state;
    assert_in_range(sizeof(struct parcel) + sizeof(struct recipient), 0, 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_in_first_out_within_an_account),
        TEST(test_a_mailing_delays_its_own_sender_only),
        TEST(test_shares_are_counted_in_recipients),
        TEST(test_coming_and_going_gains_nothing),
        TEST(test_an_idle_account_saves_nothing_up),
        TEST(test_large_messages_go_in_parts),
        TEST(test_put_back_is_first_again),
        TEST(test_retries_wait_for_their_time),
        TEST(test_not_before),
        TEST(test_reported_ones_are_forgotten),
        TEST(test_scan_sees_all_in_rounds),
        TEST(test_failed_ones_stay_until_removed),
        TEST(test_outcomes_count_once),
        TEST(test_moving_to_another_destination),
        TEST(test_many_accounts_are_forgotten),
        TEST(test_a_recipient_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
