/* bounces: what delivery says has failed for good counts, once, whatever restarts in between.
 */
#include "writers.h"

#include "../check.h"
#include "policy/outcome.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Delivery's journal, written by the test. */
static struct journal_writer *outcomes;

static void open_outcomes(struct house *h)
{
    struct journal_config c = {
        .env = h->disk,
        .dir = "journal/delivery",
        .self = ID_DELIVERY,
        .watermark = &h->pages.watermark[ROLE_DELIVERY],
    };
    struct journal_recovery recovery;
    assert_int_equal(journal_writer_open(&outcomes, &c, &recovery), 0);
}

static int setup(void **state)
{
    int err = writers_setup(state);
    open_outcomes(*state);
    return err;
}

static int teardown(void **state)
{
    journal_writer_close(&outcomes);
    return writers_teardown(state);
}

/* One attempt for so many recipients of a message of the account. */
static void settle(struct house *h, uint64_t account, enum outcome_kind kind,
                   enum relay_stage stage, unsigned recipients)
{
    struct buf fields = BUF_INIT;
    record_put_u64(&fields, TAG_ID, 77);
    for (unsigned i = 0; i < recipients; i++) {
        record_put_u64(&fields, TAG_RECIPIENT_INDEX, i);
        record_put_u64(&fields, TAG_OUTCOME, kind);
        record_put_u64(&fields, TAG_ATTEMPT, 1);
        record_put_u64(&fields, TAG_STAGE, stage);
    }
    struct journal_entry e = {
        .header = {.type = RECORD_OUTCOME, .account = account, .customer = 1},
        .fields = buf_slice(&fields),
    };
    e.header.at = env_now(h->disk);
    assert_int_equal(journal_append_wait(outcomes, &e), 0);
    buf_fini(&fields);
}

static void come_back(struct house *h, unsigned recipients)
{
    settle(h, ALICE, OUTCOME_FAILED, STAGE_RCPT, recipients);
}

/* It is read within a second or so. */
static void wait_for_quota(struct house *h, const char *want)
{
    char *answer = NULL;
    for (int i = 0; i < 500; i++) {
        const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
        free(answer);
        answer = house_ask(h, "{\"question\":\"quota\",\"account\":10}");
        if (strstr(answer, want))
            break;
        nanosleep(&pause, NULL);
    }
    if (!strstr(answer, want))
        fail_msg("no %s in %s", want, answer);
    free(answer);
}

static void is_refused(struct house *h, const char *want)
{
    struct client c = client_connect(h, PLAIN);
    TALK(&c, NULL, "220 mx.test");
    TALK(&c, "EHLO client.example.org\r\n", "250 ");
    sign_in(&c, "alice@example.org", want);
    client_close(&c);
}

static void forget_snapshot(struct house *h)
{
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
}

static void too_many_refuse_for_now(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account bounces 3/1h defer");
    house_start(h);
    settle(h, ALICE, OUTCOME_RETRY, STAGE_RCPT, 5);
    settle(h, ALICE, OUTCOME_DELIVERED, STAGE_END, 5);
    settle(h, ALICE, OUTCOME_EXPIRED, STAGE_CONNECT, 5);
    settle(h, ALICE, OUTCOME_FAILED, STAGE_LOCAL, 5);
    settle(h, BOB, OUTCOME_FAILED, STAGE_RCPT, 5);
    come_back(h, 2);
    settle(h, ALICE, OUTCOME_FAILED, STAGE_RESOLVE, 1);
    wait_for_quota(h, "\"used\":3,\"max\":3");
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    come_back(h, 1);
    wait_for_quota(h, "\"used\":4,\"max\":3");
    stamp moment = named(refused(&c, "450 4.7.1 Too many bounces, 4/1h (max 3). Works again "));
    house_set_clock(h, moment - SPAN_SECOND);
    assert_int_equal(named(refused(&c, "450 4.7.1 ")), moment);
    house_set_clock(h, moment);
    deliver(&c, 1, "250 ");
    client_close(&c);
}

static void they_lock_and_an_unlock_lasts(void **state)
{
    struct house *h = *state;
    struct directory_account a = person(ALICE, "alice@example.org", "sv");
    put_with_rules(h, &a, "account bounces 3/1d lock");
    people_add_secret(&h->people, ALICE_SECRET, ALICE, "secret");
    house_start(h);
    come_back(h, 3);
    wait_for_quota(h, "\"used\":3,\"max\":3");
    wait_for_quota(h, "\"locked\":false");
    come_back(h, 2);
    wait_for_quota(h, "\"locked\":true");
    is_refused(h, "525 5.7.13 Your account is locked: For manga returer per dygn/Too many "
                  "bounces, 5/1d (max 3)");
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(count_records(h, RECORD_LOCK), 1);
    forget_snapshot(h);
    house_start(h);
    is_refused(h, "525 5.7.13 ");
    a.unlocked = h->people.version + 1;
    put_with_rules(h, &a, "account bounces 3/1d lock");
    wait_for_quota(h, "\"used\":0,\"max\":3");
    assert_int_equal(house_drain(h), 0);
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            forget_snapshot(h);
        house_start(h);
        wait_for_quota(h, "\"used\":0,\"max\":3");
        is_refused(h, "235 ");
        assert_int_equal(house_drain(h), 0);
    }
    assert_int_equal(count_records(h, RECORD_LOCK), 2); /* and its end */
    assert_int_equal(count_records(h, RECORD_BOUNCES), 2);
}

/* From the snapshot, from the journal, and what failed while smtpd was away. */
static void each_counts_once(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account bounces 90/1d defer");
    house_start(h);
    char want[64];
    unsigned all = 0;
    for (unsigned i = 0; i < 4; i++) {
        come_back(h, 2);
        snprintf(want, sizeof(want), "\"used\":%u,\"max\":90", all += 2);
        wait_for_quota(h, want);
        assert_int_equal(house_drain(h), 0);
        if (i % 2)
            forget_snapshot(h);
        come_back(h, 1);
        snprintf(want, sizeof(want), "\"used\":%u,\"max\":90", ++all);
        house_start(h);
        wait_for_quota(h, want);
    }
}

/* Ours cannot be written: what was read is read again. */
static void a_disk_that_fails_loses_none(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account bounces 90/1d defer");
    house_start(h);
    come_back(h, 2);
    wait_for_quota(h, "\"used\":2,\"max\":90");
    come_back(h, 1);
    h->env.fail_write = -EIO;
    for (int i = 0; i < 500 && h->pages.stats.journal_failures[ROLE_SMTPD] == 0; i++) {
        const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
    wait_for_quota(h, "\"used\":2,\"max\":90");
    h->env.fail_write = 0;
    assert_int_equal(house_drain(h), 0); /* a journal that has failed twice stays closed */
    house_start(h);
    wait_for_quota(h, "\"used\":3,\"max\":90");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(too_many_refuse_for_now, setup, teardown),
        cmocka_unit_test_setup_teardown(they_lock_and_an_unlock_lasts, setup, teardown),
        cmocka_unit_test_setup_teardown(each_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_fails_loses_none, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
