/* message: what a record says, and the memory that a message is charged for. */
#include "house.h"

#include "../check.h"

#include "smtpd/message.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct fixture {
    char dir[32];
    int dir_fd;
    struct env_real env;
    struct shared_pages pages;
    struct conf_submission conf;
    struct journal_writer *journal;
    struct message_store store;
    unsigned answers;
    int result;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/utpost-message-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    env_real_init(&f->env, f->dir_fd);
    f->conf.memory = 10 * MESSAGE_PIECE;
    struct journal_config c = {
        .env = &f->env.env, .dir = "journal", .watermark = &f->pages.watermark[ROLE_SMTPD]};
    struct journal_recovery recovery;
    assert_int_equal(journal_writer_open(&f->journal, &c, &recovery), 0);
    f->store = (struct message_store){
        .env = &f->env.env,
        .loop = loop_new(),
        .journal = f->journal,
        .limits = limits_new(&f->env.env, &f->conf),
        .stats = &f->pages.stats,
    };
    message_store_init(&f->store);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    message_store_fini(&f->store);
    journal_writer_close(&f->journal);
    limits_free(&f->store.limits);
    loop_free(&f->store.loop);
    close(f->dir_fd);
    char command[64];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void on_done(void *ctx, int err, const struct reply *refusal)
{
    struct fixture *f = ctx;
    assert_null(refusal);
    f->answers++;
    f->result = err;
    loop_release(f->store.loop);
}

static const struct submission_recipient recipients[] = {
    {.address = SLICE_INIT("a@example.net"),
     .params = {.notify = NOTIFY_SUCCESS | NOTIFY_FAILURE,
                .orcpt = SLICE_INIT("rfc822;A@example.net")}},
    {.address = SLICE_INIT("b@example.net")},
};

static struct submission_transaction transaction_of(const struct account *account)
{
    return (struct submission_transaction){
        .reverse_path = SLICE(""),
        .params = {.smtputf8 = true, .ret = RET_HDRS, .envid = SLICE("envelope 7")},
        .recipients = recipients,
        .recipient_count = COUNT_OF(recipients),
        .id = 7,
        .at = 1000,
        .octets = 5,
        .message_id = SLICE("<m@example.org>"),
        .helo = SLICE("client"),
        .protocol = SLICE("UTF8SMTPSA"),
        .tls = SLICE("TLSv1.3 X"),
        .account = account,
    };
}

static int commit(struct fixture *f, struct message *m, const struct account *account)
{
    struct submission_transaction t = transaction_of(account);
    struct message_facts facts = {
        .transaction = &t, .session = 99, .client = SLICE("192.0.2.1"), .listener = SLICE("l")};
    loop_hold(f->store.loop);
    message_commit(m, &facts, on_done, f);
    loop_run(f->store.loop);
    return f->result;
}

static void what_a_record_says(void **state)
{
    struct fixture *f = *state;
    struct account account = {.id = 2, .customer = 1, .credential = 3, .login = SLICE("login")};
    struct message *m = message_open(&f->store, 7);
    assert_non_null(m);
    assert_int_equal(message_append(m, SLICE("head\r\n")), 0);
    assert_int_equal(message_append(m, SLICE("\r\nbody\r\n")), 0);
    assert_int_equal(commit(f, m, &account), 0);
    assert_int_equal(f->answers, 1);

    struct journal_reader *reader;
    struct journal_record r;
    assert_int_equal(journal_reader_open(&reader, &f->env.env, "journal",
                                         &f->pages.watermark[ROLE_SMTPD], 0),
                     0);
    assert_int_equal(journal_next(reader, &r), 1);
    check_int("type", r.header.type, RECORD_MESSAGE);
    check_int("customer", (long long)r.header.customer, 1);
    check_int("account", (long long)r.header.account, 2);
    check_int("credential", (long long)r.header.credential, 3);
    check_int("session", (long long)r.header.session, 99);
    check_int("body", (long long)r.header.body_len, 14);
    static const struct {
        enum record_tag tag;
        const char *text; /* NULL: the number */
        uint64_t number;
    } want[] = {
        {TAG_ID, NULL, 7},
        {TAG_REVERSE_PATH, "", 0},
        {TAG_RECIPIENT, "a@example.net", 0},
        {TAG_RECIPIENT_NOTIFY, NULL, NOTIFY_SUCCESS | NOTIFY_FAILURE},
        {TAG_RECIPIENT_ORCPT, "rfc822;A@example.net", 0},
        {TAG_RECIPIENT, "b@example.net", 0},
        {TAG_ENVID, "envelope 7", 0},
        {TAG_RET, NULL, RET_HDRS},
        {TAG_MESSAGE_FLAGS, NULL, MESSAGE_SMTPUTF8},
        {TAG_OCTETS, NULL, 5},
        {TAG_CLIENT, "192.0.2.1", 0},
        {TAG_HELO, "client", 0},
        {TAG_PROTOCOL, "UTF8SMTPSA", 0},
        {TAG_LISTENER, "l", 0},
        {TAG_LOGIN, "login", 0},
        {TAG_TLS, "TLSv1.3 X", 0},
        {TAG_MESSAGE_ID, "<m@example.org>", 0},
    };
    struct record_field field;
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        assert_int_equal(record_next(&r.fields, &field), 1);
        check_int("tag", field.tag, want[i].tag);
        if (want[i].text)
            check_slice("text", field.value, slice_of(want[i].text));
        else
            check_int("number", (long long)field.number, (long long)want[i].number);
    }
    assert_int_equal(record_next(&r.fields, &field), 0);
    journal_reader_close(&reader);
}

static void the_header_is_charged_until_it_comes(void **state)
{
    struct fixture *f = *state;
    struct message *m = message_open(&f->store, 7);
    check_int("a piece", (long long)limits_memory(f->store.limits), MESSAGE_PIECE);
    message_hold(m, 3 * MESSAGE_PIECE);
    message_hold(m, 2 * MESSAGE_PIECE);
    check_int("and a header", (long long)limits_memory(f->store.limits), 4 * MESSAGE_PIECE);
    message_hold(m, 3 * MESSAGE_PIECE + 1);
    check_int("in steps", (long long)limits_memory(f->store.limits), 5 * MESSAGE_PIECE);
    assert_int_equal(message_append(m, SLICE("x")), 0);
    check_int("it has come", (long long)limits_memory(f->store.limits), MESSAGE_PIECE);
    message_hold(m, 5 * MESSAGE_PIECE);
    check_int("no more is held", (long long)limits_memory(f->store.limits), MESSAGE_PIECE);
    message_abort(&m);
    check_int("all is free", (long long)limits_memory(f->store.limits), 0);
}

static void a_header_beyond_the_budget(void **state)
{
    struct fixture *f = *state;
    struct message *m = message_open(&f->store, 7);
    message_hold(m, 10 * MESSAGE_PIECE);
    check_int("nothing more", message_append(m, SLICE("x")), -ENOSPC);
    check_int("nor is it kept", commit(f, m, NULL), -ENOSPC);
    check_int("all is free", (long long)limits_memory(f->store.limits), 0);
    check_int("none is open", (long long)f->store.open, 0);
}

static void pieces_are_bounded_and_used_again(void **state)
{
    struct fixture *f = *state;
    struct message *many[11] = {0};
    for (int i = 0; i < 10; i++)
        assert_non_null(many[i] = message_open(&f->store, 7));
    assert_null(message_open(&f->store, 7));
    check_int("open", (long long)f->store.open, 10);
    for (int i = 0; i < 10; i++)
        message_abort(&many[i]);
    check_int("kept for reuse", f->store.spare_piece_count, 10);
    struct message *again = message_open(&f->store, 7);
    check_int("used again", f->store.spare_piece_count, 9);
    message_abort(&again);
}

static void an_owner_that_has_gone(void **state)
{
    struct fixture *f = *state;
    struct message *m = message_open(&f->store, 7);
    assert_int_equal(message_append(m, SLICE("x")), 0);
    struct submission_transaction t = transaction_of(NULL);
    struct message_facts facts = {.transaction = &t};
    message_commit(m, &facts, on_done, f);
    assert_true(message_is_committing(m));
    message_abandon(&m);
    assert_null(m);
    journal_writer_close(&f->journal);
    message_store_settle(&f->store);
    check_int("nobody was told", f->answers, 0);
    check_int("but it was kept", (long long)f->pages.stats.messages, 1);
    check_int("none is open", (long long)f->store.open, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_a_record_says),         TEST(the_header_is_charged_until_it_comes),
        TEST(a_header_beyond_the_budget), TEST(pieces_are_bounded_and_used_again),
        TEST(an_owner_that_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
