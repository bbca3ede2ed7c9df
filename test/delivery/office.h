/* office: what delivery's transports need around them, in a scratch directory: smtpd's journal
 * to put messages in, the queue that follows it, delivery's own journal. */
#ifndef TEST_DELIVERY_OFFICE_H
#define TEST_DELIVERY_OFFICE_H

#include "delivery/courier.h"
#include "delivery/keeper.h"
#include "delivery/tail.h"
#include "journal/large.h"

#include "base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* A disk that fails on demand. */
struct faulty {
    struct env env;
    struct env *disk;
    _Atomic int fail_in; /* the operation, counted from now, that fails; 0: none */
    _Atomic int fail_times;
    int error;
    _Atomic int operations;
};

struct office {
    char root[64];
    int root_fd;
    struct env_real real;
    struct faulty faulty; /* all but: */
    struct faulty own;    /* delivery's own journal */
    struct env *env;
    struct loop *loop;
    struct shared_pages pages;
    struct journal_writer *smtpd;
    struct id_source ids;
    struct queue queue;
    struct destination limbo;
    struct replay replay;
    struct tail *tail;
    struct courier courier;
    struct timer guard;
    struct timer kick; /* makes turns */
    /* A turn's work, and whether the test has what it waits for. */
    void (*pump)(struct office *o);
    bool (*until)(struct office *o);
    void *transport;
    size_t settled;    /* outcome records applied */
    uint64_t has_read; /* of smtpd's journal */
};

static inline bool faulty_now(struct env *e)
{
    struct faulty *f = CONTAINER_OF(e, struct faulty, env);
    atomic_fetch_add(&f->operations, 1);
    int at = atomic_load(&f->fail_in);
    if (at == 0)
        return false;
    if (at > 1) {
        atomic_fetch_sub(&f->fail_in, 1);
        return false;
    }
    if (atomic_fetch_sub(&f->fail_times, 1) > 1)
        return true;
    atomic_store(&f->fail_in, 0);
    return true;
}

#define FAULTY_DISK(e) (CONTAINER_OF(e, struct faulty, env)->disk)
#define FAULTY(e, call)                                     \
    if (faulty_now(e))                                      \
        return -CONTAINER_OF(e, struct faulty, env)->error; \
    return FAULTY_DISK(e)->ops->call

static inline int faulty_open(struct env *e, const char *path, enum env_open_mode mode)
{
    FAULTY(e, open(FAULTY_DISK(e), path, mode));
}
static inline int faulty_close(struct env *e, int fd)
{
    return FAULTY_DISK(e)->ops->close(FAULTY_DISK(e), fd);
}
static inline ssize_t faulty_pread(struct env *e, int fd, void *out, size_t len, uint64_t at)
{
    FAULTY(e, pread(FAULTY_DISK(e), fd, out, len, at));
}
static inline ssize_t faulty_pwritev(struct env *e, int fd, const struct iovec *iov, int count,
                                     uint64_t at)
{
    FAULTY(e, pwritev(FAULTY_DISK(e), fd, iov, count, at));
}
static inline int faulty_fdatasync(struct env *e, int fd)
{
    FAULTY(e, fdatasync(FAULTY_DISK(e), fd));
}
static inline int faulty_size(struct env *e, int fd, uint64_t *out)
{
    FAULTY(e, size(FAULTY_DISK(e), fd, out));
}
static inline int faulty_rename(struct env *e, const char *from, const char *to)
{
    FAULTY(e, rename(FAULTY_DISK(e), from, to));
}
static inline int faulty_unlink(struct env *e, const char *path)
{
    FAULTY(e, unlink(FAULTY_DISK(e), path));
}
static inline int faulty_mkdir(struct env *e, const char *path)
{
    FAULTY(e, mkdir(FAULTY_DISK(e), path));
}
static inline int faulty_sync_dir(struct env *e, const char *path)
{
    FAULTY(e, sync_dir(FAULTY_DISK(e), path));
}
static inline int faulty_list(struct env *e, const char *path, env_list_fn *fn, void *ctx)
{
    FAULTY(e, list(FAULTY_DISK(e), path, fn, ctx));
}
static inline int faulty_free_space(struct env *e, uint64_t *bytes, uint64_t *inodes)
{
    return FAULTY_DISK(e)->ops->free_space(FAULTY_DISK(e), bytes, inodes);
}
static inline stamp faulty_clock(struct env *e)
{
    return env_now(FAULTY_DISK(e));
}
static inline span faulty_elapsed(struct env *e)
{
    return env_elapsed(FAULTY_DISK(e));
}
static inline void faulty_random(struct env *e, void *out, size_t len)
{
    env_random(FAULTY_DISK(e), out, len);
}

static inline void faulty_init(struct faulty *f, struct env *disk)
{
    static const struct env_ops ops = {
        .open = faulty_open,
        .close = faulty_close,
        .pread = faulty_pread,
        .pwritev = faulty_pwritev,
        .fdatasync = faulty_fdatasync,
        .size = faulty_size,
        .rename = faulty_rename,
        .unlink = faulty_unlink,
        .mkdir = faulty_mkdir,
        .sync_dir = faulty_sync_dir,
        .list = faulty_list,
        .free_space = faulty_free_space,
        .now = faulty_clock,
        .elapsed = faulty_elapsed,
        .random = faulty_random,
    };
    *f = (struct faulty){.env = {&ops}, .disk = disk, .error = EIO};
}

static inline int office_remove(const char *path, const struct stat *st, int kind,
                                struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline void office_scratch(char root[64])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, 64, "%.40s/utpost-test-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(root));
}

static inline void office_unscratch(const char *root)
{
    nftw(root, office_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void office_make_dirs(struct env *env)
{
    static const char *const dirs[] = {"journal", "snapshot", "snapshot/delivery"};
    for (size_t i = 0; i < COUNT_OF(dirs); i++)
        assert_int_equal(env_mkdir(env, dirs[i]), 0);
    assert_int_equal(large_prepare(env), 0);
}

static inline void office_after_turn(void *ctx)
{
    struct office *o = ctx;
    if (o->courier.queue)
        queue_due(&o->queue, env_now(o->env));
    if (o->pump)
        o->pump(o);
    if (o->until && o->until(o))
        loop_stop(o->loop);
}

static inline void office_settled(void *ctx)
{
    struct office *o = ctx;
    o->settled++;
}

static inline void office_kicked(void *ctx)
{
    struct office *o = ctx;
    timer_set(&o->kick, 20 * SPAN_MS);
}

static inline void office_stuck(void *ctx)
{
    (void)ctx;
    fail_msg("nothing happened for 20 s");
}

static inline void office_open_smtpd(struct office *o)
{
    struct journal_recovery recovery;
    struct journal_config c = {
        .env = &o->real.env,
        .dir = "journal/smtpd",
        .self = ID_SMTPD,
        .watermark = &o->pages.watermark[ROLE_SMTPD],
        .segment_bytes = 1 << 20,
    };
    assert_int_equal(journal_writer_open(&o->smtpd, &c, &recovery), 0);
}

static inline struct office *office_new(void)
{
    struct office *o = xcalloc(1, sizeof(*o));
    uint64_t seed[2] = {5, 6};
    struct journal_recovery recovery;
    office_scratch(o->root);
    o->root_fd = open(o->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    env_real_init(&o->real, o->root_fd);
    faulty_init(&o->faulty, &o->real.env);
    faulty_init(&o->own, &o->real.env);
    o->env = &o->faulty.env;
    office_make_dirs(&o->real.env);
    office_open_smtpd(o);
    id_source_init(&o->ids, 0, ID_SMTPD);
    o->loop = loop_new();
    queue_init(&o->queue, seed);
    destination_init(&o->queue, &o->limbo);
    replay_init(&o->replay, &o->queue, &o->limbo);
    struct settle_config settle = {
        .loop = o->loop,
        .replay = &o->replay,
        .journal =
            {
                .env = &o->own.env,
                .dir = "journal/delivery",
                .self = ID_DELIVERY,
                .watermark = &o->pages.watermark[ROLE_DELIVERY],
                .segment_bytes = 1 << 20,
                .linger = 2 * SPAN_MS,
            },
        .on_settled = office_settled,
        .ctx = o,
    };
    o->courier = (struct courier){
        .env = o->env,
        .loop = o->loop,
        .queue = &o->queue,
        .directory = directory_new(seed),
        .stats = &o->pages.stats,
    };
    assert_int_equal(settle_new(&o->courier.settle, &settle, &recovery), 0);
    assert_int_equal(letter_store_open(&o->courier.store, o->env), 0);
    o->courier.jobs = jobs_new(2, 64);
    timer_init(&o->guard, o->loop, office_stuck, o);
    timer_init(&o->kick, o->loop, office_kicked, o);
    loop_after_turn(o->loop, office_after_turn, o);
    return o;
}

/* How a role's journal is read into the queue, from its beginning. */
static inline struct tail_config office_tail(struct office *o, enum role_kind writer)
{
    return (struct tail_config){
        .env = o->env,
        .loop = o->loop,
        .journal = writer == ROLE_SMTPD ? "journal/smtpd" : "journal/delivery",
        .watermark = &o->pages.watermark[writer],
        .wake = -1,
        .replay = &o->replay,
    };
}

/* Reads what smtpd's journal has on, into the queue. */
static inline void office_read(struct office *o)
{
    struct tail_config c = office_tail(o, ROLE_SMTPD);
    c.position = o->has_read;
    assert_int_equal(tail_read_all(&c, &o->has_read), 0);
}

/* Reads it while the loop runs; freed by the test. */
static inline void office_follow(struct office *o)
{
    const struct tail_config c = office_tail(o, ROLE_SMTPD);
    o->tail = tail_new(&c);
}

static inline struct keeper *office_keeper(struct office *o)
{
    const struct keeper_config c = {o->env,    o->loop, o->courier.jobs,
                                    &o->queue, o->tail, o->courier.settle};
    return keeper_new(&c);
}

/* The first recipient of a message is delivered. */
static inline void office_deliver(struct office *o, uint64_t id)
{
    struct parcel *p = queue_find(&o->queue, id);
    uint32_t index;
    assert_int_equal(queue_take_from(&o->queue, p, 1, &index), 1);
    struct slip *slip = slip_new(o->courier.settle);
    struct settled done = {.index = 0, .kind = OUTCOME_DELIVERED, .attempt = 1};
    struct settlement head = {.id = id};
    struct record_header header = {.account = 1};
    slip_add(slip, &done);
    slip_hand_in(slip, &head, &header, env_now(o->env));
}

static inline void office_run(struct office *o, bool (*until)(struct office *o))
{
    o->until = until;
    timer_set(&o->guard, 20 * SPAN_SECOND);
    timer_set(&o->kick, 0);
    loop_run(o->loop);
    timer_cancel(&o->guard);
    timer_cancel(&o->kick);
    o->until = NULL;
}

/* The transport must be gone, its parcels back in limbo. */
static inline void office_free(struct office *o)
{
    o->pump = NULL;
    jobs_free(&o->courier.jobs);
    settle_free(&o->courier.settle);
    letter_store_close(&o->courier.store);
    directory_free(&o->courier.directory);
    journal_writer_close(&o->smtpd);
    replay_fini(&o->replay);
    queue_fini(&o->queue);
    destination_fini(&o->limbo);
    loop_free(&o->loop);
    close(o->root_fd);
    office_unscratch(o->root);
    free(o);
}

/* What a new process would have: the snapshot, and what the journals say behind it. */
struct reborn {
    struct queue queue;
    struct destination limbo;
    struct replay replay;
};

static inline void reborn_init(struct reborn *b, struct office *o)
{
    uint64_t seed[2] = {1, 1}, at[SNAPSHOT_JOURNALS], end;
    queue_init(&b->queue, seed);
    destination_init(&b->queue, &b->limbo);
    replay_init(&b->replay, &b->queue, &b->limbo);
    assert_int_equal(keeper_load(o->env, &b->queue, &b->limbo, at), 0);
    replay_set_snapshot(&b->replay, at[ID_SMTPD]);
    struct tail_config c = office_tail(o, ROLE_DELIVERY);
    c.replay = &b->replay;
    c.position = at[ID_DELIVERY];
    assert_true(at[ID_DELIVERY] <= atomic_load(&c.watermark->durable));
    int err = tail_read_all(&c, &end);
    assert_true(err == 0 || err == -EAGAIN); /* -EAGAIN: nothing was ever written there */
    c = office_tail(o, ROLE_SMTPD);
    c.replay = &b->replay;
    c.position = at[ID_SMTPD];
    assert_int_equal(tail_read_all(&c, &end), 0);
    replay_caught_up(&b->replay, env_now(o->env));
}

static inline void reborn_fini(struct reborn *b)
{
    replay_fini(&b->replay);
    queue_fini(&b->queue);
    destination_fini(&b->limbo);
}

struct office_message {
    uint64_t account;
    const char *from;
    const char *const *to; /* ends in NULL */
    slice body;
    unsigned flags;
    stamp accepted; /* 0: now */
    bool in_file;
    unsigned notify; /* of every recipient; 0: not given */
    unsigned ret;
    const char *envid; /* NULL: none */
};

/* Appends the message as smtpd would; returns its id. */
static inline uint64_t office_post(struct office *o, const struct office_message *m)
{
    struct buf fields = BUF_INIT;
    stamp now = env_now(&o->real.env);
    uint64_t id = id_next(&o->ids, now);
    record_put_u64(&fields, TAG_ID, id);
    record_put(&fields, TAG_REVERSE_PATH, slice_of(m->from));
    for (size_t i = 0; m->to[i]; i++) {
        record_put(&fields, TAG_RECIPIENT, slice_of(m->to[i]));
        if (m->notify)
            record_put_u64(&fields, TAG_RECIPIENT_NOTIFY, m->notify);
    }
    if (m->ret)
        record_put_u64(&fields, TAG_RET, m->ret);
    if (m->envid)
        record_put(&fields, TAG_ENVID, slice_of(m->envid));
    record_put_u64(&fields, TAG_MESSAGE_FLAGS, m->flags);
    record_put(&fields, TAG_LOGIN, SLICE("user@x.test"));
    record_put(&fields, TAG_MESSAGE_ID, SLICE("<1@x.test>"));
    if (m->in_file) {
        struct large l;
        assert_int_equal(large_begin(&l, &o->real.env, id), 0);
        assert_int_equal(large_append(&l, m->body), 0);
        assert_int_equal(large_finish(&l), 0);
        record_put(&fields, TAG_FILE, slice_of(l.file));
        record_put_u64(&fields, TAG_FILE_LEN, m->body.len);
    }
    struct iovec body = {(void *)(uintptr_t)m->body.ptr, m->body.len};
    struct journal_entry e = {
        .header = {.type = RECORD_MESSAGE,
                   .at = m->accepted ? m->accepted : now,
                   .customer = 1,
                   .account = m->account},
        .fields = buf_slice(&fields),
        .body = &body,
        .body_count = m->in_file ? 0 : 1,
    };
    assert_int_equal(journal_append_wait(o->smtpd, &e), 0);
    buf_fini(&fields);
    return id;
}

static inline uint64_t office_post_one(struct office *o, const char *to, const char *body)
{
    const char *const all[] = {to, NULL};
    struct office_message m = {
        .account = 1, .from = "from@x.test", .to = all, .body = slice_of(body)};
    return office_post(o, &m);
}

/* The recipient, or NULL when it is not in the queue any more. */
static inline struct recipient *office_recipient(struct office *o, uint64_t id, uint32_t index)
{
    struct parcel *p = queue_find(&o->queue, id);
    struct recipient *r = NULL;
    for (; p && !r; p = queue_also(p))
        r = parcel_recipient(p, index);
    return r && r->state != RECIPIENT_GONE ? r : NULL;
}

#endif
