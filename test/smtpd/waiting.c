/* waiting: mail that says that it may wait (XQUEUE), beside mail that does not, over restarts.
 */
#include "writers.h"

#include "../check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Signed in over TLS, where XQUEUE is offered. */
static struct client with_tls(struct house *h)
{
    struct client c = client_connect(h, IMPLICIT);
    client_tls(&c);
    TALK(&c, NULL, "220 ");
    TALK(&c, "EHLO client.example.org\r\n", "250 ");
    sign_in(&c, "alice@example.org", "235 ");
    return c;
}

static void queue(struct client *c, unsigned recipients, const char *rcpt, const char *end)
{
    TALK(c, "MAIL FROM:<alice@example.org> XQUEUE\r\n", "250 ");
    for (unsigned i = 0; i < recipients; i++)
        TALK(c, "RCPT TO:<bob@example.net>\r\n", rcpt);
    if (!end) {
        TALK(c, "RSET\r\n", "250 ");
        return;
    }
    TALK(c, "DATA\r\n", "354 ");
    TALK(c, "From: <alice@example.org>\r\n\r\nHello\r\n.\r\n", end);
}

static uint64_t number_of(struct house *h, unsigned record, enum record_tag tag)
{
    struct arena arena = ARENA_INIT;
    struct house_record r;
    assert_true(house_record(h, RECORD_MESSAGE, record, &arena, &r));
    uint64_t n = record_get_u64(r.fields, tag);
    arena_fini(&arena);
    return n;
}

static void it_waits_and_others_see_it(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account recipients 5/1m attempts defer");
    house_start(h);
    struct client c = with_tls(h);
    queue(&c, 5, "250 ", "250 ");
    assert_int_equal(number_of(h, 0, TAG_NOT_BEFORE), 0);
    queue(&c, 3, "250 ", "250 ");
    stamp first = (stamp)number_of(h, 1, TAG_NOT_BEFORE);
    assert_true(first > START + SPAN_MINUTE && first < START + SPAN_MINUTE + SPAN_SECOND);
    assert_int_equal(number_of(h, 1, TAG_RELEASED_AT), first);
    queue(&c, 3, "250 ", "250 ");
    stamp second = (stamp)number_of(h, 2, TAG_NOT_BEFORE);
    assert_true(second > first + SPAN_MINUTE && second < first + SPAN_MINUTE + SPAN_SECOND);
    char *answer = house_ask(h, "{\"question\":\"quota\",\"account\":10}");
    assert_non_null(strstr(answer, "\"used\":5,\"max\":5"));
    assert_non_null(strstr(answer, "paced_until\":\"2026-11-22T13:02:00."));
    free(answer);
    /* Who may not wait is told the truth, and when; two have room beside the three. */
    struct client other = signed_in(h, "alice@example.org");
    TALK(&other, "MAIL FROM:<alice@example.org> XQUEUE\r\n", "555 5.5.4 ");
    house_set_clock(h, first + SPAN_SECOND);
    deliver(&other, 2, "250 ");
    refused(&other, "450 4.7.1 Sender rate exceeded, 6/1m (max 5)");
    client_close(&other);
    client_close(&c);
}

static void restarts_keep_the_line(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account messages 2/1h defer");
    house_start(h);
    struct client c = with_tls(h);
    for (int i = 0; i < 5; i++)
        queue(&c, 1, "250 ", "250 ");
    client_close(&c);
    stamp last = (stamp)number_of(h, 4, TAG_NOT_BEFORE);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(house_drain(h), 0);
        if (i == 1) /* from the journal */
            assert_int_equal(unlinkat(h->dir_fd, "snapshot/smtpd/limits", 0), 0);
        house_start(h);
        c = with_tls(h);
        stamp free_at = named(refused(&c, "450 4.7.1 Message rate exceeded, 2/1h (max 2)"));
        assert_true(free_at >= last && free_at < last + SPAN_MINUTE);
        client_close(&c);
    }
    house_set_clock(h, last);
    c = with_tls(h);
    deliver(&c, 1, "250 ");
    refused(&c, "450 4.7.1 Message rate exceeded, 2/1h (max 2)");
    client_close(&c);
}

static void what_is_not_for_now_is_refused(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org",
                  "message recipients 4 defer\naccount recipients 3/1d defer\n"
                  "account messages 9/1h reject\naccount bytes 90KB/1h defer");
    house_start(h);
    struct client c = with_tls(h);
    queue(&c, 3, "250 ", "250 ");
    queue(&c, 3, "250 ", "250 ");
    queue(&c, 1,
          "450 4.7.1 Sender rate exceeded, 3/1d (max 3). Works again 2026-11-23 12:", NULL);
    TALK(&c, "MAIL FROM:<alice@example.org> XQUEUE SIZE=100000\r\n", "250 ");
    TALK(&c, "RCPT TO:<bob@example.net>\r\n", "450 4.7.1 Data rate exceeded, ");
    TALK(&c, "RSET\r\n", "250 ");
    client_close(&c);
}

/* A disk that fails gives the place back. */
static void what_is_not_written_does_not_wait(void **state)
{
    struct house *h = *state;
    add_with_rule(h, ALICE, "alice@example.org", "account messages 1/1h defer");
    house_start(h);
    struct client c = with_tls(h);
    queue(&c, 1, "250 ", "250 ");
    h->env.fail_sync = -EIO;
    queue(&c, 1, "250 ", "451 ");
    h->env.fail_sync = 0;
    queue(&c, 1, "250 ", "250 ");
    stamp at = (stamp)number_of(h, 1, TAG_NOT_BEFORE);
    assert_true(at > START + SPAN_HOUR && at < START + SPAN_HOUR + SPAN_MINUTE);
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_waits_and_others_see_it, writers_setup,
                                        writers_teardown),
        cmocka_unit_test_setup_teardown(restarts_keep_the_line, writers_setup,
                                        writers_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_for_now_is_refused, writers_setup,
                                        writers_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_written_does_not_wait, writers_setup,
                                        writers_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
