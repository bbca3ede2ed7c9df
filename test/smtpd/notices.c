/* notices: a rule that notifies makes one record for each passing, over restarts too. */
#include "writers.h"

#include "../check.h"

#include <unistd.h>

static void one_for_each_passing(void **state)
{
    struct house *h = *state;
    struct arena arena = ARENA_INIT;
    struct house_record r;
    add_with_rule(h, ALICE, "alice@example.org", "account messages 2/1h notify");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    deliver(&c, 1, "250 ");
    deliver(&c, 1, "250 ");
    deliver(&c, 1, "250 ");
    client_close(&c);
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(count_records(h, RECORD_NOTICE), 1);
    assert_true(house_record(h, RECORD_NOTICE, 0, &arena, &r));
    assert_int_equal(r.header.account, ALICE);
    assert_int_equal(r.header.flags & RECORD_SKIPPABLE, RECORD_SKIPPABLE);
    assert_int_equal(record_get_u64(r.fields, TAG_KEY), ALICE);
    assert_int_equal(record_get_u64(r.fields, TAG_USED), 3);
    assert_int_equal(record_get_u64(r.fields, TAG_MAXIMUM), 2);
    assert_true(slice_eq(record_get(r.fields, TAG_REASON),
                         SLICE("Message rate exceeded, 3/1h (max 2)")));
    arena_fini(&arena);
    /* From the snapshot, then from the journal alone: still the same passing. */
    house_start(h);
    c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    client_close(&c);
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
    house_start(h);
    c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    assert_int_equal(count_records(h, RECORD_NOTICE), 1);
    /* The window empties, and is passed again. */
    house_set_clock(h, START + 2 * SPAN_HOUR);
    deliver(&c, 1, "250 ");
    deliver(&c, 1, "250 ");
    deliver(&c, 1, "250 ");
    client_close(&c);
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(count_records(h, RECORD_NOTICE), 2);
    /* What lapsed before a start without its snapshot is not passed any more either. */
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
    house_set_clock(h, START + 4 * SPAN_HOUR);
    house_start(h);
    c = signed_in(h, "alice@example.org");
    for (unsigned i = 0; i < 3; i++)
        deliver(&c, 1, "250 ");
    client_close(&c);
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(count_records(h, RECORD_NOTICE), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_for_each_passing, writers_setup, writers_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
