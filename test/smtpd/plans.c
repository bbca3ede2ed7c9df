/* plans: volumes per period, over a socket: borders of months in the account's zone, credit,
 * reset, the end of a plan. */
#include "writers.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* 2026-11-30 23:00:00 UTC: the first of December in Oslo. */
#define DECEMBER (START + 8 * SPAN_DAY + 10 * SPAN_HOUR)
#define SUSPENDED "450 4.7.1 Data rate exceeded, "

static struct directory_account buyer(void)
{
    struct directory_account a = person(ALICE, "alice@example.org", "en");
    a.time_zone = SLICE("Europe/Oslo");
    return a;
}

/* One mail of so many octets to one recipient. */
static void mail(struct client *c, size_t octets, const char *want)
{
    static const char header[] = "From: <alice@example.org>\r\n\r\n";
    char *text = malloc(octets + sizeof("\r\n.\r\n"));
    size_t len = sizeof(header) - 1;
    memcpy(text, header, len);
    for (; len < octets; len++)
        text[len] = len % 80 == 78 ? '\r' : len % 80 == 79 ? '\n' : 'x';
    memcpy(text + octets - 2, "\r\n.\r\n", sizeof("\r\n.\r\n"));
    TALK(c, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    TALK(c, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(c, "DATA\r\n", "354 ");
    TALK(c, text, want);
    free(text);
}

static void one_large_mail_or_nine_small_ones(void **state)
{
    struct house *h = *state;
    struct directory_account a = buyer();
    put_with_rules(h, &a, "account bytes 90KB/month suspend");
    people_add_secret(&h->people, ALICE_SECRET, ALICE, "secret");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    mail(&c, 90000, "250 ");
    refused(&c, SUSPENDED "90KB/month (max 90KB). Works again 2026-12-01 00:00:00 CET, in 8 d");
    house_set_clock(h, DECEMBER - SPAN_SECOND);
    refused(&c, SUSPENDED "90KB/month (max 90KB). Works again 2026-12-01 00:00:00 CET, in 1 s");
    house_set_clock(h, DECEMBER);
    mail(&c, 90002,
         "450 4.7.1 Data rate exceeded, 0B/month (max 90KB). At most 90KB at a time");
    for (unsigned i = 0; i < 9; i++)
        mail(&c, 200, "250 ");
    refused(&c, SUSPENDED "90KB/month (max 90KB). Works again 2027-01-01 00:00:00 CET");
    client_close(&c);
    /* From the journal alone, read in December: November's mail counts in November. */
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
    house_start(h);
    c = signed_in(h, "alice@example.org");
    refused(&c, SUSPENDED "90KB/month (max 90KB). Works again 2027-01-01 00:00:00 CET");
    client_close(&c);
}

static void credit_and_reset(void **state)
{
    struct house *h = *state;
    struct directory_account a = buyer();
    put_with_rules(h, &a, "account bytes 20KB/month suspend");
    people_add_secret(&h->people, ALICE_SECRET, ALICE, "secret");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    deliver(&c, 2, "250 ");
    refused(&c, SUSPENDED "20KB/month (max 20KB)");
    a.plan.credit = 10000;
    a.plan.credit_until = DECEMBER;
    put_with_rules(h, &a, "account bytes 20KB/month suspend");
    deliver(&c, 1, "250 ");
    refused(&c, SUSPENDED "30KB/month (max 30KB)");
    house_set_clock(h, START + SPAN_HOUR);
    a.plan.reset = START + SPAN_HOUR;
    put_with_rules(h, &a, "account bytes 20KB/month suspend");
    deliver(&c, 3, "250 ");
    refused(&c, SUSPENDED "30KB/month (max 30KB)");
    client_close(&c);
    assert_int_equal(house_drain(h), 0);
    assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
    house_start(h);
    c = signed_in(h, "alice@example.org");
    refused(&c, SUSPENDED "30KB/month (max 30KB)");
    house_set_clock(h, DECEMBER);
    deliver(&c, 2, "250 ");
    refused(&c, SUSPENDED "20KB/month (max 20KB)");
    client_close(&c);
}

static void a_plan_begins_and_ends(void **state)
{
    struct house *h = *state;
    struct directory_account a = buyer();
    a.plan.start = START + SPAN_HOUR;
    a.plan.end = START + 31 * SPAN_DAY;
    put_with_rules(h, &a, "account messages 2/month suspend");
    people_add_secret(&h->people, ALICE_SECRET, ALICE, "secret");
    house_start(h);
    struct client c = signed_in(h, "alice@example.org");
    refused(&c, "450 4.7.1 Message rate exceeded, 0/month (max 0). Works again 2026-11-22 "
                "15:00:00 CET, in 1 h");
    house_set_clock(h, START + SPAN_HOUR);
    deliver(&c, 1, "250 ");
    deliver(&c, 1, "250 ");
    refused(&c, "450 4.7.1 Message rate exceeded, 2/month (max 2). Works again 2026-12-22 "
                "15:00:00 CET");
    /* The last one: no new period lifts it. */
    house_set_clock(h, START + 30 * SPAN_DAY + SPAN_HOUR);
    deliver(&c, 1, "250 ");
    deliver(&c, 1, "250 ");
    refused(&c,
            "550 5.7.1 Message rate exceeded, 2/month (max 2). Works again with a new plan");
    house_set_clock(h, START + 31 * SPAN_DAY);
    refused(&c,
            "550 5.7.1 Message rate exceeded, 2/month (max 0). Works again with a new plan");
    client_close(&c);
    char *answer = house_ask(h, "{\"question\":\"quota\",\"account\":10}");
    assert_non_null(strstr(answer, "\"is_open\":false"));
    free(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_large_mail_or_nine_small_ones, writers_setup,
                                        writers_teardown),
        cmocka_unit_test_setup_teardown(credit_and_reset, writers_setup, writers_teardown),
        cmocka_unit_test_setup_teardown(a_plan_begins_and_ends, writers_setup,
                                        writers_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
