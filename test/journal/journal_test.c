/* Writer, reader, recovery, sweep and store on a real directory. */
#include "support.h"

#include "journal/quarantine.h"
#include "journal/segment.h"
#include "journal/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

static const char DIR[] = "journal/smtpd";
static const char SNAPSHOT[] = "snapshot/delivery/queue";
static const char *const READERS[] = {SNAPSHOT};

struct fixture {
    char root[64];
    struct env_real env;
    struct watermark mark;
    struct journal_config config;
    struct journal_recovery recovery;
    struct journal_writer *writer;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->root, "/tmp/utpost-journal-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    int fd = open(f->root, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    env_real_init(&f->env, fd);
    f->config = (struct journal_config){
        .env = &f->env.env,
        .dir = DIR,
        .node = 3,
        .watermark = &f->mark,
        .segment_bytes = 64 * 1024,
        .readers = READERS,
        .reader_count = 1,
    };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    journal_writer_close(&f->writer);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", f->root);
    assert_int_equal(system(command), 0);
    close(f->env.root_fd);
    free(f);
    return 0;
}

static void reopen(struct fixture *f)
{
    journal_writer_close(&f->writer);
    assert_int_equal(journal_writer_open(&f->writer, &f->config, &f->recovery), 0);
}

static uint64_t append(struct fixture *f, enum record_type type, uint64_t id, size_t len)
{
    struct sample s;
    sample_init(&s, type, id, len);
    assert_int_equal(journal_append_wait(f->writer, &s.entry), 0);
    uint64_t position = s.entry.position;
    sample_fini(&s);
    return position;
}

static struct journal_reader *open_reader(struct fixture *f, uint64_t position)
{
    struct journal_reader *r;
    assert_int_equal(journal_reader_open(&r, &f->env.env, DIR, &f->mark, position), 0);
    return r;
}

static void expect_record(struct fixture *f, struct journal_reader *r, uint64_t id)
{
    struct journal_record record;
    assert_int_equal(journal_next(r, &record), 1);
    assert_int_equal(record_get_u64(record.fields, TAG_ID), id);
    assert_true(sample_is(&record));
    assert_int_equal(record.header.node, 3);
    struct journal_store *store;
    assert_int_equal(journal_store_open(&store, &f->env.env, DIR), 0);
    char *body = malloc(record.header.body_len + 1);
    assert_int_equal(journal_pread(store, record.body_position, body, record.header.body_len),
                     0);
    assert_true(sample_body_is(id, body, record.header.body_len));
    free(body);
    journal_store_close(&store);
}

static void expect_end(struct journal_reader *r)
{
    struct journal_record record;
    assert_int_equal(journal_next(r, &record), 0);
}

static void write_snapshot(struct fixture *f, uint64_t position, uint64_t needs)
{
    struct snapshot s = {
        .version = 5,
        .at = 77,
        .position = {position, 2, 3},
        .needs = {needs, 5, 6},
        .contents = SLICE("contents"),
    };
    assert_int_equal(snapshot_write(&f->env.env, SNAPSHOT, &s), 0);
}

/* Flips bytes of the file that holds the position. */
static void damage(struct fixture *f, uint64_t position, size_t len)
{
    struct segment_list list = {0};
    assert_int_equal(segment_list_read(&list, &f->env.env, DIR), 0);
    ptrdiff_t i = segment_list_find(&list, position);
    assert_true(i >= 0);
    char path[SEGMENT_PATH_SIZE];
    assert_int_equal(segment_path(DIR, list.bases[i], path), 0);
    int fd = openat(f->env.root_fd, path, O_RDWR);
    off_t at = (off_t)(position - list.bases[i]);
    for (size_t k = 0; k < len; k++) {
        char c;
        assert_int_equal(pread(fd, &c, 1, at + (off_t)k), 1);
        c ^= 0x55;
        assert_int_equal(pwrite(fd, &c, 1, at + (off_t)k), 1);
    }
    close(fd);
    segment_list_fini(&list);
}

static size_t count_segments(struct fixture *f)
{
    struct segment_list list = {0};
    assert_int_equal(segment_list_read(&list, &f->env.env, DIR), 0);
    size_t count = list.count;
    segment_list_fini(&list);
    return count;
}

/* ---- tests ---- */

static void test_append_and_read(void **state)
{
    struct fixture *f = *state;
    struct journal_reader *early = open_reader(f, 0);
    expect_end(early);
    reopen(f);
    assert_int_equal(f->recovery.position, SEGMENT_HEADER_LEN);
    assert_int_equal(f->recovery.highest_id, 0);
    static const size_t sizes[] = {0, 1, 10240, 300 * 1024, 5, 70 * 1024, 0};
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        append(f, RECORD_MESSAGE, i + 1, sizes[i]);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        expect_record(f, early, i + 1);
    expect_end(early);
    assert_int_equal(journal_reader_position(early), atomic_load(&f->mark.durable));

    struct journal_reader *late = open_reader(f, 0);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        expect_record(f, late, i + 1);
    expect_end(late);
    append(f, RECORD_OUTCOME, 99, 0);
    expect_record(f, late, 99);
    expect_record(f, early, 99);
    journal_reader_close(&early);
    journal_reader_close(&late);
}

static void test_resume_from_any_record(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    enum { COUNT = 40 };
    for (uint64_t i = 1; i <= COUNT; i++)
        append(f, RECORD_MESSAGE, i, i * 397 % 9000);
    uint64_t next[COUNT + 1] = {0};
    struct journal_reader *r = open_reader(f, 0);
    struct journal_record record;
    for (uint64_t i = 1; i <= COUNT; i++) {
        assert_int_equal(journal_next(r, &record), 1);
        next[i] = record.next;
    }
    journal_reader_close(&r);
    assert_true(count_segments(f) > 2);
    for (uint64_t i = 0; i < COUNT; i++) {
        r = open_reader(f, next[i]);
        expect_record(f, r, i + 1);
        journal_reader_close(&r);
    }
}

static void test_restart_keeps_everything(void **state)
{
    struct fixture *f = *state;
    uint64_t id = 0;
    for (int run = 0; run < 5; run++) {
        reopen(f);
        assert_int_equal(f->recovery.highest_id, id);
        assert_true(id == 0 || f->recovery.last_stamp >= 1000000 + (stamp)id);
        assert_int_equal(f->recovery.cut, 0);
        assert_int_equal(f->recovery.quarantined, 0);
        for (int i = 0; i < 7; i++)
            append(f, i % 2 ? RECORD_MESSAGE : RECORD_OUTCOME, ++id, 5000);
    }
    reopen(f);
    reopen(f);
    struct journal_reader *r = open_reader(f, 0);
    for (uint64_t i = 1; i <= id; i++)
        expect_record(f, r, i);
    expect_end(r);
    journal_reader_close(&r);
}

/* Of the two records the body of the last is damaged; without proof that its batch was synced
 * it is a torn one. */
static void tear_tail(struct fixture *f)
{
    reopen(f);
    append(f, RECORD_MESSAGE, 1, 1000);
    uint64_t last = append(f, RECORD_MESSAGE, 2, 1000);
    journal_writer_close(&f->writer);
    atomic_store(&f->mark.durable, 0);
    damage(f, last + 200, 1);
}

static void test_tail_is_cut(void **state)
{
    struct fixture *f = *state;
    tear_tail(f);
    reopen(f);
    assert_int_equal(f->recovery.quarantined, 0);
    assert_true(f->recovery.cut > 1000);
    struct journal_reader *r = open_reader(f, 0);
    expect_record(f, r, 1);
    expect_end(r);
    append(f, RECORD_MESSAGE, 3, 10);
    expect_record(f, r, 3);
    expect_end(r);
    journal_reader_close(&r);
}

/* The header of the last batch and the head of its record are whole, the body is not: who does
 * not look at bodies must not take it for a record either, once the journal is longer again. */
static void test_tail_is_cut_for_who_skips_bodies(void **state)
{
    struct fixture *f = *state;
    tear_tail(f);
    struct journal_reader *r = open_reader(f, 0);
    journal_reader_skip_bodies(r);
    reopen(f);
    append(f, RECORD_MESSAGE, 3, 9000);
    expect_record(f, r, 1);
    expect_record(f, r, 3);
    expect_end(r);
    journal_reader_close(&r);
}

static void expect_damage(struct journal_reader *r)
{
    struct journal_record record;
    assert_int_equal(journal_next(r, &record), -EBADMSG);
}

/* Which of the records 1..3 is damaged, and whether another segment follows. */
static void check_quarantine(struct fixture *f, uint64_t victim, bool restarts_first,
                             size_t offset)
{
    reopen(f);
    uint64_t at[5] = {0};
    for (uint64_t i = 1; i <= 4; i++)
        at[i] = append(f, RECORD_MESSAGE, i, 1000);
    if (restarts_first)
        reopen(f);
    journal_writer_close(&f->writer);
    atomic_store(&f->mark.durable, 0);
    damage(f, at[victim] + offset, 3);
    for (int again = 0; again < 2; again++) {
        reopen(f);
        assert_int_equal(f->recovery.quarantined, 1);
        struct journal_reader *r = open_reader(f, 0);
        for (uint64_t i = 1; i <= 4; i++) {
            if (i == victim)
                expect_damage(r);
            else
                expect_record(f, r, i);
        }
        expect_end(r);
        journal_reader_close(&r);
    }
}

static void test_damage_in_head(void **state)
{
    check_quarantine(*state, 2, false, 10);
}

static void test_damage_in_body(void **state)
{
    check_quarantine(*state, 3, false, 500);
}

static void test_damage_of_last_before_restart(void **state)
{
    check_quarantine(*state, 4, true, 500);
}

static void test_damage_proven_by_watermark(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    append(f, RECORD_MESSAGE, 1, 1000);
    uint64_t last = append(f, RECORD_MESSAGE, 2, 1000);
    journal_writer_close(&f->writer);
    uint64_t mark = atomic_load(&f->mark.durable);
    damage(f, last, 8);
    reopen(f);
    assert_int_equal(f->recovery.quarantined, 1);
    assert_int_equal(f->recovery.position, mark + SEGMENT_HEADER_LEN);
    append(f, RECORD_MESSAGE, 3, 10);
    struct journal_reader *r = open_reader(f, 0);
    expect_record(f, r, 1);
    expect_damage(r);
    expect_record(f, r, 3);
    expect_end(r);
    journal_reader_close(&r);
    /* A reader that was past it already does not notice. */
    r = open_reader(f, mark);
    expect_record(f, r, 3);
    journal_reader_close(&r);
}

static void test_damage_proven_by_snapshot(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    uint64_t last = append(f, RECORD_MESSAGE, 1, 1000);
    write_snapshot(f, atomic_load(&f->mark.durable), UINT64_MAX);
    journal_writer_close(&f->writer);
    atomic_store(&f->mark.durable, 0);
    damage(f, last + 90, 8);
    reopen(f);
    assert_int_equal(f->recovery.quarantined, 1);
}

static void test_lost_segment(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    append(f, RECORD_MESSAGE, 1, 100);
    reopen(f);
    uint64_t lost = append(f, RECORD_MESSAGE, 2, 100);
    reopen(f);
    append(f, RECORD_MESSAGE, 3, 100);
    journal_writer_close(&f->writer);
    atomic_store(&f->mark.durable, 0);
    struct segment_list list = {0};
    assert_int_equal(segment_list_read(&list, &f->env.env, DIR), 0);
    char path[SEGMENT_PATH_SIZE];
    ptrdiff_t i = segment_list_find(&list, lost);
    assert_int_equal(segment_path(DIR, list.bases[i], path), 0);
    assert_int_equal(unlinkat(f->env.root_fd, path, 0), 0);
    segment_list_fini(&list);
    reopen(f);
    assert_int_equal(f->recovery.quarantined, 1);
    struct journal_reader *r = open_reader(f, 0);
    expect_record(f, r, 1);
    expect_damage(r);
    expect_record(f, r, 3);
    expect_end(r);
    journal_reader_close(&r);
}

static void test_segment_header_copies(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    append(f, RECORD_MESSAGE, 1, 100);
    reopen(f);
    append(f, RECORD_MESSAGE, 2, 100);
    journal_writer_close(&f->writer);
    damage(f, 16, 4);
    reopen(f);
    assert_int_equal(f->recovery.quarantined, 0);
    damage(f, 2048 + 16, 4);
    reopen(f);
    assert_int_equal(f->recovery.quarantined, 1);
    struct journal_reader *r = open_reader(f, 0);
    expect_damage(r);
    expect_record(f, r, 2);
    expect_end(r);
    journal_reader_close(&r);
}

static void test_damage_nobody_knows(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    append(f, RECORD_MESSAGE, 1, 100);
    uint64_t at = append(f, RECORD_MESSAGE, 2, 100);
    append(f, RECORD_MESSAGE, 3, 100);
    damage(f, at + 90, 1);
    struct journal_reader *r = open_reader(f, 0);
    expect_record(f, r, 1);
    struct journal_record record;
    assert_int_equal(journal_next(r, &record), -EUCLEAN);
    assert_int_equal(journal_next(r, &record), -EUCLEAN);
    /* The writer's next start quarantines it, and the same reader goes on. */
    reopen(f);
    expect_damage(r);
    expect_record(f, r, 3);
    journal_reader_close(&r);
}

/* A segment that was to begin there when everything stopped: *path, without a header. */
static void begin_segment(struct fixture *f, uint64_t base, char path[SEGMENT_PATH_SIZE])
{
    assert_int_equal(segment_path(DIR, base, path), 0);
    int fd = openat(f->env.root_fd, path, O_CREAT | O_RDWR, 0640);
    assert_int_equal(ftruncate(fd, 4096), 0);
    close(fd);
}

static void test_unused_segment_is_dropped(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    append(f, RECORD_MESSAGE, 1, 100);
    uint64_t end = atomic_load(&f->mark.durable);
    journal_writer_close(&f->writer);
    char path[SEGMENT_PATH_SIZE];
    begin_segment(f, end, path);
    reopen(f);
    assert_int_equal(f->recovery.quarantined, 0);
    assert_int_equal(f->recovery.position, end + SEGMENT_HEADER_LEN);
    append(f, RECORD_MESSAGE, 2, 100);
    struct journal_reader *r = open_reader(f, 0);
    expect_record(f, r, 1);
    expect_record(f, r, 2);
    journal_reader_close(&r);
}

static uint64_t end_without_writer(struct fixture *f)
{
    uint64_t end = 0;
    assert_int_equal(journal_find_end(&f->env.env, DIR, &end), 0);
    return end;
}

static void test_end_without_writer(void **state)
{
    struct fixture *f = *state;
    uint64_t end;
    assert_int_equal(journal_find_end(&f->env.env, DIR, &end), -ENOENT);
    reopen(f);
    for (uint64_t i = 1; i <= 30; i++)
        append(f, RECORD_MESSAGE, i, 20000);
    assert_true(count_segments(f) > 2);
    uint64_t last = append(f, RECORD_MESSAGE, 31, 1000);
    end = atomic_load(&f->mark.durable);
    assert_int_equal(end_without_writer(f), end);
    journal_writer_close(&f->writer);
    assert_int_equal(end_without_writer(f), end);
    char path[SEGMENT_PATH_SIZE];
    begin_segment(f, end, path);
    assert_int_equal(end_without_writer(f), end);
    assert_int_equal(unlinkat(f->env.root_fd, path, 0), 0);
    damage(f, last + 200, 1); /* a record that is torn */
    end = end_without_writer(f);
    assert_true(end <= last && end > last - 200);
}

static void test_sweep(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    uint64_t at[31];
    for (uint64_t i = 1; i <= 30; i++)
        at[i] = append(f, RECORD_MESSAGE, i, 20000);
    size_t before = count_segments(f);
    assert_true(before >= 7);
    assert_int_equal(journal_sweep(f->writer), 0);
    write_snapshot(f, at[20], at[10]);
    struct journal_numbers n;
    journal_writer_numbers(f->writer, &n);
    uint64_t disk = n.disk_bytes;
    int swept = journal_sweep(f->writer);
    assert_true(swept > 0);
    assert_int_equal(count_segments(f), before - (size_t)swept);
    journal_writer_numbers(f->writer, &n);
    assert_true(n.disk_bytes < disk);
    struct journal_reader *r = open_reader(f, 0);
    struct journal_record record;
    assert_int_equal(journal_next(r, &record), 1);
    assert_true(record.position <= at[10]);
    journal_reader_close(&r);
    assert_int_equal(journal_reader_open(&r, &f->env.env, DIR, &f->mark, at[1]), -ENOENT);

    write_snapshot(f, atomic_load(&f->mark.durable), UINT64_MAX);
    assert_true(journal_sweep(f->writer) > 0);
    assert_int_equal(count_segments(f), 1);
    reopen(f);
    assert_int_equal(f->recovery.highest_id, 30);
    assert_int_equal(f->recovery.quarantined, 0);
    assert_int_equal(journal_sweep(f->writer), 1);
    reopen(f);
    assert_int_equal(f->recovery.highest_id, 30);
}

static void test_max_bytes(void **state)
{
    struct fixture *f = *state;
    f->config.max_bytes = 100 * 1024;
    reopen(f);
    int ok = 0;
    struct sample s;
    for (uint64_t i = 1; i <= 20; i++) {
        sample_init(&s, RECORD_MESSAGE, i, 10240);
        int err = journal_append_wait(f->writer, &s.entry);
        assert_true(err == 0 || err == -ENOSPC);
        ok += err == 0;
        sample_fini(&s);
    }
    assert_int_equal(ok, 9);
    /* What cannot be asked for again is still taken. */
    sample_init(&s, RECORD_OUTCOME, 50, 10240);
    s.entry.unrepeatable = true;
    assert_int_equal(journal_append_wait(f->writer, &s.entry), 0);
    sample_fini(&s);
}

static void test_bounds(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    struct sample s;
    sample_init(&s, RECORD_MESSAGE, 1, 10);
    char *many = calloc(1, RECORD_FIELDS_MAX + 1);
    s.entry.fields = slice_make(many, RECORD_FIELDS_MAX + 1);
    assert_int_equal(journal_append_wait(f->writer, &s.entry), -EMSGSIZE);
    s.entry.fields = buf_slice(&s.fields);
    struct iovec huge[] = {{many, RECORD_FIELDS_MAX}, {many, RECORD_BODY_MAX}};
    s.entry.body = huge;
    assert_int_equal(journal_append_wait(f->writer, &s.entry), -EMSGSIZE);
    free(many);

    /* More pieces than one call takes, and fields too long to be copied. */
    enum { PIECES = 5000 };
    char x = 'x';
    struct iovec *pieces = calloc(PIECES, sizeof(*pieces));
    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = (struct iovec){&x, i % 3 ? 1 : 0};
    char *name = malloc(5000);
    memset(name, 'n', 5000);
    record_put(&s.fields, TAG_HELO, slice_make(name, 5000));
    s.entry.fields = buf_slice(&s.fields);
    s.entry.body = pieces;
    s.entry.body_count = PIECES;
    assert_int_equal(journal_append_wait(f->writer, &s.entry), 0);
    struct journal_reader *r = open_reader(f, 0);
    struct journal_record record;
    assert_int_equal(journal_next(r, &record), 1);
    assert_int_equal(record.header.body_len, PIECES - (PIECES + 2) / 3);
    assert_int_equal(record_get(record.fields, TAG_HELO).len, 5000);
    journal_reader_close(&r);
    free(pieces);
    free(name);
    sample_fini(&s);
}

static atomic_int told;

static void count_done(struct journal_entry *e)
{
    assert_int_equal(e->result, 0);
    atomic_fetch_add(&told, 1);
}

/* Behind all of a batch, and once. */
struct batches {
    unsigned count;
    int told; /* when the last one ended */
};

static void on_batch_done(void *ctx)
{
    struct batches *b = ctx;
    int now = atomic_load(&told);
    assert_true(now > b->told);
    b->told = now;
    b->count++;
}

static void test_group_commit(void **state)
{
    struct fixture *f = *state;
    int wake = eventfd(0, EFD_NONBLOCK);
    f->config.wake = &wake;
    f->config.wake_count = 1;
    f->config.linger = 2 * SPAN_MS;
    f->config.segment_bytes = 0;
    struct batches batches = {0};
    f->config.batch_done = on_batch_done;
    f->config.ctx = &batches;
    reopen(f);
    enum { COUNT = 2000 };
    struct sample *s = calloc(COUNT, sizeof(*s));
    atomic_store(&told, 0);
    for (size_t i = 0; i < COUNT; i++) {
        sample_init(&s[i], RECORD_MESSAGE, i + 1, 1000);
        s[i].entry.done = count_done;
    }
    journal_expect(f->writer, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        journal_append(f->writer, &s[i].entry);
        journal_expect(f->writer, -1);
    }
    journal_writer_close(&f->writer);
    assert_int_equal(atomic_load(&told), COUNT);
    uint64_t wakes = 0;
    assert_int_equal(read(wake, &wakes, sizeof(wakes)), sizeof(wakes));
    assert_in_range(wakes, 2, COUNT / 4);
    assert_int_equal(batches.told, COUNT);
    assert_int_equal(batches.count, wakes - 1); /* one of them of the opening */
    close(wake);
    struct journal_reader *r = open_reader(f, 0);
    for (size_t i = 0; i < COUNT; i++) {
        struct journal_record record;
        assert_int_equal(journal_next(r, &record), 1);
        assert_int_equal(record.position, s[i].entry.position);
        sample_fini(&s[i]);
    }
    expect_end(r);
    journal_reader_close(&r);
    free(s);
}

static void test_snapshot(void **state)
{
    struct fixture *f = *state;
    struct env *env = &f->env.env;
    struct snapshot s;
    struct arena a = ARENA_INIT;
    assert_int_equal(snapshot_read_head(env, SNAPSHOT, &s), -ENOENT);
    assert_int_equal(snapshot_read(env, SNAPSHOT, &a, &s), -ENOENT);
    write_snapshot(f, 11, 4);
    assert_int_equal(snapshot_read_head(env, SNAPSHOT, &s), 0);
    assert_int_equal(s.position[0], 11);
    assert_int_equal(s.needs[0], 4);
    assert_int_equal(s.contents.len, 0);
    assert_int_equal(snapshot_read(env, SNAPSHOT, &a, &s), 0);
    assert_int_equal(s.version, 5);
    assert_int_equal(s.at, 77);
    assert_int_equal(s.position[2], 3);
    assert_int_equal(s.needs[2], 6);
    assert_true(slice_eq(s.contents, SLICE("contents")));
    int fd = openat(f->env.root_fd, SNAPSHOT, O_RDWR);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t at = 0; at < st.st_size; at++) {
        char c;
        assert_int_equal(pread(fd, &c, 1, at), 1);
        char bad = c ^ 4;
        assert_int_equal(pwrite(fd, &bad, 1, at), 1);
        s.at = -1;
        assert_int_equal(snapshot_read(env, SNAPSHOT, &a, &s), -EBADMSG);
        assert_int_equal(s.at, -1);
        assert_int_equal(pwrite(fd, &c, 1, at), 1);
    }
    assert_int_equal(ftruncate(fd, st.st_size - 1), 0);
    assert_int_equal(snapshot_read(env, SNAPSHOT, &a, &s), -EBADMSG);
    assert_int_equal(ftruncate(fd, 20), 0);
    assert_int_equal(snapshot_read_head(env, SNAPSHOT, &s), -EBADMSG);
    close(fd);
    arena_fini(&a);
}

static void test_quarantine_file(void **state)
{
    struct fixture *f = *state;
    struct env *env = &f->env.env;
    reopen(f);
    struct quarantine q = {0};
    assert_int_equal(quarantine_read(&q, env, DIR), 0);
    assert_int_equal(q.count, 0);
    static const uint64_t adds[][2] = {
        {100, 200}, {400, 500}, {200, 300}, {50, 60}, {450, 700}};
    for (size_t i = 0; i < COUNT_OF(adds); i++)
        assert_int_equal(quarantine_add(&q, adds[i][0], adds[i][1]), 0);
    assert_int_equal(quarantine_write(&q, env, DIR), 0);
    struct quarantine back = {0};
    assert_int_equal(quarantine_read(&back, env, DIR), 0);
    static const uint64_t expected[][2] = {{50, 60}, {100, 300}, {400, 700}};
    assert_int_equal(back.count, COUNT_OF(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_int_equal(back.ranges[i].from, expected[i][0]);
        assert_int_equal(back.ranges[i].to, expected[i][1]);
    }
    assert_null(quarantine_find(&back, 99));
    assert_non_null(quarantine_find(&back, 100));
    assert_null(quarantine_find(&back, 300));
    quarantine_fini(&q);
    int fd = openat(f->env.root_fd, "journal/smtpd/quarantine", O_RDWR);
    assert_int_equal(pwrite(fd, "7", 1, 30), 1);
    close(fd);
    assert_int_equal(quarantine_read(&back, env, DIR), -EBADMSG);
    assert_int_equal(back.count, COUNT_OF(expected));
    quarantine_fini(&back);
}

#define JOURNAL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_append_and_read),
        JOURNAL_TEST(test_resume_from_any_record),
        JOURNAL_TEST(test_restart_keeps_everything),
        JOURNAL_TEST(test_tail_is_cut),
        JOURNAL_TEST(test_tail_is_cut_for_who_skips_bodies),
        JOURNAL_TEST(test_damage_in_head),
        JOURNAL_TEST(test_damage_in_body),
        JOURNAL_TEST(test_damage_of_last_before_restart),
        JOURNAL_TEST(test_damage_proven_by_watermark),
        JOURNAL_TEST(test_damage_proven_by_snapshot),
        JOURNAL_TEST(test_lost_segment),
        JOURNAL_TEST(test_segment_header_copies),
        JOURNAL_TEST(test_damage_nobody_knows),
        JOURNAL_TEST(test_unused_segment_is_dropped),
        JOURNAL_TEST(test_end_without_writer),
        JOURNAL_TEST(test_sweep),
        JOURNAL_TEST(test_max_bytes),
        JOURNAL_TEST(test_bounds),
        JOURNAL_TEST(test_group_commit),
        JOURNAL_TEST(test_snapshot),
        JOURNAL_TEST(test_quarantine_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
