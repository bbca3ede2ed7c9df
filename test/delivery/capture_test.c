/* Capture: what lies in the Maildir, and that nothing is lost to a disk that fails. */
#include "office.h"

#include "base/log.h"
#include "delivery/capture.h"
#include "delivery/maildir.h"

struct stage {
    struct office *office;
    struct capture *capture;
    struct conf *conf;
};

static struct stage *on; /* the test that runs */

static void pump(struct office *o)
{
    capture_pump(o->transport);
}

static int set_up(void **state)
{
    struct buf errors = BUF_INIT;
    on = xcalloc(1, sizeof(*on));
    on->office = office_new();
    on->conf = conf_parse(SLICE("test"),
                          SLICE("[server]\nhostname = out.test\nstate-dir = /nonexistent\n"
                                "[delivery]\ntransport = capture\n"
                                "[listener a]\naddress = 127.0.0.1:2525\n"),
                          &errors);
    if (!on->conf)
        fail_msg("%.*s", (int)errors.len, errors.ptr);
    on->capture = capture_new(&on->office->courier, on->conf);
    on->capture->settings.retry.first = on->capture->settings.retry.longest = 50 * SPAN_MS;
    on->office->replay.destination = &on->capture->destination;
    on->office->transport = on->capture;
    on->office->pump = pump;
    *state = on;
    return 0;
}

static bool is_quiet(struct office *o)
{
    return capture_is_idle(on->capture) && settle_is_idle(o->courier.settle);
}

static int tear_down(void **state)
{
    struct stage *s = *state;
    capture_close(s->capture);
    office_run(s->office, is_quiet);
    queue_move(&s->office->queue, &s->capture->destination, &s->office->limbo);
    s->office->pump = NULL;
    capture_free(&s->capture);
    office_free(s->office);
    conf_free(&s->conf);
    free(s);
    return 0;
}

static bool is_empty(struct office *o)
{
    return o->queue.living == 0 && is_quiet(o);
}

struct found {
    char names[64][128];
    size_t count;
};

static int note_name(void *ctx, const char *name)
{
    struct found *f = ctx;
    snprintf(f->names[f->count++], sizeof(f->names[0]), "%s", name);
    return f->count == COUNT_OF(f->names);
}

static size_t list_dir(const char *dir, struct found *f)
{
    f->count = 0;
    assert_true(env_list(&on->office->real.env, dir, note_name, f) >= 0);
    return f->count;
}

/* The contents of the message's file in new/. */
static struct buf read_new(uint64_t id)
{
    struct found f;
    char text[ID_TEXT_LEN + 1], path[256];
    struct buf b = BUF_INIT;
    id_format(id, text);
    list_dir("capture/new", &f);
    for (size_t i = 0; i < f.count; i++) {
        if (!strstr(f.names[i], text))
            continue;
        uint64_t size;
        snprintf(path, sizeof(path), "capture/new/%s", f.names[i]);
        int fd = env_open(&on->office->real.env, path, ENV_READ);
        assert_true(fd >= 0);
        assert_int_equal(env_size(&on->office->real.env, fd, &size), 0);
        assert_int_equal(buf_reserve(&b, size + 1), 0);
        b.len = (size_t)env_read_full(&on->office->real.env, fd, b.ptr, size, 0);
        env_close(&on->office->real.env, fd);
        return b;
    }
    fail_msg("%s is not there", text);
    return b;
}

static void check_new(uint64_t id, const char *want)
{
    struct buf b = read_new(id);
    buf_byte(&b, '\0');
    assert_string_equal(b.ptr, want);
    buf_fini(&b);
}

static void test_messages_lie_in_new(void **state)
{
    (void)state;
    static const char *const to[] = {"a@y.test", "b@y.test", NULL};
    struct office_message m = {.account = 1,
                               .from = "from@x.test",
                               .to = to,
                               .body =
                                   SLICE("Subject: x\r\n\r\nline\r\n.dot\r\nlast without end")};
    uint64_t two = office_post(on->office, &m);
    uint64_t one = office_post_one(on->office, "c@y.test", "A: b\r\n\r\n");
    m.from = "";
    m.body = SLICE("\r\nbody\rx\r\r\n");
    uint64_t null = office_post(on->office, &m);
    office_read(on->office);
    office_run(on->office, is_empty);
    check_new(two,
              "Return-Path: <from@x.test>\nDelivered-To: a@y.test\nDelivered-To: b@y.test\n"
              "Subject: x\n\nline\n.dot\nlast without end");
    check_new(one, "Return-Path: <from@x.test>\nDelivered-To: c@y.test\nA: b\n\n");
    check_new(null, "Return-Path: <>\nDelivered-To: a@y.test\nDelivered-To: b@y.test\n"
                    "\nbody\rx\r\n");
    struct found f;
    assert_int_equal(list_dir("capture/tmp", &f), 0);
    assert_int_equal(list_dir("capture/cur", &f), 0);
    assert_int_equal(list_dir("capture/new", &f), 3);
    assert_int_equal(on->office->pages.stats.delivered, 5);
}

/* A CR at the end of a piece and its LF at the beginning of the next. */
static void test_line_ends_across_pieces(void **state)
{
    (void)state;
    static const char *const to[] = {"a@y.test", NULL};
    size_t len = LETTER_PIECE * 2 + 100;
    char *body = xcalloc(1, len);
    memset(body, 'x', len);
    memcpy(body + LETTER_PIECE - 1, "\r\n", 2);
    memcpy(body + LETTER_PIECE * 2 - 1, "\r\n", 2);
    struct office_message m = {.account = 1, .from = "f@x", .to = to, .in_file = true};
    m.body = slice_make(body, len);
    uint64_t id = office_post(on->office, &m);
    office_read(on->office);
    office_run(on->office, is_empty);
    struct buf b = read_new(id);
    size_t head = strlen("Return-Path: <f@x>\nDelivered-To: a@y.test\n");
    assert_int_equal(b.len, head + len - 2);
    assert_int_equal(b.ptr[head + LETTER_PIECE - 1], '\n');
    assert_int_equal(b.ptr[head + LETTER_PIECE], 'x');
    assert_int_equal(b.ptr[head + LETTER_PIECE * 2 - 2], '\n');
    buf_fini(&b);
    free(body);
}

static void test_many(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++)
        office_post_one(on->office, "c@y.test", "A: b\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->office->pages.stats.delivered, 300);
    assert_int_equal(on->office->pages.stats.retried, 0);
}

static void test_captured_again_takes_its_own_place(void **state)
{
    (void)state;
    struct found f;
    uint64_t id = office_post_one(on->office, "c@y.test", "A: b\r\n\r\nx\r\n");
    office_read(on->office);
    struct parcel *p = queue_find(&on->office->queue, id);
    struct maildir_item item = {.facts = p->facts, .count = 1};
    uint32_t index = 0;
    item.indexes = &index;
    assert_int_equal(maildir_make(on->office->env, "capture"), 0);
    maildir_write(on->office->env, on->office->courier.store, "capture", &item, 1);
    assert_int_equal(item.result, 0);
    office_run(on->office, is_empty);
    assert_int_equal(list_dir("capture/new", &f), 1);
}

/* Each operation of the disk fails once, alone and with all that follow for a while: whoever
 * was told to be captured is there, and everybody is in the end. */
static void test_failing_disk(void **state)
{
    (void)state;
    static const int errors[] = {EIO, ENOSPC};
    assert_int_equal(maildir_make(on->office->env, "capture"), 0);
    unsigned refused = 0;
    for (int at = 1; at < 40; at++) {
        struct maildir_item items[3] = {0};
        uint32_t index = 0;
        uint64_t ids[3];
        for (int i = 0; i < 3; i++)
            ids[i] = office_post_one(on->office, "c@y.test", "A: b\r\n\r\nx\r\n");
        office_read(on->office);
        for (int i = 0; i < 3; i++) {
            items[i].facts = queue_find(&on->office->queue, ids[i])->facts;
            items[i].indexes = &index;
            items[i].count = 1;
        }
        on->office->faulty.error = errors[at % 2];
        atomic_store(&on->office->faulty.fail_times, at % 3 == 0 ? 5 : 1);
        atomic_store(&on->office->faulty.fail_in, at);
        maildir_write(on->office->env, on->office->courier.store, "capture", items, 3);
        bool has_fired = atomic_load(&on->office->faulty.fail_in) == 0;
        atomic_store(&on->office->faulty.fail_in, 0);
        unsigned failed = 0;
        for (int i = 0; i < 3; i++)
            if (items[i].result == 0)
                check_new(ids[i], "Return-Path: <from@x.test>\nDelivered-To: c@y.test\n"
                                  "A: b\n\nx\n");
            else
                failed++;
        refused += failed > 0;
        if (at % 3 != 0 && has_fired && failed == 0)
            fail_msg("operation %d failed and nobody was told", at);
        office_run(on->office, is_empty);
        struct found f; /* make room */
        list_dir("capture/new", &f);
        for (size_t i = 0; i < f.count; i++) {
            char path[256];
            snprintf(path, sizeof(path), "capture/new/%s", f.names[i]);
            assert_int_equal(env_unlink(&on->office->real.env, path), 0);
        }
        assert_int_equal(f.count, 3);
    }
    assert_true(refused > 15);
}

static void test_a_failing_disk_delays_only(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        office_post_one(on->office, "c@y.test", "A: b\r\n\r\nx\r\n");
    office_read(on->office);
    atomic_store(&on->office->faulty.fail_times, 30);
    atomic_store(&on->office->faulty.fail_in, 1);
    office_run(on->office, is_empty);
    assert_int_equal(on->office->pages.stats.delivered, 5);
    assert_true(on->office->pages.stats.retried > 0);
    struct found f;
    assert_int_equal(list_dir("capture/new", &f), 5);
    assert_int_equal(list_dir("capture/tmp", &f), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_setup("test", LOG_LOGFMT, getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(test_messages_lie_in_new),
        TEST(test_line_ends_across_pieces),
        TEST(test_many),
        TEST(test_captured_again_takes_its_own_place),
        TEST(test_failing_disk),
        TEST(test_a_failing_disk_delays_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
