/* control_door: control as a client of the local door: who it is, what its tokens promise. */
#include "house.h"

#include "base/id.h"

#include "../check.h"

#include <errno.h>

#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

enum { ALICE = 10, CAROL = 11 };

/* 2026-11-22 13:00:00 UTC */
static const stamp START = 1795352400 * SPAN_SECOND;

static int setup(void **state)
{
    struct house *h = house_new();
    struct rule rule;
    const char *error;
    slice word;
    house_set_clock(h, START);
    house_open_control(h);
    assert_true(rule_parse(SLICE("account messages 1/1h defer"), &rule, &error, &word));
    struct directory_account alice = {.id = ALICE,
                                      .customer = 1,
                                      .login = SLICE("alice@example.org"),
                                      .right = SENDERS_DOMAINS,
                                      .senders = (const slice[]){SLICE("example.org")},
                                      .sender_count = 1,
                                      .rules = &rule,
                                      .rule_count = 1};
    people_put_account(&h->people, &alice);
    struct directory_account carol = {.id = CAROL,
                                      .customer = 1,
                                      .login = SLICE("carol@example.org"),
                                      .state = ACCOUNT_LOCKED,
                                      .until = STAMP_NEVER};
    people_put_account(&h->people, &carol);
    people_add_secret(&h->people, 1, ALICE, "secret");
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    house_free(*state);
    return 0;
}

static void auth(struct client *c, const char *account, const char *secret, const char *want,
                 int line)
{
    char message[256], coded[400], command[500];
    int len = snprintf(message, sizeof(message), "%s%c192.0.2.7%c%s", account, 0, 0, secret);
    EVP_EncodeBlock((unsigned char *)coded, (unsigned char *)message, len);
    snprintf(command, sizeof(command), "AUTH UTPOST-CONTROL %s\r\n", coded);
    client_talk(c, command, want, line);
}

static struct client greeted(struct house *h, int door)
{
    struct client c = client_connect(h, door);
    TALK(&c, NULL, "220 ");
    TALK(&c, "EHLO client.example.org\r\n", "250 ");
    return c;
}

static struct client signed_in(struct house *h, const char *account)
{
    struct client c = greeted(h, LOCAL);
    auth(&c, account, "between us", "235 ", __LINE__);
    return c;
}

/* Behind MAIL; the id of the message. */
static void finish(struct client *c, char id[ID_TEXT_LEN + 1])
{
    TALK(c, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(c, "DATA\r\n", "354 ");
    client_send(c, "From: <alice@example.org>\r\n\r\nx\r\n.\r\n");
    const char *reply = client_reply(c);
    CHECK(reply, strncmp(reply, "250 2.0.0 Queued as ", 20) == 0);
    snprintf(id, ID_TEXT_LEN + 1, "%s", reply + 20);
}

static void expect_first(struct client *c, const char *mail, const char *id)
{
    char want[64];
    snprintf(want, sizeof(want), "250 2.0.0 Queued as %s", id);
    TALK(c, mail, want);
}

static void only_with_the_secret(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = greeted(h, LOCAL);
    auth(&c, "", "between you and me", "535 5.7.8 ", __LINE__);
    auth(&c, "99", "between us", "535 5.7.8 ", __LINE__);
    auth(&c, "alice@example.org", "between us", "535 5.7.8 ", __LINE__);
    client_close(&c);
    c = greeted(h, PLAIN);
    auth(&c, "", "between us", "504 ", __LINE__);
    client_close(&c);
    c = greeted(h, LOCAL);
    auth(&c, "11", "between us", "525 5.7.13 ", __LINE__);
    client_close(&c);
}

static void as_the_system(void **state)
{
    struct house *h = *state;
    struct arena a = ARENA_INIT;
    struct house_record r;
    char id[ID_TEXT_LEN + 1];
    house_start(h);
    struct client c = signed_in(h, "");
    TALK(&c, "MAIL FROM:<> XTOKEN=notice-1\r\n", "250 2.1.0 ");
    finish(&c, id);
    expect_first(&c, "MAIL FROM:<> XTOKEN=notice-1\r\n", id);
    client_close(&c);
    c = signed_in(h, "");
    expect_first(&c, "MAIL FROM:<> XTOKEN=notice-1\r\n", id);
    TALK(&c, "MAIL FROM:<> XTOKEN=notice-2\r\n", "250 2.1.0 ");
    client_close(&c);
    assert_true(house_record(h, RECORD_MESSAGE, 0, &a, &r));
    check_int("account", (long long)r.header.account, 0);
    check_slice("token", record_get(r.fields, TAG_TOKEN), SLICE("notice-1"));
    check_slice("who asked", record_get(r.fields, TAG_CLIENT), SLICE("192.0.2.7"));
    check_slice("login", record_get(r.fields, TAG_LOGIN), SLICE("system"));
    CHECK("one record", !house_record(h, RECORD_MESSAGE, 1, &a, &r));
    arena_fini(&a);
}

static void for_an_account(void **state)
{
    struct house *h = *state;
    struct arena a = ARENA_INIT;
    struct house_record r;
    char id[ID_TEXT_LEN + 1];
    house_start(h);
    struct client c = signed_in(h, "10");
    TALK(&c, "MAIL FROM:<eve@example.com> XTOKEN=1\r\n", "553 5.7.1 ");
    TALK(&c, "MAIL FROM:<a@example.org> XTOKEN=1\r\n", "250 2.1.0 ");
    finish(&c, id);
    TALK(&c, "MAIL FROM:<a@example.org> XTOKEN=2\r\n", "250 2.1.0 ");
    TALK(&c, "RCPT TO:<bob@example.net>\r\n", "450 4.7.1 "); /* one message an hour */
    TALK(&c, "RSET\r\n", "250 ");
    expect_first(&c, "MAIL FROM:<a@example.org> XTOKEN=1\r\n", id);
    client_close(&c);
    assert_true(house_record(h, RECORD_MESSAGE, 0, &a, &r));
    check_int("account", (long long)r.header.account, ALICE);
    check_int("customer", (long long)r.header.customer, 1);
    arena_fini(&a);
    c = signed_in(h, ""); /* a token belongs to who sends */
    TALK(&c, "MAIL FROM:<a@example.org> XTOKEN=1\r\n", "250 2.1.0 ");
    client_close(&c);
}

static void while_the_first_arrives(void **state)
{
    struct house *h = *state;
    char id[ID_TEXT_LEN + 1];
    house_start(h);
    struct client first = signed_in(h, "");
    struct client second = signed_in(h, "");
    TALK(&first, "MAIL FROM:<> XTOKEN=t\r\n", "250 2.1.0 ");
    TALK(&second, "MAIL FROM:<> XTOKEN=t\r\n", "450 4.3.0 ");
    TALK(&first, "RSET\r\n", "250 ");
    TALK(&second, "MAIL FROM:<> XTOKEN=t\r\n", "250 2.1.0 ");
    TALK(&first, "MAIL FROM:<> XTOKEN=t\r\n", "450 4.3.0 ");
    client_close(&second); /* a lost connection frees it too */
    house_wait_for(h, "sessions_open", 1);
    TALK(&first, "MAIL FROM:<> XTOKEN=t\r\n", "250 2.1.0 ");
    h->env.fail_sync = -EIO;
    TALK(&first, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(&first, "DATA\r\n", "354 ");
    TALK(&first, "From: <a@example.org>\r\n\r\nx\r\n.\r\n", "451 ");
    h->env.fail_sync = 0;
    TALK(&first, "MAIL FROM:<> XTOKEN=t\r\n", "250 2.1.0 ");
    finish(&first, id);
    expect_first(&first, "MAIL FROM:<> XTOKEN=t\r\n", id);
    client_close(&first);
}

static void remove_snapshot(struct house *h)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/snapshot/smtpd/tokens", h->dir);
    assert_int_equal(unlink(path), 0);
}

static void over_restarts(void **state)
{
    struct house *h = *state;
    char first[ID_TEXT_LEN + 1], second[ID_TEXT_LEN + 1];
    house_start(h);
    struct client c = signed_in(h, "");
    TALK(&c, "MAIL FROM:<> XTOKEN=one\r\n", "250 2.1.0 ");
    finish(&c, first);
    client_close(&c);
    assert_int_equal(house_drain(h), 0); /* in the snapshot */
    house_start(h);
    c = signed_in(h, "");
    expect_first(&c, "MAIL FROM:<> XTOKEN=one\r\n", first);
    TALK(&c, "MAIL FROM:<> XTOKEN=two\r\n", "250 2.1.0 ");
    finish(&c, second);
    client_close(&c);
    assert_int_equal(house_drain(h), 0);
    remove_snapshot(h); /* in the journal */
    house_start(h);
    c = signed_in(h, "");
    expect_first(&c, "MAIL FROM:<> XTOKEN=one\r\n", first);
    expect_first(&c, "MAIL FROM:<> XTOKEN=two\r\n", second);
    house_set_clock(h, START + 24 * 60 * SPAN_MINUTE - 1);
    expect_first(&c, "MAIL FROM:<> XTOKEN=one\r\n", first);
    client_close(&c);
    house_set_clock(h, START + 24 * 60 * SPAN_MINUTE);
    c = signed_in(h, "");
    TALK(&c, "MAIL FROM:<> XTOKEN=one\r\n", "250 2.1.0 ");
    client_close(&c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(only_with_the_secret),    TEST(as_the_system), TEST(for_an_account),
        TEST(while_the_first_arrives), TEST(over_restarts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
