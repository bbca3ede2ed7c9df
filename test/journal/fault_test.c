/* Every call to the disk fails once, and from then on, in every way.
 *
 * What must hold (I6): an entry is told 0 only when it is durable; one that was told an error
 * is seen by nobody, as long as the disk let the writer leave the segment; what cannot be
 * asked for again is appended again, or closes the writer. After the fault everything that
 * was acknowledged is there. */
#include "support.h"

#include "base/env_model.h"
#include "base/log.h"
#include "journal/committer.h"
#include "journal/large.h"
#include "journal/snapshot.h"
#include "journal/sweep.h"

#include <errno.h>
#include <stdio.h>

enum { MOST_IDS = 64, MOST_NTH = 2000 };

static const char DIR[] = "journal/smtpd";
static const char SNAPSHOT[] = "snapshot/queue";
static const char *const READERS[] = {SNAPSHOT};

/* What became of an entry. */
enum fate { UNKNOWN, TOLD_OK, TOLD_ERROR };

static enum fate fates[MOST_IDS];
static unsigned seen_now[MOST_IDS];
static uint64_t first_position; /* that a reader starts from: by the snapshot */
static bool was_closed;         /* an unrepeatable entry has failed */
static const char *where;
static const struct env_model_fault *fault;

/* On standard output: the journal's own lines fill the other. */
#define CHECK(claim) check((claim), #claim, __LINE__)

static void check(bool holds, const char *claim, int line)
{
    if (holds)
        return;
    printf("%s: calls %u, nth %u, %s, error %d, how %u: line %d: %s\n", where, fault->calls,
           fault->nth, fault->is_sticky ? "sticky" : "once", fault->error, fault->how, line,
           claim);
    fail();
}

static struct journal_config config_of(struct env_model *disk, struct watermark *mark)
{
    return (struct journal_config){
        .env = env_model_env(disk),
        .dir = DIR,
        .watermark = mark,
        .segment_bytes = 8 * 1024,
        .readers = READERS,
        .reader_count = 1,
    };
}

static void told(struct journal_entry *e)
{
    struct sample *s = CONTAINER_OF(e, struct sample, entry);
    CHECK(fates[s->id] == UNKNOWN);
    CHECK(e->result <= 0);
    fates[s->id] = e->result == 0 ? TOLD_OK : TOLD_ERROR;
    if (was_closed)
        CHECK(e->result == -EROFS);
    s->is_done = true;
}

static void commit(struct committer *c, uint64_t id, size_t count, bool unrepeatable)
{
    struct sample s[4];
    for (size_t i = 0; i < count; i++) {
        sample_init(&s[i], RECORD_MESSAGE, id + i, 700 * (id + i));
        s[i].entry.done = told;
        s[i].entry.unrepeatable = unrepeatable && i % 2 == 0;
        if (i)
            s[i - 1].entry.next = &s[i].entry;
    }
    committer_commit(c, &s[0].entry);
    for (size_t i = 0; i < count; i++) {
        CHECK(s[i].is_done);
        was_closed |= s[i].entry.unrepeatable && s[i].entry.result < 0;
        sample_fini(&s[i]);
    }
}

static void see(const struct journal_record *r)
{
    uint64_t id = record_get_u64(r->fields, TAG_ID);
    CHECK(id > 0 && id < MOST_IDS);
    CHECK(sample_is(r));
    seen_now[id]++;
}

/* Reads all that is published; the disk may fail on the way. */
static int read_all(struct env_model *disk, const struct watermark *mark, uint64_t from)
{
    memset(seen_now, 0, sizeof(seen_now));
    struct journal_reader *r;
    int err = journal_reader_open(&r, env_model_env(disk), DIR, mark, from);
    if (err < 0)
        return err;
    struct journal_record record;
    while ((err = journal_next(r, &record)) == 1)
        see(&record);
    journal_reader_close(&r);
    return err;
}

/* No reader sees what was told an error, every one what was told 0 (and not swept). */
static void check_seen(bool errors_may_show)
{
    for (size_t id = 1; id < MOST_IDS; id++) {
        CHECK(seen_now[id] <= 1);
        if (fates[id] == TOLD_OK && first_position == 0)
            CHECK(seen_now[id] == 1);
        if (fates[id] != TOLD_OK && !errors_may_show)
            CHECK(seen_now[id] == 0);
    }
}

static void snapshot_and_sweep(struct env_model *disk, struct committer *c)
{
    struct snapshot s = {.position = {c->end}, .needs = {UINT64_MAX}};
    if (snapshot_write(env_model_env(disk), SNAPSHOT, &s) == 0)
        first_position = c->end;
    /* The rename may have been made although what followed it failed. */
    else if (snapshot_read_head(env_model_env(disk), SNAPSHOT, &s) == 0)
        first_position = s.position[0];
    uint64_t freed = 0;
    int holder;
    CHECK(sweep_segments(&c->config, c->base, &freed, &holder) <= 100);
}

/* A body in a file, then its record. */
static void accept_large(struct env_model *disk, struct committer *c, uint64_t id)
{
    char bytes[3000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = sample_byte(id, i);
    struct large l;
    if (large_prepare(env_model_env(disk)) < 0 || large_begin(&l, env_model_env(disk), id) < 0)
        return;
    if (large_append(&l, slice_make(bytes, 1500)) < 0 ||
        large_append(&l, slice_make(bytes + 1500, 1500)) < 0) {
        large_abort(&l);
        return;
    }
    if (large_finish(&l) < 0)
        return;
    struct sample s;
    sample_init(&s, RECORD_MESSAGE, id, 0);
    record_put(&s.fields, TAG_FILE, slice_of(l.file));
    s.entry.fields = buf_slice(&s.fields);
    s.entry.done = told;
    committer_commit(c, &s.entry);
    sample_fini(&s);
}

static void check_large(struct env_model *disk, uint64_t id)
{
    char file[LARGE_NAME_SIZE];
    char text[ID_TEXT_LEN + 1];
    char bytes[3001];
    id_format(id, text);
    snprintf(file, sizeof(file), "large/%s", text);
    int fd = env_open(env_model_env(disk), file, ENV_READ);
    CHECK(fd >= 0);
    CHECK(env_read_full(env_model_env(disk), fd, bytes, sizeof(bytes), 0) == 3000);
    CHECK(sample_body_is(id, bytes, 3000));
    env_close(env_model_env(disk), fd);
}

enum { LARGE_ID = 30, EARLY = 4 };

/* Two runs of the writer, with restarts as the disk allows. */
static void workload(struct env_model *disk, struct watermark *mark)
{
    struct journal_config config = config_of(disk, mark);
    struct journal_recovery recovery;
    struct committer c;
    was_closed = false;
    if (committer_open(&c, &config, &recovery) < 0)
        return;
    commit(&c, 5, 1, false);
    commit(&c, 6, 3, true);
    commit(&c, 9, 2, false);
    accept_large(disk, &c, LARGE_ID);
    commit(&c, 11, 1, true);
    if (read_all(disk, mark, first_position) == 0)
        check_seen(false);
    snapshot_and_sweep(disk, &c);
    commit(&c, 12, 4, true);
    commit(&c, 16, 1, false);
    committer_close(&c);
}

static void check_disk(struct env_model *disk, bool errors_may_show)
{
    struct watermark mark = {0};
    struct journal_config config = config_of(disk, &mark);
    struct journal_recovery recovery;
    struct committer c;
    struct snapshot s;
    CHECK(committer_open(&c, &config, &recovery) == 0);
    CHECK(recovery.quarantined == 0);
    uint64_t from = 0;
    if (snapshot_read_head(env_model_env(disk), SNAPSHOT, &s) == 0)
        from = s.position[0];
    CHECK(read_all(disk, &mark, from) == 0);
    uint64_t kept = first_position;
    first_position = from;
    check_seen(errors_may_show);
    first_position = kept;
    if (seen_now[LARGE_ID])
        check_large(disk, LARGE_ID);
    committer_close(&c);
}

/* A disk on which four messages were accepted without any fault. */
static struct env_model *early_disk(void)
{
    static const struct env_model_fault none = {0};
    fault = &none;
    where = "early";
    memset(fates, 0, sizeof(fates));
    first_position = 0;
    was_closed = false;
    struct env_model *disk = env_model_new();
    struct watermark mark = {0};
    struct journal_config config = config_of(disk, &mark);
    struct journal_recovery recovery;
    struct committer c;
    CHECK(committer_open(&c, &config, &recovery) == 0);
    commit(&c, 1, EARLY, false);
    committer_close(&c);
    return disk;
}

/* Runs the workload with this fault: false when it was never reached. */
static bool run_with(struct env_model *early, const struct env_model_fault *f)
{
    memset(fates, 0, sizeof(fates));
    for (size_t id = 1; id <= EARLY; id++)
        fates[id] = TOLD_OK;
    first_position = 0;
    fault = f;
    where = "workload";
    /* Its page cache is the killed process's; the sync of its last batch was done. */
    struct env_model *disk = env_model_kill(early, env_model_moment(early), 0);
    size_t from = env_model_moment(disk);
    struct watermark mark = {0};
    env_model_fail(disk, f);
    workload(disk, &mark);
    bool is_reached = env_model_failed(disk) > 0;
    env_model_fail(disk, &(struct env_model_fault){0});

    /* With a disk that goes on failing nothing can cut off what failed. */
    bool may_show = f->is_sticky;
    where = "after a power cut";
    size_t end = env_model_moment(disk);
    size_t variants = env_model_variants(disk, end);
    for (size_t v = 0; v<variants; v += variants> 12 ? variants / 12 : 1) {
        struct env_model *cut = env_model_crash(disk, end, v);
        check_disk(cut, may_show);
        env_model_free(&cut);
    }
    where = "after a kill";
    struct env_model *killed = env_model_kill(disk, end, 0);
    check_disk(killed, may_show);
    env_model_free(&killed);
    CHECK(from <= end);
    env_model_free(&disk);
    return is_reached;
}

struct row {
    const char *name;
    unsigned calls;
    int error;
    enum env_model_how how;
};

static const struct row rows[] = {
    {"any call EIO", MODEL_ANY, EIO, MODEL_REFUSES},
    {"write EIO", MODEL_WRITE, EIO, MODEL_REFUSES},
    {"write ENOSPC", MODEL_WRITE, ENOSPC, MODEL_REFUSES},
    {"half a write, then EIO", MODEL_WRITE, EIO, MODEL_WRITES_HALF},
    {"half a write, then ENOSPC", MODEL_WRITE, ENOSPC, MODEL_WRITES_HALF},
    {"short write", MODEL_WRITE, EIO, MODEL_WRITES_SHORT},
    {"sync EIO", MODEL_SYNC, EIO, MODEL_REFUSES},
    {"sync ENOSPC", MODEL_SYNC, ENOSPC, MODEL_REFUSES},
    {"any sync EIO", MODEL_SYNC | MODEL_SYNC_DIR, EIO, MODEL_REFUSES},
    {"directory sync EIO", MODEL_SYNC_DIR, EIO, MODEL_REFUSES},
    {"create ENOSPC", MODEL_CREATE, ENOSPC, MODEL_REFUSES},
    {"create or open EMFILE", MODEL_CREATE | MODEL_OPEN, EMFILE, MODEL_REFUSES},
    {"write or sync EIO", MODEL_WRITE | MODEL_SYNC, EIO, MODEL_REFUSES},
    {"read EIO", MODEL_READ, EIO, MODEL_REFUSES},
    {"rename EIO", MODEL_RENAME, EIO, MODEL_REFUSES},
    {"create or unlink EIO", MODEL_UNLINK | MODEL_CREATE, EIO, MODEL_REFUSES},
    {"unlink or sync EIO", MODEL_UNLINK | MODEL_SYNC, EIO, MODEL_REFUSES},
    {"list ENOMEM", MODEL_LIST, ENOMEM, MODEL_REFUSES},
};

static void test_every_call(void **state)
{
    (void)state;
    struct env_model *early = early_disk();
    unsigned runs = 0;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            unsigned reached = 0;
            for (unsigned nth = 1; nth < MOST_NTH; nth++) {
                struct env_model_fault f = {
                    .calls = rows[i].calls,
                    .nth = nth,
                    .is_sticky = sticky,
                    .error = rows[i].error,
                    .how = rows[i].how,
                };
                if (!run_with(early, &f))
                    break;
                reached++;
            }
            assert_in_range(reached, 1, MOST_NTH - 2);
            runs += reached;
        }
    }
    printf("%u runs with a failing disk\n", runs);
    env_model_free(&early);
}

/* One fault only: what cannot be asked for again is never lost, and the rest is told. */
static void test_unrepeatable_survives_one_fault(void **state)
{
    (void)state;
    for (unsigned nth = 1; nth < 40; nth++) {
        struct env_model *disk = early_disk();
        struct watermark mark = {0};
        struct journal_config config = config_of(disk, &mark);
        struct journal_recovery recovery;
        struct committer c;
        CHECK(committer_open(&c, &config, &recovery) == 0);
        struct env_model_fault f = {.calls = MODEL_ANY, .nth = nth, .error = EIO};
        fault = &f;
        env_model_fail(disk, &f);
        for (uint64_t id = 5; id < 20; id++)
            commit(&c, id, 1, true);
        for (uint64_t id = 5; id < 20; id++)
            CHECK(fates[id] == TOLD_OK);
        CHECK(read_all(disk, &mark, 0) == 0);
        check_seen(false);
        committer_close(&c);
        env_model_free(&disk);
    }
}

static void test_closed_after_two_faults(void **state)
{
    (void)state;
    struct env_model *disk = early_disk();
    struct watermark mark = {0};
    struct journal_config config = config_of(disk, &mark);
    struct journal_recovery recovery;
    struct committer c;
    CHECK(committer_open(&c, &config, &recovery) == 0);
    struct env_model_fault f = {.calls = MODEL_SYNC, .nth = 1, .is_sticky = true, .error = EIO};
    fault = &f;
    env_model_fail(disk, &f);
    /* A message may be sent again: the journal stays open, in case the disk recovers. */
    commit(&c, 5, 1, false);
    CHECK(fates[5] == TOLD_ERROR && !c.is_closed);
    env_model_fail(disk, &(struct env_model_fault){0});
    commit(&c, 6, 1, false);
    CHECK(fates[6] == TOLD_OK);
    env_model_fail(disk, &f);
    commit(&c, 7, 1, true);
    CHECK(fates[7] == TOLD_ERROR && c.is_closed);
    env_model_fail(disk, &(struct env_model_fault){0});
    commit(&c, 8, 2, false);
    CHECK(fates[8] == TOLD_ERROR && fates[9] == TOLD_ERROR);
    committer_close(&c);
    /* Opened again it goes on. */
    atomic_store(&mark.durable, 0);
    was_closed = false;
    CHECK(committer_open(&c, &config, &recovery) == 0);
    commit(&c, 10, 1, true);
    CHECK(fates[10] == TOLD_OK);
    committer_close(&c);
    env_model_free(&disk);
}

/* Recovery whose sync failed must not believe the next one: the pages are clean by then. */
static void test_failed_sync_in_recovery(void **state)
{
    (void)state;
    struct env_model *disk = early_disk();
    struct watermark mark = {0};
    struct journal_config config = config_of(disk, &mark);
    struct journal_recovery recovery;
    struct committer c;
    CHECK(committer_open(&c, &config, &recovery) == 0);
    size_t before = env_model_moment(disk);
    commit(&c, 5, 2, false);
    committer_close(&c);
    /* Killed between the write and the sync. */
    struct env_model *killed = env_model_kill(disk, before + 1, 0);
    env_model_free(&disk);
    config = config_of(killed, &mark);
    atomic_store(&mark.durable, 0);
    struct env_model_fault f = {.calls = MODEL_SYNC, .nth = 1, .error = EIO};
    env_model_fail(killed, &f);
    CHECK(committer_open(&c, &config, &recovery) == -EIO);
    CHECK(atomic_load(&mark.durable) == 0);
    CHECK(committer_open(&c, &config, &recovery) == 0);
    committer_close(&c);
    CHECK(read_all(killed, &mark, 0) == 0);
    CHECK(seen_now[5] == 1 && seen_now[6] == 1);
    /* They have been seen: they must stay. */
    size_t end = env_model_moment(killed);
    for (size_t v = 0; v < env_model_variants(killed, end) + 5; v++) {
        struct env_model *cut = env_model_crash(killed, end, v);
        struct watermark own = {0};
        struct journal_config again = config_of(cut, &own);
        CHECK(committer_open(&c, &again, &recovery) == 0);
        committer_close(&c);
        CHECK(recovery.quarantined == 0);
        CHECK(read_all(cut, &own, 0) == 0);
        CHECK(seen_now[5] == 1 && seen_now[6] == 1);
        env_model_free(&cut);
    }
    env_model_free(&killed);
}

int main(void)
{
    /* The journal reports each fault; there are thousands. */
    if (!freopen("/dev/null", "w", stderr))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call),
        cmocka_unit_test(test_unrepeatable_survives_one_fault),
        cmocka_unit_test(test_closed_after_two_faults),
        cmocka_unit_test(test_failed_sync_in_recovery),
    };
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
