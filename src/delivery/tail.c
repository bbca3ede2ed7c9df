#include "delivery/tail.h"

#include "base/arena.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

enum { SLICE_RECORDS = 512 };
static const span TRY_AGAIN = 5 * SPAN_SECOND;
static const span NOT_YET = 200 * SPAN_MS; /* its writer has not recovered it */

struct tail {
    struct tail_config config;
    struct journal_reader *reader;
    struct loop_watch *watch;
    struct loop_task task; /* goes on after a slice */
    bool is_posted;
    struct timer again;
    uint64_t position;
    uint64_t skip_below; /* records before it were read in an earlier life */
    uint64_t end;        /* of what had been published when nothing more was to be read */
    bool has_caught_up;
    bool is_stopped; /* by a record that may not be passed over */
};

/* A journal that begins behind the position, or ends before it, is not the one that the
 * snapshot was made of: what there is of it is read. */
static int open_reader(struct tail *t)
{
    const struct tail_config *c = &t->config;
    uint64_t end = atomic_load_explicit(&c->watermark->durable, memory_order_acquire);
    int err;
    if (t->reader)
        return 0;
    if (end == 0)
        return -EAGAIN;
    if (t->position > end) {
        log_error("journal-shorter-than-snapshot", LOG_C("journal", c->journal),
                  LOG_I("position", t->position), LOG_I("end", end));
        t->position = 0;
    }
    err = journal_reader_open(&t->reader, c->env, c->journal, c->watermark, t->position);
    if (err == -ENOENT && t->position != 0) {
        log_error("journal-position-gone", LOG_C("journal", c->journal),
                  LOG_I("position", t->position),
                  LOG_C("effect", "reading goes on at the oldest record there is"));
        t->skip_below = t->position;
        err = journal_reader_open(&t->reader, c->env, c->journal, c->watermark, 0);
    }
    if (err < 0)
        log_error("journal-unreadable", LOG_C("journal", c->journal), LOG_E("error", err));
    else
        journal_reader_skip_bodies(t->reader);
    return err;
}

/* 0, or -ENOTSUP: reading must end here. */
static int apply(struct tail *t, const struct journal_record *record)
{
    const struct tail_config *c = &t->config;
    if (record->position < t->skip_below)
        return 0;
    int err = replay_record(c->replay, record, env_now(c->env));
    if (err >= 0)
        return 0;
    log_error(err == -ENOTSUP ? "journal-record-unknown" : "journal-record-unusable",
              LOG_C("journal", c->journal), LOG_I("position", record->position),
              LOG_I("type", record->header.type), LOG_E("error", err));
    return err == -ENOTSUP ? err : 0;
}

/* Reads up to max records: 1 when there may be more, 0 at the end, or -errno. */
static int read_some(struct tail *t, unsigned max)
{
    int err = open_reader(t);
    if (err < 0)
        return err;
    const struct watermark *w = t->config.watermark;
    uint64_t end = atomic_load_explicit(&w->durable, memory_order_acquire);
    for (unsigned i = 0; i < max; i++) {
        struct journal_record record;
        int got = journal_next(t->reader, &record);
        if (got > 0 && apply(t, &record) < 0) {
            t->is_stopped = true;
            return -ENOTSUP;
        }
        t->position = journal_reader_position(t->reader);
        if (got == 0) {
            t->end = end;
            return 0;
        }
        if (got < 0 && got != -EBADMSG) {
            journal_reader_close(&t->reader);
            return got;
        }
    }
    return 1;
}

static void go_on(struct tail *t)
{
    if (t->is_stopped || t->is_posted)
        return;
    int more = read_some(t, SLICE_RECORDS);
    if (more > 0) {
        t->is_posted = true;
        loop_post(t->config.loop, &t->task);
    } else if (more == 0 && !t->has_caught_up) {
        t->has_caught_up = true;
        replay_caught_up(t->config.replay, env_now(t->config.env));
    } else if (more < 0 && !t->is_stopped) {
        timer_set(&t->again, more == -EAGAIN ? NOT_YET : TRY_AGAIN);
    }
}

static void on_task(struct loop_task *task)
{
    struct tail *t = CONTAINER_OF(task, struct tail, task);
    t->is_posted = false;
    go_on(t);
}

static void on_wake(void *ctx)
{
    go_on(ctx);
}

struct tail *tail_new(const struct tail_config *c)
{
    struct tail *t = xcalloc(1, sizeof(*t));
    t->config = *c;
    t->position = c->position;
    t->task.fn = on_task;
    timer_init(&t->again, c->loop, on_wake, t);
    if (c->wake >= 0)
        t->watch = loop_watch(c->loop, c->wake, on_wake, t);
    t->is_posted = true;
    loop_post(c->loop, &t->task);
    return t;
}

void tail_free(struct tail **at)
{
    struct tail *t = *at;
    if (!t)
        return;
    *at = NULL;
    loop_unwatch(&t->watch);
    timer_cancel(&t->again);
    journal_reader_close(&t->reader);
    free(t);
}

void tail_wake(struct tail *t)
{
    go_on(t);
}

uint64_t tail_position(const struct tail *t)
{
    return t->position;
}

bool tail_has_read(const struct tail *t, uint64_t position)
{
    return t->position >= position || t->end >= position;
}

bool tail_has_caught_up(const struct tail *t)
{
    return t->has_caught_up;
}

int tail_read_all(const struct tail_config *c, uint64_t *position)
{
    struct tail t = {.config = *c, .position = c->position};
    int more;
    while ((more = read_some(&t, SLICE_RECORDS)) > 0)
        continue;
    journal_reader_close(&t.reader);
    *position = t.position;
    return more;
}
