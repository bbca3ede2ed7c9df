/* doors: who gets in where: TLS, the kinds of credential, locks that come while one is in. */
#include "house.h"

#include "../check.h"

#include <openssl/evp.h>
#include <unistd.h>

enum { ALICE = 10, BOB = 11, WEB = 12, SHOP = 13 };

static int setup(void **state)
{
    struct house *h = house_new();
    house_open_control(h);
    people_add_account(&h->people, ALICE, "alice@example.org");
    people_add_account(&h->people, BOB, "bob@example.org");
    people_add_account(&h->people, WEB, "web");
    people_add_account(&h->people, SHOP, "shop@example.org");
    people_add_secret(&h->people, 1, ALICE, "generated");
    people_add_password(&h->people, 2, BOB, "chosen");
    static const uint64_t shop[] = {SHOP};
    struct directory_credential web = {.id = 3,
                                       .account = WEB,
                                       .kind = CREDENTIAL_UID,
                                       .uid = (uint32_t)getuid(),
                                       .may_act_for = shop,
                                       .may_act_for_count = 1};
    people_put_credential(&h->people, &web);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    house_free(*state);
    return 0;
}

static struct client greeted(struct house *h, int door)
{
    struct client c = client_connect(h, door);
    if (door == IMPLICIT)
        client_tls(&c);
    TALK(&c, NULL, "220 ");
    TALK(&c, "EHLO client.example.org\r\n", "250 ");
    return c;
}

static void auth_plain(struct client *c, const char *login, const char *secret,
                       const char *want, int line)
{
    char message[256];
    int len = snprintf(message, sizeof(message), "%c%s%c%s", 0, login, 0, secret);
    unsigned char text[512];
    EVP_EncodeBlock(text, (unsigned char *)message, len);
    char command[600];
    snprintf(command, sizeof(command), "AUTH PLAIN %s\r\n", (char *)text);
    client_talk(c, command, want, line);
}

static void send_mail(struct client *c)
{
    TALK(c, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    TALK(c, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(c, "DATA\r\n", "354 ");
    TALK(c, "From: <alice@example.org>\r\n\r\nx\r\n.\r\n", "250 2.0.0 ");
}

static void record_is(struct house *h, unsigned n, const char *protocol, bool has_tls)
{
    struct arena a = ARENA_INIT;
    struct house_record r;
    assert_true(house_record(h, RECORD_MESSAGE, n, &a, &r));
    check_slice("protocol", record_get(r.fields, TAG_PROTOCOL), slice_of(protocol));
    check_int("tls", slice_starts(record_get(r.fields, TAG_TLS), SLICE("TLSv1.")), has_tls);
    arena_fini(&a);
}

static void every_door(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = greeted(h, PLAIN);
    auth_plain(&c, "alice@example.org", "generated", "235 ", __LINE__);
    send_mail(&c);
    record_is(h, 0, "ESMTPA", false);
    client_close(&c);

    c = greeted(h, STARTTLS);
    auth_plain(&c, "alice@example.org", "generated", "5", __LINE__);
    TALK(&c, "STARTTLS\r\n", "220 ");
    client_tls(&c);
    TALK(&c, "EHLO client.example.org\r\n", "250 ");
    auth_plain(&c, "bob@example.org", "chosen", "235 ", __LINE__);
    send_mail(&c);
    record_is(h, 1, "ESMTPSA", true);
    client_close(&c);

    c = greeted(h, IMPLICIT);
    auth_plain(&c, "bob@example.org", "chosen", "235 ", __LINE__);
    send_mail(&c);
    record_is(h, 2, "ESMTPSA", true);
    client_close(&c);
    house_wait_for(h, "sign_ins", 3);
}

static void bytes_behind_starttls(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = greeted(h, STARTTLS);
    client_send(&c, "STARTTLS\r\nMAIL FROM:<x@example.org>\r\n");
    const char *reply = client_reply(&c);
    CHECK(reply, reply[0] == '5');
    client_close(&c);
}

static void a_wrong_password(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = greeted(h, PLAIN);
    auth_plain(&c, "alice@example.org", "wrong", "535 5.7.8 ", __LINE__);
    auth_plain(&c, "nobody@example.org", "wrong", "535 5.7.8 ", __LINE__);
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n", "530 ");
    auth_plain(&c, "alice@example.org", "generated", "235 ", __LINE__);
    house_wait_for(h, "sign_in_failures", 2);
    client_close(&c);
}

static void a_client_that_leaves_during_sign_in(void **state)
{
    struct house *h = *state;
    h->conf->submission.auth_delay = 200 * SPAN_MS;
    h->conf->server.threads = 1;
    house_start(h);
    struct client c = greeted(h, PLAIN);
    client_send(&c, "AUTH PLAIN AGFsaWNlAHdyb25n\r\n");
    client_close(&c);
    house_wait_for(h, "sessions_open", 0);
    c = greeted(h, PLAIN); /* answered when the one that has left would have been, too */
    TALK(&c, "AUTH PLAIN AGFsaWNlAHdyb25n\r\n", "535 ");
    client_close(&c);
}

static void a_client_address(void **state)
{
    struct house *h = *state;
    people_add_address(&h->people, 9, ALICE, "127.0.0.1");
    house_start(h);
    struct client c = greeted(h, ADDRESS);
    send_mail(&c);
    record_is(h, 0, "ESMTP", false);
    client_close(&c);
    c = greeted(h, PLAIN);
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n", "530 ");
    client_close(&c);
}

static void the_local_door(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct arena a = ARENA_INIT;
    struct house_record r;
    struct client c = greeted(h, LOCAL);
    send_mail(&c);
    assert_true(house_record(h, RECORD_MESSAGE, 0, &a, &r));
    check_int("the user's own account", (long long)r.header.account, WEB);
    CHECK("client", slice_starts(record_get(r.fields, TAG_CLIENT), SLICE("uid=")));
    client_close(&c);

    c = greeted(h, LOCAL);
    TALK(&c, "AUTH EXTERNAL c2hvcEBleGFtcGxlLm9yZw==\r\n", "235 ");
    send_mail(&c);
    assert_true(house_record(h, RECORD_MESSAGE, 1, &a, &r));
    check_int("the shop's", (long long)r.header.account, SHOP);
    check_int("by the user's credential", (long long)r.header.credential, 3);
    client_close(&c);

    c = greeted(h, LOCAL);
    TALK(&c, "AUTH EXTERNAL YWxpY2VAZXhhbXBsZS5vcmc=\r\n", "535 5.7.8 ");
    client_close(&c);
    arena_fini(&a);
}

static void a_lock_holds_from_the_next_command(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = greeted(h, PLAIN);
    auth_plain(&c, "alice@example.org", "generated", "235 ", __LINE__);
    send_mail(&c);
    struct directory_account locked = {.id = ALICE,
                                       .customer = 1,
                                       .login = SLICE("alice@example.org"),
                                       .state = ACCOUNT_LOCKED,
                                       .until = STAMP_NEVER};
    people_put_account(&h->people, &locked);
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n", "550 5.7.1 ");
    client_close(&c);
    c = greeted(h, PLAIN);
    auth_plain(&c, "alice@example.org", "generated", "525 5.7.13 ", __LINE__);
    auth_plain(&c, "alice@example.org", "wrong", "535 5.7.8 ", __LINE__);
    client_close(&c);
}

static void a_revoked_credential(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = greeted(h, PLAIN);
    auth_plain(&c, "alice@example.org", "generated", "235 ", __LINE__);
    people_remove(&h->people, ENTITY_CREDENTIAL, 1);
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n", "5");
    client_close(&c);

    c = greeted(h, LOCAL);
    TALK(&c, "AUTH EXTERNAL c2hvcEBleGFtcGxlLm9yZw==\r\n", "235 ");
    struct directory_credential web = {
        .id = 3, .account = WEB, .kind = CREDENTIAL_UID, .uid = (uint32_t)getuid()};
    people_put_credential(&h->people, &web);
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n", "5");
    client_close(&c);
}

static void the_snapshot_serves_without_control(void **state)
{
    struct house *h = *state;
    house_start(h);
    house_wait_for(h, "directory.version", (long long)h->people.version);
    check_int("ends well", house_drain(h), 0);
    house_close_control(h);
    h->pages.watermark[ROLE_CONTROL].durable = 0;
    house_start(h);
    house_wait_for(h, "directory.version", (long long)h->people.version);
    struct client c = greeted(h, PLAIN);
    auth_plain(&c, "alice@example.org", "generated", "235 ", __LINE__);
    client_close(&c);
}

static void control_comes_later(void **state)
{
    struct house *h = *state;
    house_close_control(h);
    h->pages.watermark[ROLE_CONTROL].durable = 0;
    house_start(h);
    struct client c = greeted(h, PLAIN); /* what control's journal says holds already */
    auth_plain(&c, "alice@example.org", "generated", "235 ", __LINE__);
    client_close(&c);
    house_open_control(h);
    struct directory_account late = {.id = 20, .customer = 1, .login = SLICE("late")};
    people_put_account(&h->people, &late);
    people_add_secret(&h->people, 21, 20, "late secret");
    c = greeted(h, PLAIN);
    auth_plain(&c, "late", "late secret", "235 ", __LINE__);
    client_close(&c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_door),
        TEST(bytes_behind_starttls),
        TEST(a_wrong_password),
        TEST(a_client_that_leaves_during_sign_in),
        TEST(a_client_address),
        TEST(the_local_door),
        TEST(a_lock_holds_from_the_next_command),
        TEST(a_revoked_credential),
        TEST(the_snapshot_serves_without_control),
        TEST(control_comes_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
