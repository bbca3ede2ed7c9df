#include "net/follow.h"

#include "base/id.h"
#include "base/log.h"
#include "journal/snapshot.h"

#include <errno.h>
#include <stdlib.h>

#define SNAPSHOT_AFTER SPAN_MINUTE
/* Nothing may have changed in so many bytes: each start of control begins a segment. They are
 * kept until a snapshot is past them. */
#define SNAPSHOT_BYTES (64 * 1024)

struct follow {
    struct follow_config config;
    struct journal_reader *reader;
    struct loop_watch *watch;
    struct loop_task task; /* goes on reading after a slice */
    bool is_posted;
    bool is_stopped; /* at a record that is not understood */
    uint64_t position;
    uint64_t unsaved; /* changes since the last snapshot was begun */
    struct timer timer;
    struct job job; /* the snapshot that is being written */
    bool is_saving;
    struct buf saving;
    uint64_t saving_position;
    uint64_t saved_position; /* of the last snapshot that was begun, or loaded */
    int saved;               /* 0 or -errno */
};

static void load_snapshot(struct follow *f)
{
    struct arena arena = ARENA_INIT;
    struct snapshot s;
    int err = snapshot_read(f->config.env, f->config.snapshot, &arena, &s);
    if (err == 0 && s.version != FOLLOW_SNAPSHOT_VERSION)
        err = -EBADMSG;
    if (err == 0)
        err = directory_load(f->config.directory, s.contents);
    if (err == 0)
        f->position = f->saved_position = s.position[ID_CONTROL];
    else if (err != -ENOENT)
        log_warning("snapshot-unusable", LOG_C("path", f->config.snapshot), LOG_E("error", err),
                    LOG_C("effect", "the journal is read from its start"));
    arena_fini(&arena);
}

static int write_snapshot(const struct follow *f, slice contents, uint64_t position)
{
    struct snapshot s = {
        .version = FOLLOW_SNAPSHOT_VERSION,
        .at = env_now(f->config.env),
        .contents = contents,
    };
    for (int i = 0; i < SNAPSHOT_JOURNALS; i++)
        s.needs[i] = UINT64_MAX;
    s.position[ID_CONTROL] = position;
    return snapshot_write(f->config.env, f->config.snapshot, &s);
}

static void save_work(struct job *j)
{
    struct follow *f = CONTAINER_OF(j, struct follow, job);
    f->saved = write_snapshot(f, buf_slice(&f->saving), f->saving_position);
}

static void save_done(struct job *j)
{
    struct follow *f = CONTAINER_OF(j, struct follow, job);
    f->is_saving = false;
    buf_fini(&f->saving);
    if (f->saved == 0)
        return;
    log_error("snapshot-failed", LOG_C("path", f->config.snapshot), LOG_E("error", f->saved));
    f->unsaved++;
    timer_set(&f->timer, SNAPSHOT_AFTER);
}

static void save(struct follow *f)
{
    if (f->is_saving || f->unsaved == 0)
        return;
    directory_save(f->config.directory, &f->saving);
    f->saving_position = f->saved_position = f->position;
    f->job = (struct job){.work = save_work, .done = save_done, .loop = f->config.loop};
    int err = f->saving.error;
    if (err == 0)
        err = jobs_submit(f->config.jobs, &f->job);
    if (err < 0) {
        buf_fini(&f->saving);
        timer_set(&f->timer, SNAPSHOT_AFTER);
        return;
    }
    f->is_saving = true;
    f->unsaved = 0;
}

static void on_timer(void *ctx)
{
    save(ctx);
}

/* False: a record that this version does not know and must not pass. */
static bool apply(struct follow *f, const struct journal_record *r)
{
    const struct follow_config *c = &f->config;
    if (r->header.type != RECORD_DIRECTORY) {
        bool may_pass =
            r->header.type == RECORD_COMMAND || (r->header.flags & RECORD_SKIPPABLE);
        if (!may_pass)
            log_error("record-unknown", LOG_C("journal", f->config.journal),
                      LOG_I("position", r->position), LOG_I("type", r->header.type));
        else if (c->on_record && r->position >= c->from)
            c->on_record(c->ctx, r);
        return may_pass;
    }
    int applied = directory_apply(f->config.directory, r->fields);
    if (applied < 0)
        log_error("directory-change-unusable", LOG_I("position", r->position),
                  LOG_I("version", directory_version(f->config.directory)),
                  LOG_E("error", applied));
    if (c->on_record && r->position >= c->from)
        c->on_record(c->ctx, r);
    return true;
}

/* 0, or -errno when the journal is not there (yet). */
static int open_reader(struct follow *f, const struct watermark *watermark)
{
    if (f->reader)
        return 0;
    uint64_t durable = atomic_load(&watermark->durable);
    if (durable == 0)
        return -EAGAIN;
    if (f->position > durable) {
        log_warning("journal-shorter-than-snapshot", LOG_C("journal", f->config.journal),
                    LOG_I("position", f->position), LOG_I("end", durable),
                    LOG_C("effect", "read from the oldest record"));
        f->position = f->config.from = 0;
    }
    int err = journal_reader_open(&f->reader, f->config.env, f->config.journal, watermark,
                                  f->position);
    if (err == -ENOENT && f->position != 0) {
        log_warning("journal-position-gone", LOG_C("journal", f->config.journal),
                    LOG_I("position", f->position),
                    LOG_C("effect", "read from the oldest record"));
        err = journal_reader_open(&f->reader, f->config.env, f->config.journal, watermark, 0);
    }
    if (err < 0)
        log_error("journal-unreadable", LOG_C("journal", f->config.journal),
                  LOG_E("error", err));
    return err;
}

/* Reads up to `max` records; true when there may be more. */
static bool read_some(struct follow *f, const struct watermark *watermark, unsigned max)
{
    if (f->is_stopped || open_reader(f, watermark) < 0)
        return false;
    for (unsigned i = 0; i < max; i++) {
        struct journal_record r;
        int got = journal_next(f->reader, &r);
        if (got > 0 && !apply(f, &r)) {
            f->is_stopped = true;
            return false;
        }
        f->position = journal_reader_position(f->reader);
        if (got == 0)
            return false;
        if (got > 0) {
            f->unsaved++;
            continue;
        }
        log_error("journal-damaged", LOG_C("journal", f->config.journal),
                  LOG_I("position", f->position), LOG_E("error", got));
        if (got == -EBADMSG)
            continue;
        journal_reader_close(&f->reader);
        return false;
    }
    return true;
}

/* What the journal says that control has not opened yet. It will end there or further on; where
 * it is damaged, control sees to that first. */
static void read_before_control(struct follow *f)
{
    const struct follow_config *c = &f->config;
    uint64_t end = 0;
    int err = journal_find_end(c->env, c->journal, &end);
    if (err < 0 && err != -ENOENT)
        log_error("journal-unreadable", LOG_C("journal", c->journal), LOG_E("error", err));
    if (err < 0 || end < f->position)
        return;
    struct watermark whole = {.durable = end};
    while (read_some(f, &whole, FOLLOW_SLICE))
        continue;
    journal_reader_close(&f->reader);
}

static void schedule_save(struct follow *f)
{
    if (f->unsaved == 0 && f->position > f->saved_position + SNAPSHOT_BYTES)
        f->unsaved++;
    if (f->unsaved >= FOLLOW_SNAPSHOT_CHANGES)
        save(f);
    else if (f->unsaved > 0)
        timer_set(&f->timer, SNAPSHOT_AFTER);
}

static void go_on(struct follow *f)
{
    bool has_more = read_some(f, f->config.watermark, FOLLOW_SLICE);
    if (f->config.shown)
        atomic_store(f->config.shown, f->position);
    if (!has_more) {
        schedule_save(f);
        return;
    }
    if (f->is_posted)
        return;
    f->is_posted = true;
    loop_post(f->config.loop, &f->task);
}

static void on_task(struct loop_task *t)
{
    struct follow *f = CONTAINER_OF(t, struct follow, task);
    f->is_posted = false;
    go_on(f);
}

static void on_wake(void *ctx)
{
    go_on(ctx);
}

struct follow *follow_new(const struct follow_config *c)
{
    struct follow *f = xcalloc(1, sizeof(*f));
    f->config = *c;
    f->task.fn = on_task;
    timer_init(&f->timer, c->loop, on_timer, f);
    load_snapshot(f);
    if (c->on_record && c->from < f->position)
        f->position = c->from;
    if (atomic_load(&c->watermark->durable) == 0)
        read_before_control(f);
    while (read_some(f, c->watermark, FOLLOW_SLICE))
        continue;
    schedule_save(f);
    if (c->wake >= 0)
        f->watch = loop_watch(c->loop, c->wake, on_wake, f);
    return f;
}

void follow_free(struct follow **f)
{
    struct follow *was = *f;
    *f = NULL;
    if (!was)
        return;
    loop_unwatch(&was->watch);
    timer_cancel(&was->timer);
    journal_reader_close(&was->reader);
    if (was->unsaved > 0 || was->is_saving) {
        buf_clear(&was->saving);
        directory_save(was->config.directory, &was->saving);
        int err = was->saving.error;
        if (err == 0)
            err = write_snapshot(was, buf_slice(&was->saving), was->position);
        if (err < 0)
            log_error("snapshot-failed", LOG_C("path", was->config.snapshot),
                      LOG_E("error", err));
    }
    buf_fini(&was->saving);
    free(was);
}

void follow_wake(struct follow *f)
{
    go_on(f);
}

uint64_t follow_position(const struct follow *f)
{
    return f->position;
}
