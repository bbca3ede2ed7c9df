/* limiting: the limits of the services at their edges, over a socket, under a clock that the
 * test moves; locks; restarts. */
#include "writers.h"

#include "../check.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void fifty_a_minute(void **state)
{
    struct house *h = *state;
    add(h, ALICE, "alice@example.org", "personal-mailbox");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    for (unsigned i = 0; i < 50; i++)
        TALK(&c, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(&c, "RCPT TO:<bob@example.net>\r\n",
         "450 4.7.1 For mange epost pr minutt/Sender rate exceeded, 51/1m (max 50). Virker "
         "igjen "
         "1 min 1 s etter eposten som na er underveis, ");
    TALK(&c, "DATA\r\n", "354 ");
    TALK(&c, "From: <alice@example.org>\r\n\r\nHello\r\n.\r\n", "250 ");
    house_set_clock(h, START + 2 * SPAN_SECOND);
    stamp moment =
        named(refused(&c, "450 4.7.1 For mange epost pr minutt/Sender rate exceeded, "
                          "52/1m (max 50). Virker igjen 2026-11-22 13:01:01 UTC, om "
                          "59 s, hvis ingenting forsokes for det/Works again "));
    house_set_clock(h, moment);
    deliver(&c, 1, "250 ");
    client_close(&c);
}

static void one_second_too_early(void **state)
{
    struct house *h = *state;
    add(h, ALICE, "alice@example.org", "personal-mailbox");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 50, "250 ");
    house_set_clock(h, START + 2 * SPAN_SECOND);
    stamp moment = named(refused(&c, "450 4.7.1 For mange epost pr minutt/"));
    house_set_clock(h, moment - SPAN_SECOND);
    moment = named(refused(&c, "450 4.7.1 For mange epost pr minutt/"));
    house_set_clock(h, moment);
    deliver(&c, 1, "250 ");
    client_close(&c);
}

static void two_hundred_an_hour_and_a_thousand_a_day(void **state)
{
    struct house *h = *state;
    add(h, ALICE, "alice@example.org", "personal-mailbox");
    add(h, BOB, "bob@example.org", "personal-mailbox");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    struct client b = signed_in(h, "bob@example.org");
    stamp now = START;
    for (int hour = 0; hour < 5; hour++) {
        for (int minute = 0; minute < 4; minute++) {
            deliver(&c, 50, "250 ");
            if (hour == 0)
                deliver(&b, 50, "250 ");
            house_set_clock(h, now += 61 * SPAN_SECOND);
        }
        if (hour == 0)
            refused(&b, "450 4.7.1 For mange epost pr time/Sender rate exceeded, 201/1h (max "
                        "200). Virker igjen 2026-11-22 14:00:");
        house_set_clock(h, now += SPAN_HOUR);
    }
    stamp moment = named(refused(
        &c, "450 4.7.1 For mange epost pr dag/Sender rate exceeded, 1001/1d (max 1000). "));
    house_set_clock(h, now + SPAN_HOUR);
    stamp again = named(refused(&c, "450 4.7.1 For mange epost pr dag/"));
    assert_int_equal(again, moment); /* two attempts more do not matter where fifty lapse */
    house_set_clock(h, moment);
    deliver(&c, 1, "250 ");
    client_close(&c);
    client_close(&b);
}

static void a_hundred_in_a_message(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "message recipients 100 defer");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    TALK(&c, "EHLO client.example.org\r\n", "250 LIMITS RCPTMAX=100");
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    for (unsigned i = 0; i < 100; i++)
        TALK(&c, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(&c, "RCPT TO:<bob@example.net>\r\n",
         "452 4.5.3 Max 100 recipients permitted per message");
    TALK(&c, "RSET\r\n", "250 ");
    deliver(&c, 100, "250 ");
    client_close(&c);
}

static void web_hosting(void **state)
{
    struct house *h = *state;
    add(h, ALICE, "alice@example.org", "web-hosting");
    add(h, BOB, "bob@example.org", "web-hosting");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    for (unsigned i = 0; i < 25; i++)
        deliver(&c, 1, "250 ");
    stamp moment = named(refused(
        &c,
        "450 4.7.1 For mange meldinger pr 5 minutter/Message rate exceeded, 25/5m (max 25)"));
    house_set_clock(h, moment - SPAN_SECOND);
    assert_int_equal(named(refused(&c, "450 4.7.1 ")), moment);
    house_set_clock(h, moment);
    deliver(&c, 1, "250 ");
    client_close(&c);
    c = signed_in(h, "bob@example.org");
    deliver(&c, 250, "250 ");
    moment = named(refused(
        &c, "450 4.7.1 For mange epost pr 5 minutter/Sender rate exceeded, 250/5m (max 250)"));
    house_set_clock(h, moment - SPAN_SECOND);
    refused(&c, "450 4.7.1 ");
    house_set_clock(h, moment);
    deliver(&c, 1, "250 ");
    client_close(&c);
}

static void a_customer_over_two_accounts(void **state)
{
    struct house *h = *state;
    struct rule r = {RULE_CUSTOMER, RULE_RECIPIENTS, 5, SPAN_HOUR, false, RULE_DEFER, 0};
    struct directory_customer shop = {
        .id = 1, .name = SLICE("shop"), .rules = &r, .rule_count = 1};
    people_put_customer(&h->people, &shop);
    add(h, ALICE, "alice@example.org", "");
    add(h, BOB, "bob@example.org", "");
    house_start(h);
    struct client a = signed_in(h, "alice@example.org");
    struct client b = signed_in(h, "bob@example.org");
    deliver(&a, 3, "250 ");
    deliver(&b, 2, "250 ");
    refused(&a, "450 4.7.1 For mange epost pr time/Sender rate exceeded, 5/1h (max 5)");
    refused(&b, "450 4.7.1 ");
    client_close(&a);
    client_close(&b);
}

static void bytes_are_trued_up(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account bytes 25KB/1h defer");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    char line[1002];
    memset(line, 'x', 998);
    memcpy(line + 998, "\r\n", 3);
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    TALK(&c, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(&c, "DATA\r\n", "354 ");
    client_send(&c, "From: <alice@example.org>\r\n\r\n");
    for (int i = 0; i < 26; i++)
        client_send(&c, line);
    TALK(&c, ".\r\n", "450 4.7.1 Data rate exceeded, 0B/1h (max 25KB). At most 25KB at a time");
    deliver(&c, 2, "250 "); /* 10 KB each */
    refused(&c, "450 4.7.1 Data rate exceeded, 20KB/1h (max 25KB). Works again ");
    client_close(&c);
}

static void aborted_messages_hold_nothing(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account recipients 2/1h defer");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    TALK(&c, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(&c, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(&c, "RCPT TO:<bob@example.net>\r\n", "450 4.7.1 ");
    TALK(&c, "RSET\r\n", "250 ");
    struct client other = signed_in(h, "alice@example.org");
    TALK(&other, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    TALK(&other, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(&other, "QUIT\r\n", "221 ");
    client_close(&other);
    h->env.fail_sync = -EIO;
    deliver(&c, 2, "451 ");
    h->env.fail_sync = 0;
    deliver(&c, 2, "250 ");
    refused(&c, "450 4.7.1 Sender rate exceeded, 2/1h (max 2)");
    client_close(&c);
}

static void restarts_forget_nothing(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account recipients 10/1d defer");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 5, "250 ");
    client_close(&c);
    assert_int_equal(house_drain(h), 0);
    house_start(h); /* from the snapshot */
    c = signed_in(h, "alice@example.org");
    deliver(&c, 4, "250 ");
    client_close(&c);
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
    house_start(h); /* from the journal */
    c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    refused(&c, "450 4.7.1 Sender rate exceeded, 10/1d (max 10)");
    house_set_clock(h, START + SPAN_DAY + SPAN_HOUR);
    deliver(&c, 10, "250 ");
    client_close(&c);
}

/* Everything was killed, and smtpd is up before control is: the rule counts, and what was used
 * under it. */
static void a_rule_is_known_before_control_is_there(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account recipients 10/1d defer");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 9, "250 ");
    client_close(&c);
    assert_int_equal(house_drain(h), 0);
    house_close_control(h);
    atomic_store(&h->pages.watermark[ROLE_CONTROL].durable, 0);
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/directory", 0), 0);
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
    house_start(h);
    c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    refused(&c, "450 4.7.1 Sender rate exceeded, 10/1d (max 10)");
    client_close(&c);
}

static void a_clock_that_is_set_changes_nothing(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account recipients 2/1h defer");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 2, "250 ");
    h->env.clock_back = -SPAN_DAY; /* forward */
    stamp moment = named(refused(&c, "450 4.7.1 Sender rate exceeded, 2/1h (max 2)"));
    assert_true(moment > START + SPAN_DAY + SPAN_HOUR);
    assert_true(moment < START + SPAN_DAY + SPAN_HOUR + SPAN_MINUTE);
    house_set_clock(h, moment - SPAN_DAY);
    deliver(&c, 2, "250 ");
    client_close(&c);
    h->env.clock_back = 0;
}

static void the_501st_locks(void **state)
{
    struct house *h = *state;
    add(h, ALICE, "alice@example.org", "presumed-hijack");
    house_start(h);
    struct client other = signed_in(h, "alice@example.org");
    struct client c = signed_in(h, "alice@example.org");
    for (unsigned i = 0; i < 500; i++)
        deliver(&c, 1, "250 ");
    assert_int_equal(count_records(h, RECORD_LOCK), 0);
    deliver(&c, 1,
            "550 5.7.1 For mange meldinger pr 30 minutter/Message rate exceeded, 501/30m (max "
            "500). Kontoen din er sperret. Kontakt leverandoren din/Your account is locked. ");
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n", "550 5.7.1 ");
    TALK(&other, "MAIL FROM:<alice@example.org>\r\n", "550 5.7.1 ");
    TALK(&other, "NOOP\r\n", "421 4.7.0 ");
    client_close(&c);
    client_close(&other);
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(count_records(h, RECORD_MESSAGE), 500);
    assert_int_equal(count_records(h, RECORD_LOCK), 1);
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
    house_start(h);
    c = client_connect(h, PLAIN);
    TALK(&c, NULL, "220 mx.test");
    TALK(&c, "EHLO client.example.org\r\n", "250 ");
    sign_in(
        &c, "alice@example.org",
        "525 5.7.13 Your account is locked: For mange meldinger pr 30 minutter/Message rate "
        "exceeded, 501/30m (max 500)");
    client_close(&c);
}

static void an_unlock_lasts(void **state)
{
    struct house *h = *state;
    struct rule r = {RULE_ACCOUNT, RULE_MESSAGES, 2, SPAN_HOUR, false, RULE_LOCK, 0};
    struct directory_account a = person(ALICE, "alice@example.org", "en");
    a.rules = &r;
    a.rule_count = 1;
    people_put_account(&h->people, &a);
    people_add_secret(&h->people, ALICE_SECRET, ALICE, "secret");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    deliver(&c, 1, "250 ");
    deliver(&c, 1, "550 5.7.1 Message rate exceeded, 3/1h (max 2)");
    client_close(&c);
    /* Another change of the account lifts nothing. */
    a.language = SLICE("sv");
    people_put_account(&h->people, &a);
    c = client_connect(h, PLAIN);
    TALK(&c, NULL, "220 mx.test");
    TALK(&c, "EHLO client.example.org\r\n", "250 ");
    sign_in(&c, "alice@example.org", "525 5.7.13 ");
    a.unlocked = h->people.version + 1;
    people_put_account(&h->people, &a);
    sign_in(&c, "alice@example.org", "235 ");
    deliver(&c, 1, "250 ");
    client_close(&c);
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(count_records(h, RECORD_LOCK), 2); /* and its end */
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
    house_start(h);
    c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    deliver(&c, 1, "550 5.7.1 For manga meddelanden per timme/");
    client_close(&c);
}

static void a_lock_for_a_time_ends(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account messages 1/1h lock 10m");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    deliver(&c, 1,
            "450 4.7.1 Message rate exceeded, 2/1h (max 1). Your account is locked until "
            "2026-11-22 13:10:00 UTC");
    client_close(&c);
    c = client_connect(h, PLAIN);
    TALK(&c, NULL, "220 mx.test");
    TALK(&c, "EHLO client.example.org\r\n", "250 ");
    house_set_clock(h, START + 10 * SPAN_MINUTE - 1);
    sign_in(&c, "alice@example.org", "454 4.7.0 ");
    house_set_clock(h, START + 10 * SPAN_MINUTE);
    sign_in(&c, "alice@example.org", "235 ");
    deliver(&c, 1, "250 ");
    client_close(&c);
}

static void refusals_lock(void **state)
{
    struct house *h = *state;
    struct rule rules[2] = {
        {RULE_ACCOUNT, RULE_RECIPIENTS, 1, SPAN_HOUR, false, RULE_DEFER, 0},
        {RULE_ACCOUNT, RULE_REFUSALS, 2, SPAN_DAY, false, RULE_LOCK, 0},
    };
    struct directory_account a = person(ALICE, "alice@example.org", "en");
    a.rules = rules;
    a.rule_count = 2;
    people_put_account(&h->people, &a);
    people_add_secret(&h->people, ALICE_SECRET, ALICE, "secret");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    refused(&c, "450 4.7.1 ");
    refused(&c, "450 4.7.1 ");
    refused(&c, "450 4.7.1 ");
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n",
         "550 5.7.1 Your account is locked: Too many refused attempts, 3/1d (max 2)");
    client_close(&c);
}

static void the_quota_is_told(void **state)
{
    struct house *h = *state;
    add(h, ALICE, "alice@example.org", "web-hosting");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 3, "250 ");
    client_close(&c);
    char *answer = house_ask(h, "{\"question\":\"quota\",\"account\":10}");
    assert_non_null(strstr(answer, "{\"rule\":\"account recipients 250/5m defer\",\"scope\":"
                                   "\"account\",\"used\":3,\"max\":250,\"free_at\":null}"));
    free(answer);
    answer = house_ask(h, "{\"question\":\"quota\",\"account\":99}");
    assert_non_null(strstr(answer, "no such account"));
    free(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fifty_a_minute, writers_setup, writers_teardown),
        cmocka_unit_test_setup_teardown(one_second_too_early, writers_setup, writers_teardown),
        cmocka_unit_test_setup_teardown(two_hundred_an_hour_and_a_thousand_a_day, writers_setup,
                                        writers_teardown),
        cmocka_unit_test_setup_teardown(a_hundred_in_a_message, writers_setup,
                                        writers_teardown),
        cmocka_unit_test_setup_teardown(web_hosting, writers_setup, writers_teardown),
        cmocka_unit_test_setup_teardown(a_customer_over_two_accounts, writers_setup,
                                        writers_teardown),
        cmocka_unit_test_setup_teardown(bytes_are_trued_up, writers_setup, writers_teardown),
        cmocka_unit_test_setup_teardown(aborted_messages_hold_nothing, writers_setup,
                                        writers_teardown),
        cmocka_unit_test_setup_teardown(restarts_forget_nothing, writers_setup,
                                        writers_teardown),
        cmocka_unit_test_setup_teardown(a_rule_is_known_before_control_is_there, writers_setup,
                                        writers_teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_is_set_changes_nothing, writers_setup,
                                        writers_teardown),
        cmocka_unit_test_setup_teardown(the_501st_locks, writers_setup, writers_teardown),
        cmocka_unit_test_setup_teardown(an_unlock_lasts, writers_setup, writers_teardown),
        cmocka_unit_test_setup_teardown(a_lock_for_a_time_ends, writers_setup,
                                        writers_teardown),
        cmocka_unit_test_setup_teardown(refusals_lock, writers_setup, writers_teardown),
        cmocka_unit_test_setup_teardown(the_quota_is_told, writers_setup, writers_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
