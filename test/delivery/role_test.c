/* The whole role in a process of its own, with smtpd's journal written by the test and a server
 * to send to: what arrives, what a restart and a kill leave, what it answers. */
#include "office.h"
#include "sink.h"

#include "base/log.h"
#include "delivery/delivery.h"
#include "net/query.h"

#include <jansson.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <sys/wait.h>

struct town {
    char root[64];
    char query_path[96];
    int root_fd;
    struct env_real disk;
    struct shared_pages *pages;
    int wake;
    struct journal_writer *smtpd;
    struct journal_writer *office; /* of control's journal */
    struct id_source ids;
    struct sink *sink;
    const char *delivery; /* lines of [delivery] */
    const char *reloaded; /* the same after a reload */
    pid_t child;
    int control; /* to the child: 'd' drains, 'r' reloads */
};

static struct town *town;

static int set_up(void **state)
{
    town = xcalloc(1, sizeof(*town));
    office_scratch(town->root);
    town->root_fd = open(town->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    env_real_init(&town->disk, town->root_fd);
    office_make_dirs(&town->disk.env);
    snprintf(town->query_path, sizeof(town->query_path), "%s/query.sock", town->root);
    town->pages = mmap(NULL, sizeof(*town->pages), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    town->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    town->sink = sink_new();
    town->delivery = "connections = 5";
    id_source_init(&town->ids, 0, ID_SMTPD);
    *state = town;
    return 0;
}

static void open_smtpd(void)
{
    struct journal_recovery recovery;
    static const char *const readers[] = {"snapshot/delivery/queue"};
    struct journal_config c = {
        .env = &town->disk.env,
        .dir = "journal/smtpd",
        .self = ID_SMTPD,
        .watermark = &town->pages->watermark[ROLE_SMTPD],
        .wake = &town->wake,
        .wake_count = 1,
        .segment_bytes = 256 * 1024,
        .readers = readers,
        .reader_count = 1,
    };
    assert_int_equal(journal_writer_open(&town->smtpd, &c, &recovery), 0);
}

static void open_control(void)
{
    struct journal_recovery recovery;
    struct journal_config c = {
        .env = &town->disk.env,
        .dir = "journal/control",
        .self = ID_CONTROL,
        .watermark = &town->pages->watermark[ROLE_CONTROL],
        .wake = &town->wake,
        .wake_count = 1,
        .segment_bytes = 256 * 1024,
    };
    assert_int_equal(journal_writer_open(&town->office, &c, &recovery), 0);
}

/* ---- the child ---- */

static struct conf *parse(const char *delivery)
{
    struct buf text = BUF_INIT, errors = BUF_INIT;
    buf_printf(&text,
               "[server]\nhostname = out.test\nstate-dir = /nonexistent\n"
               "[delivery]\ntransport = smarthost\n%s\n"
               "[smarthost]\nhost = 127.0.0.1\nport = %u\ntls = none\n"
               "[listener a]\naddress = 127.0.0.1:2525\n",
               delivery, town->sink->port);
    struct conf *c = conf_parse(SLICE("test"), buf_slice(&text), &errors);
    if (!c)
        fprintf(stderr, "%.*s", (int)errors.len, errors.ptr);
    buf_fini(&text);
    buf_fini(&errors);
    return c;
}

struct child {
    struct role *role;
    int control;
};

static void on_control(void *ctx)
{
    struct child *c = ctx;
    char order;
    if (read(c->control, &order, 1) != 1)
        _exit(9);
    if (order == 'd') {
        c->role->on_drain(c->role->ctx);
        return;
    }
    struct conf *old = c->role->conf;
    c->role->conf = parse(town->reloaded);
    c->role->on_reload(c->role->ctx);
    conf_free(&old);
}

static int listen_query(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(town->query_path);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", town->query_path);
    INVARIANT(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 16) == 0);
    return fd;
}

static void be_delivery(int control, int ready)
{
    struct role *role = role_new(ROLE_DELIVERY);
    role->conf = parse(town->delivery);
    role->env = &town->disk.env;
    role->pages = town->pages;
    role->loop = loop_new();
    role->wake[ROLE_DELIVERY] = town->wake;
    role_add_fd(role, "query", listen_query());
    struct child c = {role, control};
    struct loop_watch *watch = loop_watch(role->loop, control, on_control, &c);
    if (write(ready, "x", 1) != 1)
        _exit(8);
    int status = delivery_run(role);
    loop_unwatch(&watch);
    loop_free(&role->loop);
    conf_free(&role->conf);
    role_free(&role);
    _exit(status);
}

static void begin(void)
{
    int control[2], ready[2];
    char x;
    assert_int_equal(pipe2(control, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    atomic_store(&town->pages->watermark[ROLE_DELIVERY].durable, 0);
    town->child = fork();
    if (town->child == 0)
        be_delivery(control[0], ready[1]);
    close(control[0]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &x, 1), 1);
    close(ready[0]);
    town->control = control[1];
}

static int end(void)
{
    int status;
    assert_int_equal(waitpid(town->child, &status, 0), town->child);
    close(town->control);
    town->child = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void drain(void)
{
    assert_int_equal(write(town->control, "d", 1), 1);
    assert_int_equal(end(), 0);
}

static void kill_it(void)
{
    kill(town->child, SIGKILL);
    assert_int_equal(end(), -1);
}

static int tear_down(void **state)
{
    struct town *t = *state;
    if (t->child > 0) {
        kill(t->child, SIGKILL);
        end();
    }
    journal_writer_close(&t->smtpd);
    journal_writer_close(&t->office);
    sink_free(t->sink, t->sink->thread != 0);
    munmap(t->pages, sizeof(*t->pages));
    close(t->wake);
    close(t->root_fd);
    office_unscratch(t->root);
    free(t);
    return 0;
}

/* ---- what the tests do ---- */

static uint64_t post(const char *to, const char *body, bool in_file)
{
    struct office o = {.real = town->disk, .smtpd = town->smtpd};
    const char *const all[] = {to, NULL};
    struct office_message m = {.account = 3, .from = "from@x.test", .to = all};
    o.ids.last = town->ids.last;
    m.body = slice_of(body);
    m.in_file = in_file;
    uint64_t id = office_post(&o, &m);
    town->ids.last = o.ids.last;
    return id;
}

static void post_numbered(unsigned from, unsigned to)
{
    char body[64];
    for (unsigned i = from; i < to; i++) {
        snprintf(body, sizeof(body), "Subject: number %u\r\n\r\nx\r\n", i);
        post("to@y.test", body, false);
    }
}

/* How often each number arrived. */
static void count_numbers(unsigned *times, unsigned count)
{
    memset(times, 0, count * sizeof(*times));
    for (size_t i = 0; i < town->sink->count; i++) {
        unsigned n = (unsigned)atoi(town->sink->mail[i].body.ptr + strlen("Subject: number "));
        assert_true(n < count);
        times[n]++;
    }
}

static json_t *ask(const char *question)
{
    struct buf answer = BUF_INIT;
    assert_int_equal(query_ask(town->query_path, slice_of(question), 5 * SPAN_SECOND, &answer),
                     0);
    json_t *j = json_loadb(answer.ptr, answer.len, 0, NULL);
    assert_non_null(j);
    buf_fini(&answer);
    return j;
}

/* Asks for the status until this number in it has this value, and the journal is read. */
static void await(const char *name, json_int_t value)
{
    span end = env_elapsed(&town->disk.env) + 20 * SPAN_SECOND;
    while (env_elapsed(&town->disk.env) < end) {
        json_t *j = ask("{\"question\":\"status\"}");
        json_int_t now = json_integer_value(json_object_get(j, name));
        bool has_caught_up = json_is_true(json_object_get(j, "caught_up"));
        json_decref(j);
        if (now == value && has_caught_up)
            return;
    }
    fail_msg("%s is not %lld", name, (long long)value);
}

static void test_what_was_there_and_what_comes(void **state)
{
    (void)state;
    unsigned times[60];
    sink_start(town->sink);
    open_smtpd();
    post_numbered(0, 30);
    begin();
    assert_true(sink_wait(town->sink, 30));
    post_numbered(30, 60);
    assert_true(sink_wait(town->sink, 60));
    drain();
    count_numbers(times, 60);
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(times[i], 1);
    assert_int_equal(town->pages->stats.delivered, 60);
}

static void test_delivery_may_come_up_before_smtpd(void **state)
{
    (void)state;
    sink_start(town->sink);
    begin();
    json_decref(ask("{\"question\":\"status\"}"));
    open_smtpd();
    post_numbered(0, 5);
    assert_true(sink_wait(town->sink, 5));
    drain();
}

static void test_a_restart_sends_nothing_again(void **state)
{
    (void)state;
    sink_start(town->sink);
    open_smtpd();
    begin();
    post_numbered(0, 20);
    assert_true(sink_wait(town->sink, 20));
    drain();
    /* Without the snapshot the journals tell the same. */
    assert_int_equal(env_unlink(&town->disk.env, "snapshot/delivery/queue"), 0);
    begin();
    post_numbered(20, 40);
    assert_true(sink_wait(town->sink, 40));
    drain();
    begin();
    post_numbered(40, 41);
    assert_true(sink_wait(town->sink, 41));
    await("queued", 0);
    drain();
    assert_int_equal(town->sink->count, 41);
}

static void append_directory(struct buf *fields)
{
    struct journal_entry e = {.header = {.type = RECORD_DIRECTORY}};
    e.header.at = env_now(&town->disk.env);
    e.fields = buf_slice(fields);
    assert_int_equal(journal_append_wait(town->office, &e), 0);
    buf_fini(fields);
}

static void put_customer(uint64_t version)
{
    struct directory_customer customer = {.id = 1, .name = SLICE("One")};
    struct buf fields = BUF_INIT;
    directory_put_customer(&fields, version, &customer);
    append_directory(&fields);
}

static void put_account(uint64_t version, uint64_t id, const char *login)
{
    struct directory_account account = {.id = id, .customer = 1, .login = slice_of(login)};
    struct buf fields = BUF_INIT;
    directory_put_account(&fields, version, &account);
    append_directory(&fields);
}

static void test_the_directory_is_followed(void **state)
{
    (void)state;
    sink_start(town->sink);
    open_smtpd();
    begin();
    await("directory_version", 0);
    open_control();
    put_customer(1);
    put_account(2, 3, "anna@x.test");
    await("directory_version", 2);
    post_numbered(0, 5);
    assert_true(sink_wait(town->sink, 5));
    drain();
    /* It goes on from its snapshot. */
    put_account(3, 4, "bo@x.test");
    begin();
    await("directory_version", 3);
    kill_it();
    assert_int_equal(env_unlink(&town->disk.env, "snapshot/delivery/directory"), 0);
    begin();
    await("directory_version", 3);
    drain();
}

static void test_killed_again_and_again(void **state)
{
    (void)state;
    enum { COUNT = 1500, KILLS = 6 };
    unsigned times[COUNT], twice = 0;
    sink_start(town->sink);
    open_smtpd();
    for (unsigned i = 0; i < KILLS; i++) {
        begin();
        post_numbered(i * COUNT / KILLS, (i + 1) * COUNT / KILLS);
        assert_true(sink_wait(town->sink, i * COUNT / KILLS + COUNT / KILLS / 2));
        kill_it();
    }
    begin();
    /* Some may arrive twice, so that their number alone does not tell. */
    await("queued", 0);
    drain();
    count_numbers(times, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(times[i] >= 1);
        twice += times[i] - 1;
    }
    /* What a kill may repeat is what was not synced: a few milliseconds' worth. */
    assert_in_range(twice, 0, COUNT / 2);
    print_message("%u of %u arrived again after %u kills\n", twice, COUNT, KILLS);
}

/* The notification about it arrives, from <>, and not again after a restart. */
static void test_failed_ones_are_reported_once(void **state)
{
    (void)state;
    town->sink->rules[0] = (struct sink_rule){"RCPT", "550 5.1.1 nobody\r\n", 1, 0, false};
    sink_start(town->sink);
    open_smtpd();
    begin();
    post("gone@y.test", "Subject: number 0\r\n\r\nx\r\n", false);
    assert_true(sink_wait(town->sink, 1));
    const struct sink_mail *m = &town->sink->mail[0];
    assert_string_equal(m->from, "<>");
    assert_string_equal(m->to, "<from@x.test>\n");
    assert_true(slice_search(buf_slice(&m->body), SLICE("gone@y.test")) > 0);
    assert_true(slice_search(buf_slice(&m->body), SLICE("550 nobody")) > 0);
    assert_true(slice_search(buf_slice(&m->body), SLICE("Subject: number 0")) > 0);
    await("queued", 0);
    await("failed", 0);
    drain();
    begin();
    post_numbered(1, 2);
    assert_true(sink_wait(town->sink, 2));
    await("queued", 0);
    drain();
    assert_int_equal(town->sink->count, 2);
}

static void test_hold_and_release_by_a_reload(void **state)
{
    (void)state;
    char question[128], first[ID_TEXT_LEN + 1];
    town->delivery = "hold = yes";
    town->reloaded = "hold = no\nconnections = 2";
    sink_start(town->sink);
    open_smtpd();
    begin();
    uint64_t id = post("a@y.test", "Subject: number 0\r\n\r\nx\r\n", false);
    post_numbered(1, 7);
    await("queued", 7);
    json_t *j = ask("{\"question\":\"queue-list\",\"limit\":3}");
    assert_int_equal(json_array_size(json_object_get(j, "messages")), 3);
    assert_true(json_is_true(json_object_get(j, "more")));
    id_format(id, first);
    json_t *m = json_array_get(json_object_get(j, "messages"), 0);
    assert_string_equal(json_string_value(json_object_get(m, "id")), first);
    assert_string_equal(json_string_value(json_object_get(m, "login")), "user@x.test");
    snprintf(question, sizeof(question), "{\"question\":\"queue-list\",\"after\":\"%s\"}",
             json_string_value(json_object_get(j, "next")));
    json_decref(j);
    j = ask(question);
    assert_int_equal(json_array_size(json_object_get(j, "messages")), 4);
    assert_true(json_is_false(json_object_get(j, "more")));
    json_decref(j);
    assert_int_equal(sink_count(town->sink), 0);
    drain(); /* held mail survives */
    begin();
    await("queued", 7);
    assert_int_equal(write(town->control, "r", 1), 1);
    assert_true(sink_wait(town->sink, 7));
    await("queued", 0);
    drain();
}

static void test_questions_that_make_no_sense(void **state)
{
    (void)state;
    static const char *const questions[] = {
        "{}",
        "[]",
        "nonsense",
        "{\"question\":\"what\"}",
        "{\"question\":\"queue-show\"}",
        "{\"question\":\"queue-show\",\"id\":\"0000000000000\"}",
        "{\"question\":\"queue-list\",\"after\":\"x\"}",
        "{\"question\":\"queue-list\",\"state\":\"odd\"}",
    };
    open_smtpd();
    begin();
    for (size_t i = 0; i < COUNT_OF(questions); i++) {
        json_t *j = ask(questions[i]);
        assert_true(json_is_false(json_object_get(j, "ok")));
        assert_non_null(json_string_value(json_object_get(j, "error")));
        json_decref(j);
    }
    drain();
}

static int count_name(void *ctx, const char *name)
{
    if (strcmp(name, "tmp") != 0)
        ++*(int *)ctx;
    return 0;
}

static void test_a_large_body_goes_when_it_was_delivered(void **state)
{
    (void)state;
    size_t len = 700 * 1024;
    int files = 0;
    char *body = xcalloc(1, len + 1);
    for (size_t i = 0; i < len; i += 2)
        memcpy(body + i, i % 64 ? "ab" : "\r\n", 2);
    memcpy(body, "Subject: number 0\r\n\r\n", 21);
    memcpy(body + len - 2, "\r\n", 2);
    sink_start(town->sink);
    open_smtpd();
    begin();
    post("to@y.test", body, true);
    assert_true(sink_wait(town->sink, 1));
    await("queued", 0);
    drain();
    assert_int_equal(town->sink->mail[0].body.len, len);
    assert_memory_equal(town->sink->mail[0].body.ptr, body, len);
    assert_true(env_list(&town->disk.env, "large", count_name, &files) >= 0);
    assert_int_equal(files, 0);
    free(body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_setup("test", LOG_LOGFMT, getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR);
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_there_and_what_comes),
        TEST(test_delivery_may_come_up_before_smtpd),
        TEST(test_a_restart_sends_nothing_again),
        TEST(test_the_directory_is_followed),
        TEST(test_killed_again_and_again),
        TEST(test_failed_ones_are_reported_once),
        TEST(test_hold_and_release_by_a_reload),
        TEST(test_questions_that_make_no_sense),
        TEST(test_a_large_body_goes_when_it_was_delivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
