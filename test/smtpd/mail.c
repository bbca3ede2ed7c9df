/* mail: from MAIL to the journal, over a socket. */
#include "house.h"

#include "../check.h"

#include "smtpd/message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ALICE = 10, SECRET = 100 };

static int setup(void **state)
{
    struct house *h = house_new();
    house_open_control(h);
    people_add_account(&h->people, ALICE, "alice@example.org");
    people_add_address(&h->people, SECRET, ALICE, "127.0.0.0/8");
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    house_free(*state);
    return 0;
}

static struct client greeted(struct house *h)
{
    struct client c = client_connect(h, ADDRESS);
    TALK(&c, NULL, "220 mx.test");
    TALK(&c, "EHLO client.example.org\r\n", "250 ");
    return c;
}

static const char header[] = "From: <alice@example.org>\r\nSubject: one\r\n\r\n";

/* Up to the reply to DATA. */
static void ask_to_send(struct client *c, const char *want)
{
    TALK(c, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    TALK(c, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(c, "DATA\r\n", want);
}

static void send_envelope(struct client *c)
{
    ask_to_send(c, "354 ");
    client_send(c, header);
}

static size_t count_files(struct house *h, const char *dir)
{
    size_t count = 0;
    int fd = openat(h->dir_fd, dir, O_RDONLY | O_DIRECTORY);
    DIR *d = fdopendir(fd);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        count += e->d_type == DT_REG;
    closedir(d);
    return count;
}

static void a_message_becomes_one_record(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = greeted(h);
    TALK(&c, "MAIL FROM:<alice@example.org> BODY=8BITMIME RET=HDRS ENVID=a+2Bb\r\n", "250 ");
    TALK(&c, "RCPT TO:<bob@example.net> NOTIFY=DELAY ORCPT=rfc822;bob+3D@b.test\r\n", "250 ");
    TALK(&c, "RCPT TO:<carol@example.net>\r\n", "250 ");
    TALK(&c, "DATA\r\n", "354 ");
    client_send(&c, header);
    client_send(&c, "line\r\n..dot\r\n.\r\n");
    const char *reply = client_reply(&c);
    CHECK(reply, strncasecmp(reply, "250 2.0.0 queued as ", 20) == 0);
    uint64_t id = 0;
    assert_true(id_parse(slice_of(reply + 20), &id));
    struct arena a = ARENA_INIT;
    struct house_record r;
    assert_true(house_record(h, RECORD_MESSAGE, 0, &a, &r));
    check_int("customer", (long long)r.header.customer, 1);
    check_int("account", (long long)r.header.account, ALICE);
    check_int("credential", (long long)r.header.credential, SECRET);
    check_int("node", r.header.node, 3);
    CHECK("session", r.header.session != 0 && r.header.session < id);
    CHECK("at", r.header.at / 1000 >= id_stamp(id) / 1000); /* its end */
    check_int("id", (long long)record_get_u64(r.fields, TAG_ID), (long long)id);
    check_slice("from", record_get(r.fields, TAG_REVERSE_PATH), SLICE("alice@example.org"));
    check_slice("login", record_get(r.fields, TAG_LOGIN), SLICE("alice@example.org"));
    check_slice("client", record_get(r.fields, TAG_CLIENT), SLICE("127.0.0.1"));
    check_slice("helo", record_get(r.fields, TAG_HELO), SLICE("client.example.org"));
    check_slice("listener", record_get(r.fields, TAG_LISTENER), SLICE("address"));
    check_int("flags", (long long)record_get_u64(r.fields, TAG_MESSAGE_FLAGS),
              MESSAGE_8BITMIME);
    check_int("octets", (long long)record_get_u64(r.fields, TAG_OCTETS),
              (long long)strlen(header) + 6 + 6);
    check_int("ret", (long long)record_get_u64(r.fields, TAG_RET), RET_HDRS);
    check_slice("envid", record_get(r.fields, TAG_ENVID), SLICE("a+b"));
    check_int("notify", (long long)record_get_u64(r.fields, TAG_RECIPIENT_NOTIFY),
              NOTIFY_DELAY);
    check_slice("orcpt", record_get(r.fields, TAG_RECIPIENT_ORCPT),
                SLICE("rfc822;bob=@b.test"));
    CHECK("message id", record_get(r.fields, TAG_MESSAGE_ID).len > 0);
    static const char *const recipients[] = {"bob@example.net", "carol@example.net"};
    unsigned found = 0;
    struct record_field f;
    for (slice fields = r.fields; record_next(&fields, &f) == 1;)
        if (f.tag == TAG_RECIPIENT)
            check_slice("recipient", f.value, slice_of(recipients[found++]));
    check_int("recipients", found, 2);
    CHECK("trace", slice_starts(r.body, SLICE("Received: ")));
    CHECK("body", slice_ends(r.body, SLICE("\r\n\r\nline\r\n.dot\r\n")));
    house_wait_for(h, "messages", 1);
    house_wait_for(h, "recipients", 2);
    house_wait_for(h, "memory", 0);
    client_close(&c);
    arena_fini(&a);
}

static void a_pipelining_client_in_one_segment(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = greeted(h);
    client_send(&c, "MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n");
    TALK(&c, NULL, "250 ");
    TALK(&c, NULL, "250 ");
    TALK(&c, NULL, "354 ");
    client_send(&c, header);
    client_send(&c, "x\r\n.\r\nMAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.net>\r\n"
                    "DATA\r\nFrom: <alice@example.org>\r\n\r\nwith its end\r\n.\r\nQUIT\r\n");
    TALK(&c, NULL, "250 2.0.0 ");
    TALK(&c, NULL, "250 ");
    TALK(&c, NULL, "250 ");
    TALK(&c, NULL, "354 ");
    TALK(&c, NULL, "250 2.0.0 ");
    TALK(&c, NULL, "221 ");
    TALK(&c, NULL, "");
    house_wait_for(h, "messages", 2);
    client_close(&c);
}

static void byte_by_byte(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = client_connect(h, ADDRESS);
    static const char talk[] = "EHLO client.example.org\r\nMAIL FROM:<alice@example.org>\r\n"
                               "RCPT TO:<bob@example.net>\r\nDATA\r\nFrom: <alice@example.org>"
                               "\r\n\r\nslow\r\n.\r\nQUIT\r\n";
    int one = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    for (const char *p = talk; *p; p++)
        client_send_n(&c, p, 1);
    static const char *const replies[] = {"220 ", "250 ",       "250 ", "250 ",
                                          "354 ", "250 2.0.0 ", "221 ", ""};
    for (size_t i = 0; i < COUNT_OF(replies); i++)
        TALK(&c, NULL, replies[i]);
    client_close(&c);
}

/* `len` octets of lines. */
static char *lines(size_t len)
{
    char *text = xcalloc(1, len + 1);
    for (size_t i = 0; i < len; i++)
        text[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : (char)('a' + i / 64 % 26);
    return text;
}

static void a_large_body_has_a_file(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = greeted(h);
    enum { LEN = 1024 * 1024 };
    char *body = lines(LEN);
    struct arena a = ARENA_INIT;
    struct house_record r;

    send_envelope(&c);
    client_send_n(&c, body, 128 * 1024);
    TALK(&c, ".\r\n", "250 2.0.0 ");
    assert_true(house_record(h, RECORD_MESSAGE, 0, &a, &r));
    CHECK("128 KiB are in the record", r.body.len > 128 * 1024);
    CHECK("and end as they should", slice_ends(r.body, slice_make(body, 128 * 1024)));

    send_envelope(&c);
    client_send_n(&c, body, LEN);
    TALK(&c, ".\r\n", "250 2.0.0 ");
    assert_true(house_record(h, RECORD_MESSAGE, 1, &a, &r));
    check_int("no body", (long long)r.body.len, 0);
    uint64_t len = record_get_u64(r.fields, TAG_FILE_LEN);
    char *path = arena_cstr(&a, record_get(r.fields, TAG_FILE));
    int fd = env_open(h->disk, path, ENV_READ);
    assert_true(fd >= 0);
    char *file = arena_alloc(&a, len + 1);
    check_int("length", env_read_full(h->disk, fd, file, len + 1, 0), (long long)len);
    env_close(h->disk, fd);
    CHECK("trace", slice_starts(slice_make(file, len), SLICE("Received: ")));
    CHECK("body", slice_ends(slice_make(file, len), slice_make(body, LEN)));
    house_wait_for(h, "memory", 0);
    check_int("nothing is left over", (long long)count_files(h, "large/tmp"), 0);
    client_close(&c);
    free(body);
    arena_fini(&a);
}

static void a_large_body_that_is_given_up(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = greeted(h);
    char *body = lines(512 * 1024);
    send_envelope(&c);
    client_send_n(&c, body, 512 * 1024);
    client_close(&c);
    house_wait_for(h, "sessions_open", 0);
    house_wait_for(h, "memory", 0);
    check_int("no file", (long long)count_files(h, "large/tmp"), 0);

    c = greeted(h);
    send_envelope(&c);
    client_send_n(&c, body, 512 * 1024);
    h->env.fail_rename = -EIO;
    TALK(&c, ".\r\n", "451 4.3.0 ");
    h->env.fail_rename = 0;
    check_int("no file", (long long)count_files(h, "large/tmp"), 0);
    check_int("no file", (long long)count_files(h, "large"), 0);

    send_envelope(&c);
    client_send_n(&c, body, 512 * 1024);
    h->env.syncs_until_failure = 2; /* the file's is the first, its record's the second */
    TALK(&c, ".\r\n", "451 4.3.0 ");
    check_int("no file", (long long)count_files(h, "large"), 0);

    send_envelope(&c);
    client_send_n(&c, body, 512 * 1024);
    TALK(&c, ".\r\n", "250 2.0.0 ");
    check_int("one file", (long long)count_files(h, "large"), 1);
    client_close(&c);
    free(body);
}

static void the_disk_fails(void **state)
{
    struct house *h = *state;
    house_start(h);
    struct client c = greeted(h);
    static const struct {
        const char *name;
        int sync;
        int write;
        const char *want;
    } rows[] = {
        {"sync", -EIO, 0, "451 4.3.0 "},
        {"full", 0, -ENOSPC, "452 4.3.1 "},
        {"write", 0, -EIO, "451 4.3.0 "},
        {"well again", 0, 0, "250 2.0.0 "},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        send_envelope(&c);
        h->env.fail_sync = rows[i].sync;
        h->env.fail_write = rows[i].write;
        const char *got;
        client_send(&c, "x\r\n.\r\n");
        got = client_reply(&c);
        h->env.fail_sync = h->env.fail_write = 0;
        if (strncmp(got, rows[i].want, strlen(rows[i].want)) != 0)
            fail_msg("%s: got \"%s\"", rows[i].name, got);
    }
    house_wait_for(h, "messages", 1);
    house_wait_for(h, "memory", 0);
    struct arena a = ARENA_INIT;
    struct house_record r;
    assert_false(house_record(h, RECORD_MESSAGE, 1, &a, &r));
    arena_fini(&a);
    client_close(&c);
}

static void memory_is_bounded(void **state)
{
    struct house *h = *state;
    h->conf->submission.memory = (uint64_t)2 * MESSAGE_PIECE;
    house_start(h);
    struct client first = greeted(h);
    struct client second = greeted(h);
    struct client third = greeted(h);
    send_envelope(&first);
    house_wait_for(h, "memory", MESSAGE_PIECE); /* its header was read */
    ask_to_send(&second, "354 ");
    ask_to_send(&third, "452 4.3.1 ");
    client_close(&second);
    house_wait_for(h, "sessions_open", 2);
    TALK(&first, "x\r\n.\r\n", "250 2.0.0 ");
    house_wait_for(h, "memory", 0);
    TALK(&third, "RSET\r\n", "250 ");
    send_envelope(&third);
    char *body = lines(3 * MESSAGE_PIECE);
    client_send_n(&third, body, 3 * MESSAGE_PIECE);
    TALK(&third, ".\r\n", "452 4.3.1 ");
    house_wait_for(h, "memory", 0);
    free(body);
    client_close(&first);
    client_close(&third);
}

/* What the dialog gathers of a header counts, though it is not ours yet. */
static void a_header_counts_before_it_is_whole(void **state)
{
    struct house *h = *state;
    h->conf->submission.memory = (uint64_t)4 * MESSAGE_PIECE;
    house_start(h);
    struct client c = greeted(h);
    ask_to_send(&c, "354 ");
    client_send(&c, "From: <alice@example.org>\r\n");
    for (int i = 0; i < 56 * 1024 / 64; i++)
        client_send(&c, "X-Field: 0123456789012345678901234567890123456789012345678901\r\n");
    TALK(&c, "\r\nx\r\n.\r\n", "452 4.3.1 ");
    house_wait_for(h, "memory", 0);
    client_close(&c);
}

static void no_space_on_the_disk(void **state)
{
    struct house *h = *state;
    h->env.free_bytes = h->conf->submission.min_free_space - 1;
    house_start(h);
    struct client c = greeted(h);
    ask_to_send(&c, "452 4.3.1 ");
    client_close(&c);
}

static void leftovers_are_swept(void **state)
{
    struct house *h = *state;
    assert_int_equal(env_mkdir(h->disk, "large"), 0);
    assert_int_equal(env_mkdir(h->disk, "large/tmp"), 0);
    int fd = env_open(h->disk, "large/tmp/leftover", ENV_CREATE);
    assert_true(fd >= 0);
    env_close(h->disk, fd);
    house_start(h);
    check_int("swept", (long long)count_files(h, "large/tmp"), 0);
}

static void ids_grow_over_restarts_and_clock_steps(void **state)
{
    struct house *h = *state;
    uint64_t ids[2];
    for (int i = 0; i < 2; i++) {
        house_start(h);
        struct client c = greeted(h);
        send_envelope(&c);
        client_send(&c, "x\r\n.\r\n");
        assert_true(id_parse(slice_of(client_reply(&c) + 20), &ids[i]));
        client_close(&c);
        check_int("ends well", house_drain(h), 0);
        h->env.clock_back = SPAN_DAY;
    }
    CHECK("the second is higher", ids[1] > ids[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_message_becomes_one_record),
        TEST(a_pipelining_client_in_one_segment),
        TEST(byte_by_byte),
        TEST(a_large_body_has_a_file),
        TEST(a_large_body_that_is_given_up),
        TEST(the_disk_fails),
        TEST(memory_is_bounded),
        TEST(a_header_counts_before_it_is_whole),
        TEST(no_space_on_the_disk),
        TEST(leftovers_are_swept),
        TEST(ids_grow_over_restarts_and_clock_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
