/* sessions: how many, how long, and how they end. */
#include "house.h"

#include "../check.h"

#include <jansson.h>

enum { ALICE = 10 };

static int setup(void **state)
{
    struct house *h = house_new();
    house_open_control(h);
    people_add_account(&h->people, ALICE, "alice@example.org");
    people_add_secret(&h->people, 1, ALICE, "generated");
    people_add_address(&h->people, 2, ALICE, "127.0.0.1");
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    house_free(*state);
    return 0;
}

/* \0alice@example.org\0generated */
#define SIGN_IN "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAGdlbmVyYXRlZA==\r\n"

static struct client greeted(struct house *h, int door)
{
    struct client c = client_connect(h, door);
    TALK(&c, NULL, "220 ");
    TALK(&c, "EHLO client.example.org\r\n", "250 ");
    return c;
}

static void refused(struct house *h, int door)
{
    struct client c = client_connect(h, door);
    if (door == IMPLICIT)
        client_tls(&c);
    TALK(&c, NULL, "421 4.7.0 Too many connections");
    TALK(&c, NULL, "");
    client_close(&c);
}

static void too_many_from_an_address(void **state)
{
    struct house *h = *state;
    h->conf->submission.max_sessions_address = 2;
    house_start(h);
    struct client first = greeted(h, PLAIN);
    struct client second = greeted(h, STARTTLS);
    refused(h, PLAIN);
    refused(h, IMPLICIT);
    struct client local = client_connect(h, LOCAL);
    TALK(&local, NULL, "220 ");
    client_close(&local);
    client_close(&first);
    house_wait_for(h, "sessions_open", 1);
    struct client third = greeted(h, PLAIN);
    client_close(&second);
    client_close(&third);
}

static void too_many_in_all(void **state)
{
    struct house *h = *state;
    h->conf->submission.max_sessions = 1;
    house_start(h);
    struct client first = greeted(h, PLAIN);
    refused(h, PLAIN);
    refused(h, IMPLICIT);
    client_close(&first);
    house_wait_for(h, "sessions_open", 0);
    first = greeted(h, PLAIN);
    client_close(&first);
}

static void too_many_of_an_account(void **state)
{
    struct house *h = *state;
    h->conf->submission.max_sessions_account = 2;
    house_start(h);
    struct client first = greeted(h, PLAIN);
    TALK(&first, SIGN_IN, "235 ");
    struct client second = greeted(h, ADDRESS);
    struct client third = greeted(h, PLAIN);
    TALK(&third, SIGN_IN, "421 4.7.0 Too many connections signed in");
    TALK(&third, NULL, "");
    refused(h, ADDRESS);
    client_close(&second);
    house_wait_for(h, "sessions_open", 1);
    second = greeted(h, PLAIN);
    TALK(&second, SIGN_IN, "235 ");
    client_close(&first);
    client_close(&second);
    client_close(&third);
}

static void a_command_that_does_not_end(void **state)
{
    struct house *h = *state;
    h->conf->submission.command_timeout = 100 * SPAN_MS;
    house_start(h);
    struct client c = greeted(h, PLAIN);
    client_send(&c, "NOO");
    TALK(&c, NULL, "421 4.4.2 ");
    TALK(&c, NULL, "");
    client_close(&c);
    c = client_connect(h, IMPLICIT);
    TALK(&c, NULL, ""); /* a handshake that does not begin */
    client_close(&c);
}

static void a_message_that_does_not_go_on(void **state)
{
    struct house *h = *state;
    h->conf->submission.data_timeout = 100 * SPAN_MS;
    house_start(h);
    struct client c = greeted(h, ADDRESS);
    TALK(&c, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    TALK(&c, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(&c, "DATA\r\n", "354 ");
    client_send(&c, "From: <alice@example.org>\r\n\r\nx\r\n");
    TALK(&c, NULL, "421 4.4.2 ");
    TALK(&c, NULL, "");
    house_wait_for(h, "memory", 0);
    client_close(&c);
}

static void a_session_that_is_too_long(void **state)
{
    struct house *h = *state;
    h->conf->submission.session_timeout = 100 * SPAN_MS;
    house_start(h);
    struct client c = greeted(h, PLAIN);
    TALK(&c, NULL, "421 4.4.2 ");
    client_close(&c);
}

static void draining(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client idle = greeted(h, PLAIN);
    struct client busy = greeted(h, ADDRESS);
    TALK(&busy, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    TALK(&busy, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(&busy, "DATA\r\n", "354 ");
    house_begin_drain(h);
    TALK(&idle, NULL, "421 4.3.2 ");
    TALK(&idle, NULL, "");
    TALK(&busy, "From: <alice@example.org>\r\n\r\nx\r\n.\r\n", "250 2.0.0 ");
    TALK(&busy, NULL, "421 4.3.2 ");
    check_int("ends well", house_wait(h), 0);
    client_close(&idle);
    client_close(&busy);
    uint64_t size = 0;
    int fd = env_open(h->disk, "snapshot/smtpd/directory", ENV_READ);
    assert_true(fd >= 0);
    assert_int_equal(env_size(h->disk, fd, &size), 0);
    CHECK("a snapshot", size > 0);
    env_close(h->disk, fd);
}

static void a_reload_is_for_new_sessions(void **state)
{
    struct house *h = *state;
    h->conf->submission.max_message = 100000;
    house_start(h);
    struct client old = greeted(h, ADDRESS);
    h->conf->submission.max_message = 200000;
    h->conf->submission.max_sessions_address = 2;
    house_reload(h);
    struct client new = greeted(h, ADDRESS);
    TALK(&old, "MAIL FROM:<alice@example.org> SIZE=150000\r\n", "552 ");
    TALK(&new, "MAIL FROM:<alice@example.org> SIZE=150000\r\n", "250 ");
    refused(h, ADDRESS);
    client_close(&old);
    client_close(&new);
    house_wait_for(h, "sessions_open", 0);
    buf_clear(&h->key);
    house_reload(h); /* no key: what was there stays */
    struct client c = client_connect(h, IMPLICIT);
    client_tls(&c);
    TALK(&c, NULL, "220 ");
    client_close(&c);
}

static void the_status(void **state)
{
    struct house *h = *state;
    house_start(h);
    char *text = house_ask(h, "{\"question\":\"status\"}");
    json_t *status = json_loads(text, 0, NULL);
    check_slice("role", slice_of(json_string_value(json_object_get(status, "role"))),
                SLICE("smtpd"));
    check_int("threads", json_integer_value(json_object_get(status, "threads")), 2);
    json_decref(status);
    free(text);
    static const char *const nonsense[] = {"", "{", "[]", "{\"question\":7}",
                                           "{\"question\":\"other\"}"};
    for (size_t i = 0; i < COUNT_OF(nonsense); i++) {
        text = house_ask(h, nonsense[i]);
        CHECK(nonsense[i], strncmp(text, "{\"error\":", 9) == 0);
        free(text);
    }
}

static void refusals_are_counted(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = greeted(h, PLAIN);
    client_send(&c, "MAIL FROM:<a@example.org>\r\nNONSENSE\r\nNOOP\r\n");
    TALK(&c, NULL, "530 ");
    TALK(&c, NULL, "500 ");
    TALK(&c, NULL, "250 ");
    house_wait_for(h, "refused", 2);
    client_close(&c);
}

enum { COMMANDS = 60000 };

static void *send_many(void *ctx)
{
    struct buf many = BUF_INIT;
    for (int i = 0; i < COMMANDS; i++)
        buf_append(&many, SLICE("EHLO client.example.org\r\n"));
    client_send_n(ctx, many.ptr, many.len);
    buf_fini(&many);
    return NULL;
}

/* Its replies are more than the kernel holds: nothing more is taken from it until it reads. */
static void a_client_that_does_not_read_yet(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = client_connect_narrow(h, PLAIN);
    TALK(&c, NULL, "220 ");
    struct client sender = c;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_many, &sender), 0);
    struct client other = greeted(h, PLAIN);
    for (int i = 0; i < 1000; i++)
        TALK(&other, "NOOP\r\n", "250 ");
    unsigned replies = 0;
    while (replies < COMMANDS && *client_reply(&c))
        replies++;
    pthread_join(thread, NULL);
    check_int("every command is answered", replies, COMMANDS);
    client_close(&other);
    client_close(&c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(too_many_from_an_address),
        TEST(too_many_in_all),
        TEST(too_many_of_an_account),
        TEST(a_command_that_does_not_end),
        TEST(a_message_that_does_not_go_on),
        TEST(a_session_that_is_too_long),
        TEST(draining),
        TEST(a_reload_is_for_new_sessions),
        TEST(the_status),
        TEST(refusals_are_counted),
        TEST(a_client_that_does_not_read_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
