/* Power cuts and kills at every moment of a day in the life of two journals, on the model disk.
 *
 * smtpd's journal takes messages (small, larger than a segment, with their body in a file),
 * delivery's takes one outcome per message; delivery's snapshot says how far it has read and
 * what it still needs; both journals are swept. After each crash everything is opened again,
 * the state is rebuilt from {snapshot, position}, and compared with what had been promised:
 *
 *   I1  what was acknowledged is there, once, as it was
 *   I5  what was not is there whole or not at all
 *   I2  every outcome has its message; every message without one can still be read
 *
 * Recovery itself is cut and killed as well, and what it has once shown must stay. */
#include "support.h"

#include "base/env_model.h"
#include "base/log.h"
#include "base/map.h"
#include "journal/committer.h"
#include "journal/large.h"
#include "journal/snapshot.h"
#include "journal/sweep.h"

#include <errno.h>
#include <stdio.h>

/* Sanitizers slow this down; there a part of it does. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#define IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define IS_SANITIZED 0
#endif

enum {
    MOST_IDS = 256,
    NOT_YET = 1000000,
    FIRST_EXTRA_ID = 200, /* appended by checks */
    RANDOM_VARIANTS = 24,
    WANTED_STATES = IS_SANITIZED ? 4000 : 20000,
    STRIDE_IN_CUT = IS_SANITIZED ? 17 : 3, /* one in so many of the cuts in a recovery */
    STRIDE_IN_KILL = IS_SANITIZED ? 29 : 5,
};

static const char SMTPD[] = "journal/smtpd";
static const char DELIVERY[] = "journal/delivery";
static const char SNAPSHOT[] = "snapshot/delivery/queue";
static const char *const READERS[] = {SNAPSHOT};

/* What a reader makes of the records: its part of a snapshot. */
struct fold {
    struct item {
        uint8_t accepted; /* times */
        uint8_t done;
        uint8_t is_large;
        uint64_t position;
        uint64_t body_position;
        uint64_t len;
    } items[MOST_IDS];
    uint64_t position[2];
};

struct world {
    struct env_model *disk;
    struct env *env;
    struct watermark marks[2];
    struct committer committers[2];
    struct fold fold;
    uint64_t highest_id;
    bool is_open;
};

/* What was promised: the moments of the acknowledgements, by id. */
struct promise {
    size_t accepted[MOST_IDS];
    size_t done[MOST_IDS];
};

static struct promise promised; /* by the main workload */
static const char *where;       /* for messages of failed checks */
static size_t at_moment;
static size_t at_variant;

#define CHECK(claim)                                                                           \
    do {                                                                                       \
        if (!(claim))                                                                          \
            fail_msg("%s, moment %zu, variant %zu: %s", where, at_moment, at_variant, #claim); \
    } while (0)

/* ---- a world on a disk ---- */

static struct journal_config config_of(struct world *w, int which)
{
    return (struct journal_config){
        .env = w->env,
        .dir = which == ID_SMTPD ? SMTPD : DELIVERY,
        .node = 1,
        .self = (enum id_writer)which,
        .watermark = &w->marks[which],
        .segment_bytes = 16 * 1024,
        .readers = READERS,
        .reader_count = 1,
    };
}

static void read_body(struct world *w, uint64_t id, const struct item *item)
{
    char *body = malloc(item->len + 1);
    if (item->is_large) {
        struct large l;
        char text[ID_TEXT_LEN + 1];
        id_format(id, text);
        snprintf(l.file, sizeof(l.file), "large/%s", text);
        int fd = env_open(w->env, l.file, ENV_READ);
        CHECK(fd >= 0);
        CHECK(env_read_full(w->env, fd, body, item->len + 1, 0) == (ssize_t)item->len);
        env_close(w->env, fd);
    } else {
        struct journal_store *store;
        CHECK(journal_store_open(&store, w->env, SMTPD) == 0);
        CHECK(journal_pread(store, item->body_position, body, item->len) == 0);
        journal_store_close(&store);
    }
    CHECK(sample_body_is(id, body, item->len));
    free(body);
}

static void fold_record(struct fold *f, const struct journal_record *r)
{
    uint64_t id = record_get_u64(r->fields, TAG_ID);
    CHECK(id > 0 && id < MOST_IDS);
    struct item *item = &f->items[id];
    if (r->header.type == RECORD_OUTCOME) {
        item->done++;
        return;
    }
    CHECK(r->header.type == RECORD_MESSAGE);
    item->accepted++;
    item->is_large = record_get(r->fields, TAG_FILE).len > 0;
    item->len = item->is_large ? record_get_u64(r->fields, TAG_FILE_LEN) : r->header.body_len;
    CHECK(item->is_large || sample_is(r));
    item->position = r->position;
    item->body_position = r->body_position;
}

static void read_on(struct world *w, int which)
{
    struct journal_reader *r;
    const char *dir = which == ID_SMTPD ? SMTPD : DELIVERY;
    int err = journal_reader_open(&r, w->env, dir, &w->marks[which], w->fold.position[which]);
    CHECK(err == 0);
    journal_reader_skip_bodies(r); /* as delivery does; bodies are read by read_body */
    struct journal_record record;
    while ((err = journal_next(r, &record)) == 1)
        fold_record(&w->fold, &record);
    CHECK(err == 0);
    w->fold.position[which] = journal_reader_position(r);
    journal_reader_close(&r);
}

static void load(struct world *w)
{
    struct arena a = ARENA_INIT;
    struct snapshot s;
    w->fold = (struct fold){0};
    int err = snapshot_read(w->env, SNAPSHOT, &a, &s);
    CHECK(err == 0 || err == -ENOENT);
    if (err == 0) {
        CHECK(s.contents.len == sizeof(w->fold));
        memcpy(&w->fold, s.contents.ptr, sizeof(w->fold));
    }
    arena_fini(&a);
    read_on(w, ID_SMTPD);
    read_on(w, ID_DELIVERY);
}

static void world_open(struct world *w, struct env_model *disk)
{
    *w = (struct world){.disk = disk, .env = env_model_env(disk), .is_open = true};
    for (int which = 0; which < 2; which++) {
        struct journal_config config = config_of(w, which);
        struct journal_recovery recovery;
        CHECK(committer_open(&w->committers[which], &config, &recovery) == 0);
        CHECK(recovery.quarantined == 0);
        if (recovery.highest_id > w->highest_id)
            w->highest_id = recovery.highest_id;
    }
    CHECK(large_prepare(w->env) == 0);
    CHECK(large_sweep(w->env) >= 0);
}

static void world_close(struct world *w)
{
    for (int which = 0; which < 2; which++)
        committer_close(&w->committers[which]);
}

/* ---- the workload ---- */

static struct world *current; /* for the acknowledgements */

static void acknowledged(struct journal_entry *e)
{
    struct sample *s = CONTAINER_OF(e, struct sample, entry);
    assert_int_equal(e->result, 0);
    size_t *at = e->header.type == RECORD_OUTCOME ? promised.done : promised.accepted;
    if (at[s->id] == NOT_YET)
        at[s->id] = env_model_moment(current->disk);
}

/* Commits messages with these lengths as one batch; ids follow each other. */
static void accept_batch(struct world *w, uint64_t *id, const size_t *lens, size_t count)
{
    struct sample s[8];
    for (size_t i = 0; i < count; i++) {
        sample_init(&s[i], RECORD_MESSAGE, ++*id, lens[i]);
        s[i].entry.done = acknowledged;
        if (i)
            s[i - 1].entry.next = &s[i].entry;
    }
    current = w;
    committer_commit(&w->committers[ID_SMTPD], &s[0].entry);
    for (size_t i = 0; i < count; i++)
        sample_fini(&s[i]);
}

static void accept_large(struct world *w, uint64_t id, bool give_up)
{
    struct sample s;
    struct large l;
    sample_init(&s, RECORD_MESSAGE, id, 9000);
    assert_int_equal(large_begin(&l, w->env, id), 0);
    for (size_t at = 0; at < 9000; at += 3000)
        assert_int_equal(large_append(&l, slice_make(s.bytes + at, 3000)), 0);
    if (give_up) {
        large_abort(&l);
        sample_fini(&s);
        return;
    }
    assert_int_equal(large_finish(&l), 0);
    record_put(&s.fields, TAG_FILE, slice_of(l.file));
    record_put_u64(&s.fields, TAG_FILE_LEN, 9000);
    s.entry.fields = buf_slice(&s.fields);
    s.entry.body_count = 0;
    s.entry.done = acknowledged;
    current = w;
    committer_commit(&w->committers[ID_SMTPD], &s.entry);
    sample_fini(&s);
}

/* Reads what is new and settles every message but each `keep`-th. */
static void deliver(struct world *w, uint64_t keep)
{
    read_on(w, ID_SMTPD);
    current = w;
    for (uint64_t id = 1; id < MOST_IDS; id++) {
        struct item *item = &w->fold.items[id];
        if (!item->accepted || item->done || id % keep == 0)
            continue;
        read_body(w, id, item);
        struct sample s;
        sample_init(&s, RECORD_OUTCOME, id, 0);
        s.entry.unrepeatable = true;
        s.entry.done = acknowledged;
        committer_commit(&w->committers[ID_DELIVERY], &s.entry);
        sample_fini(&s);
    }
    read_on(w, ID_DELIVERY);
}

static void write_snapshot(struct world *w)
{
    struct snapshot s = {
        .version = 1,
        .position = {w->fold.position[0], w->fold.position[1], 0},
        .needs = {UINT64_MAX, UINT64_MAX, UINT64_MAX},
        .contents = slice_make(&w->fold, sizeof(w->fold)),
    };
    for (size_t i = 0; i < MOST_IDS; i++) {
        const struct item *item = &w->fold.items[i];
        if (item->accepted && !item->done && item->position < s.needs[0])
            s.needs[0] = item->position;
    }
    assert_int_equal(snapshot_write(w->env, SNAPSHOT, &s), 0);
}

static int sweep(struct world *w)
{
    int count = 0;
    for (int which = 0; which < 2; which++) {
        struct journal_config config = config_of(w, which);
        uint64_t freed = 0;
        int holder;
        int n = sweep_segments(&config, w->committers[which].base, &freed, &holder);
        assert_true(n >= 0);
        count += n;
    }
    return count;
}

static void settle_large(struct world *w, uint64_t id)
{
    char text[ID_TEXT_LEN + 1];
    char file[LARGE_NAME_SIZE];
    id_format(id, text);
    snprintf(file, sizeof(file), "large/%s", text);
    assert_int_equal(large_remove(w->env, file), 0);
}

static void reopen(struct world *w)
{
    struct env_model *disk = w->disk;
    world_close(w);
    world_open(w, disk);
    load(w);
}

static struct env_model *run_workload(void)
{
    for (size_t i = 0; i < MOST_IDS; i++)
        promised.accepted[i] = promised.done[i] = NOT_YET;
    struct env_model *disk = env_model_new();
    struct world w;
    uint64_t id = 0;
    where = "workload";
    world_open(&w, disk);
    accept_batch(&w, &id, (size_t[]){300}, 1);
    accept_batch(&w, &id, (size_t[]){0, 2000, 5000}, 3);
    deliver(&w, 2);
    accept_large(&w, ++id, false);
    write_snapshot(&w);
    accept_batch(&w, &id, (size_t[]){40000}, 1);
    accept_batch(&w, &id, (size_t[]){700, 9000, 100}, 3);
    reopen(&w);
    accept_batch(&w, &id, (size_t[]){1, 2, 3, 4, 6000}, 5);
    deliver(&w, 3);
    write_snapshot(&w);
    accept_large(&w, ++id, true);
    assert_int_equal(sweep(&w), 1); /* delivery's first segment; smtpd's is still needed */
    accept_batch(&w, &id, (size_t[]){12000, 12000}, 2);
    deliver(&w, 1000);
    write_snapshot(&w);
    settle_large(&w, 5);
    assert_true(sweep(&w) >= 2);
    reopen(&w);
    reopen(&w);
    accept_large(&w, ++id, false);
    accept_batch(&w, &id, (size_t[]){3000, 3000, 3000}, 3);
    deliver(&w, 4);
    write_snapshot(&w);
    accept_batch(&w, &id, (size_t[]){20000}, 1);
    assert_true(sweep(&w) >= 1);
    deliver(&w, 1000);
    world_close(&w);
    assert_true(id < FIRST_EXTRA_ID);
    return disk;
}

/* ---- the check ---- */

/* What must be there, and what may. */
struct expected {
    bool accepted[MOST_IDS];
    bool done[MOST_IDS];
};

static struct expected expected_at(size_t moment)
{
    struct expected x = {0};
    for (size_t i = 0; i < MOST_IDS; i++) {
        x.accepted[i] = promised.accepted[i] <= moment;
        x.done[i] = promised.done[i] <= moment;
    }
    return x;
}

/* Recovers on this disk and compares. Adds to x what is there now, and one record more: all
 * that must survive from here on. *shown: the moment from which that holds. */
static void check(struct env_model *disk, struct expected *x, size_t *shown)
{
    struct world w;
    world_open(&w, disk);
    *shown = env_model_moment(disk);
    load(&w);
    uint64_t extra = FIRST_EXTRA_ID;
    for (uint64_t id = 1; id < MOST_IDS; id++) {
        const struct item *item = &w.fold.items[id];
        CHECK(item->accepted <= 1 && item->done <= 1);
        CHECK(item->accepted || !x->accepted[id]);
        CHECK(item->done || !x->done[id]);
        CHECK(item->accepted || !item->done);
        if (x->accepted[id])
            CHECK(w.highest_id >= id);
        if (item->accepted && !item->done)
            read_body(&w, id, item);
        x->accepted[id] |= item->accepted;
        x->done[id] |= item->done;
        if (item->accepted && id >= extra)
            extra = id + 1;
    }
    struct sample s;
    sample_init(&s, RECORD_MESSAGE, extra, 1500);
    committer_commit(&w.committers[ID_SMTPD], &s.entry);
    CHECK(s.is_done && s.entry.result == 0);
    sample_fini(&s);
    read_on(&w, ID_SMTPD);
    CHECK(w.fold.items[extra].accepted == 1);
    world_close(&w);
}

/* ---- counting ---- */

static struct {
    uint64_t *slots;
    size_t cap;
    size_t disks;  /* distinct ones */
    size_t checks; /* of a disk with what was promised */
} seen;

/* True when this disk was not checked with these promises before. */
static bool is_new(struct env_model *disk, const struct expected *x)
{
    static const uint64_t seed[2] = {7, 9};
    uint64_t hash = env_model_hash(disk);
    uint64_t keys[] = {hash | 1, (hash ^ siphash13(seed, slice_make(x, sizeof(*x)))) & ~1ull};
    bool news[2] = {true, true};
    for (int k = 0; k < 2; k++) {
        size_t i = keys[k] % seen.cap;
        while (seen.slots[i] && seen.slots[i] != keys[k])
            i = (i + 1) % seen.cap;
        news[k] = !seen.slots[i];
        seen.slots[i] = keys[k];
    }
    seen.disks += news[0];
    seen.checks += news[1];
    INVARIANT((seen.disks + seen.checks) * 2 < seen.cap);
    return news[1];
}

/* ---- crashes ---- */

/* Cuts the power during what `disk` went through since `from`: the moment from which on x
 * holds in full is `shown`, before it only `before` must be there. */
static void cut_again(struct env_model *disk, size_t from, const struct expected *before,
                      const struct expected *x, size_t shown, size_t stride)
{
    size_t end = env_model_moment(disk);
    size_t n = 0;
    for (size_t moment = from; moment <= end; moment++) {
        size_t variants = env_model_variants(disk, moment) + 1;
        for (size_t v = 0; v < variants; v++) {
            if (n++ % stride)
                continue;
            struct expected own = moment >= shown ? *x : *before;
            struct env_model *after = env_model_crash(disk, moment, v);
            at_variant = v;
            size_t unused;
            if (is_new(after, &own))
                check(after, &own, &unused);
            env_model_free(&after);
        }
    }
}

static void test_power_cuts(void **state)
{
    (void)state;
    struct env_model *disk = run_workload();
    size_t end = env_model_moment(disk);
    size_t n = 0;
    for (size_t moment = 0; moment <= end; moment++) {
        size_t variants = env_model_variants(disk, moment);
        size_t all = variants > 1 ? variants + RANDOM_VARIANTS : variants;
        for (size_t v = 0; v < all; v++) {
            where = "power cut";
            at_moment = moment;
            at_variant = v;
            struct expected before = expected_at(moment);
            struct expected x = before;
            struct env_model *after = env_model_crash(disk, moment, v);
            size_t shown;
            if (is_new(after, &x)) {
                check(after, &x, &shown);
                where = "power cut in recovery from a power cut";
                if (n++ % 2 == 0)
                    cut_again(after, 0, &before, &x, shown, STRIDE_IN_CUT);
            }
            env_model_free(&after);
        }
    }
    env_model_free(&disk);
}

static void test_kills(void **state)
{
    (void)state;
    struct env_model *disk = run_workload();
    size_t end = env_model_moment(disk);
    static const size_t parts[] = {0, 600, 4096, 9000};
    for (size_t moment = 0; moment <= end; moment++) {
        for (size_t p = 0; p < COUNT_OF(parts); p++) {
            where = "kill";
            at_moment = moment;
            at_variant = p;
            struct env_model *killed = env_model_kill(disk, moment, parts[p]);
            size_t from = env_model_moment(killed);
            if (p == 0 || from > moment) {
                struct expected before = expected_at(moment);
                struct expected x = before;
                size_t shown;
                check(killed, &x, &shown);
                where = "power cut in recovery from a kill";
                cut_again(killed, from, &before, &x, shown, STRIDE_IN_KILL);
                /* And killed once more in the middle of it. */
                where = "kill in recovery from a kill";
                size_t middle = from + (shown - from) * (moment % 5) / 4;
                struct env_model *again = env_model_kill(killed, middle, 0);
                x = before;
                check(again, &x, &shown);
                env_model_free(&again);
            }
            env_model_free(&killed);
        }
    }
    env_model_free(&disk);
}

static void test_enough_states(void **state)
{
    (void)state;
    printf(
        "%zu distinct disks after a crash, %zu distinct crash states checked, 0 violations\n",
        seen.disks, seen.checks);
    assert_true(seen.disks >= WANTED_STATES);
}

int main(void)
{
    log_setup("test", LOG_LOGFMT, LOG_ERROR);
    seen.cap = 1 << 20;
    seen.slots = calloc(seen.cap, sizeof(*seen.slots));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_cuts),
        cmocka_unit_test(test_kills),
        cmocka_unit_test(test_enough_states),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(seen.slots);
    return failed;
}
