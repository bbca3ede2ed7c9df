/* Every allocation fails once, and from then on: -ENOMEM or success, never a false answer and
 * never the end of the process (I6). The linker puts the functions below in front of malloc. */
#include "support.h"

#include "base/log.h"
#include "journal/large.h"
#include "journal/quarantine.h"
#include "journal/segment.h"
#include "journal/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static atomic_int calls;
static atomic_int fails_at; /* 0: none fails */
static atomic_bool is_sticky;

static bool must_fail(void)
{
    int at = atomic_load(&fails_at);
    if (at == 0)
        return false;
    int n = atomic_fetch_add(&calls, 1) + 1;
    return n == at || (n > at && atomic_load(&is_sticky));
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__real_reallocarray(void *ptr, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void *__wrap_reallocarray(void *ptr, size_t count, size_t size);

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
    return must_fail() ? NULL : __real_realloc(ptr, size);
}

void *__wrap_reallocarray(void *ptr, size_t count, size_t size)
{
    return must_fail() ? NULL : __real_reallocarray(ptr, count, size);
}

static void arm(int at, bool sticky)
{
    atomic_store(&calls, 0);
    atomic_store(&is_sticky, sticky);
    atomic_store(&fails_at, at);
}

static bool disarm(void)
{
    bool is_reached = atomic_load(&calls) >= atomic_load(&fails_at);
    atomic_store(&fails_at, 0);
    return is_reached;
}

/* ---- a journal on a real directory ---- */

static const char DIR[] = "journal/smtpd";
static const char SNAPSHOT[] = "snapshot/queue";
static const char *const READERS[] = {SNAPSHOT};

enum { ENTRIES = 5, PIECES = 3000 };

static char root[64];
static struct env_real env;
static struct watermark mark;
static struct sample samples[ENTRIES];
static struct iovec pieces[PIECES];
static bool is_acknowledged[ENTRIES];

static int setup(void **state)
{
    (void)state;
    strcpy(root, "/tmp/utpost-memory-XXXXXX");
    assert_non_null(mkdtemp(root));
    env_real_init(&env, open(root, O_RDONLY | O_DIRECTORY));
    for (size_t i = 0; i < ENTRIES; i++)
        sample_init(&samples[i], RECORD_MESSAGE, i + 1, i == 2 ? 300 * 1024 : 2000);
    /* One of more pieces than the committer has room for. */
    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = (struct iovec){samples[3].bytes + i % 2000, i < 2000};
    samples[3].entry.body = pieces;
    samples[3].entry.body_count = PIECES;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", root);
    assert_int_equal(system(command), 0);
    close(env.root_fd);
    for (size_t i = 0; i < ENTRIES; i++)
        sample_fini(&samples[i]);
    return 0;
}

static void fresh_journal(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s/*", root);
    assert_int_equal(system(command), 0);
    memset(is_acknowledged, 0, sizeof(is_acknowledged));
    atomic_store(&mark.durable, 0);
}

static int open_writer(struct journal_writer **w)
{
    struct journal_config config = {
        .env = &env.env,
        .dir = DIR,
        .watermark = &mark,
        .segment_bytes = 64 * 1024,
        .readers = READERS,
        .reader_count = 1,
    };
    struct journal_recovery recovery;
    return journal_writer_open(w, &config, &recovery);
}

static void expect_error(int err)
{
    assert_true(err >= 0 || err == -ENOMEM);
}

static void append_all(struct journal_writer *w)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        int err = journal_append_wait(w, &samples[i].entry);
        expect_error(err);
        is_acknowledged[i] = err == 0;
    }
}

/* Reads what is published; the fault may end it early. The count. */
static size_t read_all(bool seen[ENTRIES])
{
    struct journal_reader *r;
    int err = journal_reader_open(&r, &env.env, DIR, &mark, 0);
    expect_error(err);
    if (err < 0)
        return 0;
    struct journal_record record;
    size_t count = 0;
    while ((err = journal_next(r, &record)) == 1) {
        uint64_t id = record_get_u64(record.fields, TAG_ID);
        assert_in_range(id, 1, ENTRIES);
        assert_false(seen[id - 1]);
        seen[id - 1] = true;
        count++;
    }
    expect_error(err);
    journal_reader_close(&r);
    return count;
}

static void use_the_rest(struct journal_writer *w)
{
    bool seen[ENTRIES] = {false};
    read_all(seen);
    struct journal_store *store;
    int err = journal_store_open(&store, &env.env, DIR);
    expect_error(err);
    if (err == 0) {
        char head[8] = {0};
        err = journal_pread(store, 4096, head, sizeof(head));
        expect_error(err);
        if (err == 0)
            assert_memory_equal(head, "UTR1", 4);
        journal_store_close(&store);
    }
    struct snapshot s = {.needs = {UINT64_MAX}, .contents = SLICE("x")};
    expect_error(snapshot_write(&env.env, SNAPSHOT, &s));
    expect_error(journal_sweep(w));
}

/* With nothing failing any more all that was acknowledged is there, once. */
static void check_journal(void)
{
    atomic_store(&mark.durable, 0);
    struct journal_writer *w;
    assert_int_equal(open_writer(&w), 0);
    bool seen[ENTRIES] = {false};
    read_all(seen);
    for (size_t i = 0; i < ENTRIES; i++)
        assert_true(seen[i] == is_acknowledged[i]);
    journal_writer_close(&w);
}

static bool run(int at, bool sticky)
{
    fresh_journal();
    arm(at, sticky);
    struct journal_writer *w = NULL;
    int err = open_writer(&w);
    expect_error(err);
    if (err == 0) {
        append_all(w);
        use_the_rest(w);
        journal_writer_close(&w);
    }
    bool is_reached = disarm();
    check_journal();
    return is_reached;
}

static void test_every_allocation(void **state)
{
    (void)state;
    for (int sticky = 0; sticky < 2; sticky++) {
        int at = 1;
        while (run(at, sticky))
            at++;
        assert_in_range(at, 10, 500);
    }
}

/* Recovery of a damaged journal takes memory for what it finds. */
static void test_quarantine(void **state)
{
    (void)state;
    for (int at = 1;; at++) {
        fresh_journal();
        struct journal_writer *w;
        assert_int_equal(open_writer(&w), 0);
        append_all(w);
        journal_writer_close(&w);
        int fd = openat(env.root_fd, "journal/smtpd/0000000000000000.seg", O_RDWR);
        assert_int_equal(pwrite(fd, "damage", 6, 5000), 6);
        close(fd);
        atomic_store(&mark.durable, 0);
        arm(at, false);
        int err = open_writer(&w);
        bool is_reached = disarm();
        expect_error(err);
        if (err == 0)
            journal_writer_close(&w);
        is_acknowledged[0] = false;
        atomic_store(&mark.durable, 0);
        assert_int_equal(open_writer(&w), 0);
        struct journal_reader *r;
        assert_int_equal(journal_reader_open(&r, &env.env, DIR, &mark, 0), 0);
        struct journal_record record;
        assert_int_equal(journal_next(r, &record), -EBADMSG);
        assert_int_equal(journal_next(r, &record), 1);
        journal_reader_close(&r);
        journal_writer_close(&w);
        if (!is_reached)
            break;
    }
}

int main(void)
{
    /* The journal reports the damage each time. */
    if (!freopen("/dev/null", "w", stderr))
        return 1;
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_allocation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quarantine, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
