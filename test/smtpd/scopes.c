/* scopes: whose windows are filled and who is locked: whole customers, names, hosts, new
 * recipients; and rules that pace. */
#include "writers.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void put_customer(struct house *h, const char *rule, uint64_t unlocked)
{
    struct rule r;
    const char *error;
    slice word;
    assert_true(rule_parse(slice_of(rule), &r, &error, &word));
    struct directory_customer c = {
        .id = 1, .name = SLICE("shop"), .rules = &r, .rule_count = 1, .unlocked = unlocked};
    people_put_customer(&h->people, &c);
}

static void is_locked(struct house *h, const char *login, const char *want)
{
    struct client c = client_connect(h, PLAIN);
    TALK(&c, NULL, "220 mx.test");
    TALK(&c, "EHLO client.example.org\r\n", "250 ");
    sign_in(&c, login, want);
    client_close(&c);
}

static void all_of_a_customer_is_locked(void **state)
{
    struct house *h = *state;
    put_customer(h, "customer messages 3/1h lock", 0);
    add(h, ALICE, "alice@example.org", "");
    add(h, BOB, "bob@example.org", "");
    house_start(h);
    struct client a = signed_in(h, "alice@example.org");
    struct client b = signed_in(h, "bob@example.org");
    deliver(&a, 1, "250 ");
    deliver(&b, 1, "250 ");
    deliver(&a, 1, "250 ");
    deliver(&b, 1, "550 5.7.1 For mange meldinger pr time/Message rate exceeded, 4/1h (max 3)");
    TALK(&a, "MAIL FROM:<alice@example.org>\r\n", "550 5.7.1 ");
    client_close(&a);
    client_close(&b);
    assert_int_equal(house_drain(h), 0);
    struct arena arena = ARENA_INIT;
    struct house_record r;
    assert_true(house_record(h, RECORD_LOCK, 0, &arena, &r));
    assert_int_equal(r.header.customer, 1);
    assert_int_equal(r.header.account, 0);
    arena_fini(&arena);
    /* From the journal alone; an unlock of one account does not lift what is of all. */
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
    house_start(h);
    is_locked(h, "alice@example.org", "525 5.7.13 ");
    struct directory_account bob = person(BOB, "bob@example.org", "en");
    bob.unlocked = h->people.version + 1;
    people_put_account(&h->people, &bob);
    is_locked(h, "bob@example.org", "525 5.7.13 ");
    put_customer(h, "customer messages 3/1h lock", h->people.version + 1);
    b = signed_in(h, "bob@example.org");
    deliver(&b, 1, "250 ");
    client_close(&b);
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(count_records(h, RECORD_LOCK), 2);
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
    house_start(h);
    a = signed_in(h, "alice@example.org");
    deliver(&a, 1, "250 ");
    client_close(&a);
}

static void deliver_as(struct client *c, const char *sender, const char *to, const char *want)
{
    char line[128];
    snprintf(line, sizeof(line), "MAIL FROM:<%s>\r\n", sender);
    TALK(c, line, "250 ");
    snprintf(line, sizeof(line), "RCPT TO:<%s>\r\n", to);
    TALK(c, line, want);
    if (want[0] != '2') {
        TALK(c, "RSET\r\n", "250 ");
        return;
    }
    TALK(c, "DATA\r\n", "354 ");
    snprintf(line, sizeof(line), "From: <%s>\r\n\r\nHello\r\n.\r\n", sender);
    TALK(c, line, "250 ");
}

static void domains_are_counted_apart(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "sender-domain messages 1/1h defer");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver_as(&c, "x@one.example", "bob@example.net", "250 ");
    deliver_as(&c, "y@ONE.example", "bob@example.net", "450 4.7.1 ");
    deliver_as(&c, "x@two.example", "bob@example.net", "250 ");
    client_close(&c);
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
    house_start(h);
    c = signed_in(h, "alice@example.org");
    deliver_as(&c, "x@two.example", "bob@example.net", "450 4.7.1 ");
    deliver_as(&c, "x@three.example", "bob@example.net", "250 ");
    client_close(&c);
}

static void hosts_and_credentials_are_counted(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org",
                  "host messages 3/1h defer\ncredential messages 2/1h defer");
    add_with_rule(h, BOB, "bob@example.org", "host messages 3/1h defer");
    house_start(h);
    struct client a = signed_in(h, "alice@example.org");
    struct client b = signed_in(h, "bob@example.org");
    deliver(&a, 1, "250 ");
    deliver(&a, 1, "250 ");
    refused(&a, "450 4.7.1 Message rate exceeded, 2/1h (max 2)");
    deliver(&b, 1, "250 ");
    refused(&b, "450 4.7.1 Message rate exceeded, 3/1h (max 3)");
    client_close(&a);
    client_close(&b);
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
    house_start(h);
    b = signed_in(h, "bob@example.org");
    refused(&b, "450 4.7.1 Message rate exceeded, 3/1h (max 3)");
    client_close(&b);
}

static void whom_it_has_written_to_is_known(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account new-recipients 2/1d defer");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver_as(&c, "x@one.example", "bob@example.net", "250 ");
    deliver_as(&c, "x@one.example", "carol@example.net", "250 ");
    deliver_as(&c, "x@one.example", "bob@EXAMPLE.net", "250 ");
    deliver_as(&c, "x@one.example", "dave@example.net",
               "450 4.7.1 Rate of new recipients exceeded, 2/1d (max 2)");
    client_close(&c);
    for (int with_snapshot = 1; with_snapshot >= 0; with_snapshot--) {
        assert_int_equal(house_drain(h), 0);
        if (!with_snapshot)
            assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
        house_start(h);
        c = signed_in(h, "alice@example.org");
        deliver_as(&c, "x@one.example", "carol@example.net", "250 ");
        deliver_as(&c, "x@one.example", "dave@example.net", "450 4.7.1 ");
        client_close(&c);
    }
    /* A month later nobody is. */
    house_set_clock(h, START + 33 * SPAN_DAY);
    c = signed_in(h, "alice@example.org");
    deliver_as(&c, "x@one.example", "bob@example.net", "250 ");
    deliver_as(&c, "x@one.example", "erin@example.net", "250 ");
    deliver_as(&c, "x@one.example", "carol@example.net", "450 4.7.1 ");
    client_close(&c);
}

/* When message number n of the journal may go, from START on. */
static span not_before(struct house *h, unsigned n)
{
    struct arena arena = ARENA_INIT;
    struct house_record r;
    assert_true(house_record(h, RECORD_MESSAGE, n, &arena, &r));
    uint64_t at = record_get_u64(r.fields, TAG_NOT_BEFORE);
    arena_fini(&arena);
    return at ? (stamp)at - START : 0;
}

static void a_pace_is_kept(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account recipients 6/1m pace");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    deliver(&c, 2, "250 ");
    deliver(&c, 1, "250 ");
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    TALK(&c, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(&c, "RSET\r\n", "250 ");
    client_close(&c);
    char *answer = house_ask(h, "{\"question\":\"quota\",\"account\":10}");
    assert_non_null(strstr(answer, "\"used\":4,"));
    assert_non_null(strstr(answer, "\"paced_until\":\"2026-11-22T13:00:40.000Z\""));
    free(answer);
    for (unsigned n = 3; n < 5; n++) {
        assert_int_equal(house_drain(h), 0);
        if (n == 4)
            assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
        house_start(h);
        c = signed_in(h, "alice@example.org");
        deliver(&c, 1, "250 ");
        client_close(&c);
    }
    house_set_clock(h, START + SPAN_HOUR);
    c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    client_close(&c);
    answer = house_ask(h, "{\"question\":\"limits\"}");
    assert_non_null(strstr(answer, "{\"rule\":\"account recipients 6/1m pace\",\"used\":2,"
                                   "\"refused\":0,\"locked\":0,\"paced\":1}"));
    free(answer);
    static const span want[] = {0, 10, 30, 40, 50, 0};
    for (unsigned n = 0; n < COUNT_OF(want); n++)
        assert_int_equal(not_before(h, n), want[n] * SPAN_SECOND);
}

static void a_backlog_is_bounded(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account messages 1/1h pace");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    for (unsigned i = 0; i < 25; i++)
        deliver(&c, 1, "250 ");
    stamp moment =
        named(refused(&c, "450 4.7.1 Message rate exceeded, 25 waiting (1/1h). Works again "));
    assert_int_equal(moment, START + SPAN_HOUR);
    house_set_clock(h, moment - SPAN_SECOND);
    refused(&c, "450 4.7.1 ");
    house_set_clock(h, moment);
    deliver(&c, 1, "250 ");
    client_close(&c);
    assert_int_equal(not_before(h, 24), 24 * SPAN_HOUR);
    assert_int_equal(not_before(h, 25), 25 * SPAN_HOUR);
}

static void the_prudent_profile_paces(void **state)
{
    struct house *h = *state;
    struct directory_account a = person(ALICE, "alice@example.org", "en");
    a.preset = SLICE("relay-plan");
    a.profile = SLICE("prudent");
    people_put_account(&h->people, &a);
    people_add_secret(&h->people, ALICE_SECRET, ALICE, "secret");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 1, "250 ");
    deliver(&c, 1, "250 ");
    client_close(&c);
    assert_int_equal(not_before(h, 1), 10 * SPAN_SECOND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, writers_setup, writers_teardown)
    const struct CMUnitTest tests[] = {
        TEST(all_of_a_customer_is_locked),
        TEST(domains_are_counted_apart),
        TEST(hosts_and_credentials_are_counted),
        TEST(whom_it_has_written_to_is_known),
        TEST(a_pace_is_kept),
        TEST(a_backlog_is_bounded),
        TEST(the_prudent_profile_paces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
