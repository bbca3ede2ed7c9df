#include "delivery/keeper.h"

#include "base/arena.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

static const span AGAIN = 5 * SPAN_SECOND;

struct keeper {
    struct keeper_config config;
    struct timer timer;
    struct job job;
    bool is_saving;
    bool is_wanted;
    span not_before; /* on the loop's clock: a disk that fails is not asked at each turn */
    struct buf contents;
    struct snapshot snapshot; /* being written */
    int result;
    uint64_t saved[SNAPSHOT_JOURNALS]; /* positions of the last one that was begun */
    stamp saved_at;
};

int keeper_load(struct env *env, struct queue *q, struct destination *d,
                uint64_t position[SNAPSHOT_JOURNALS])
{
    struct arena arena = ARENA_INIT;
    struct snapshot s;
    memset(position, 0, SNAPSHOT_JOURNALS * sizeof(*position));
    int err = snapshot_read(env, KEEPER_PATH, &arena, &s);
    if (err == 0 && s.version != IMAGE_VERSION)
        err = -EBADMSG;
    if (err == 0) {
        err = image_load(q, d, s.contents, env_now(env));
        if (err < 0)
            queue_clear(q);
    }
    if (err == 0)
        memcpy(position, s.position, sizeof(s.position));
    arena_fini(&arena);
    if (err == -EBADMSG)
        log_error("snapshot-unusable", LOG_C("path", KEEPER_PATH),
                  LOG_C("effect", "both journals are read from their oldest records"));
    return err == -EBADMSG || err == -ENOENT ? 0 : err;
}

static void positions(const struct keeper *k, uint64_t at[SNAPSHOT_JOURNALS])
{
    const struct keeper_config *c = &k->config;
    at[ID_SMTPD] = tail_position(c->tail);
    at[ID_DELIVERY] = settle_position(c->settle);
    at[ID_CONTROL] = c->orders ? orders_position(c->orders, follow_position(c->follow)) : 0;
}

static void on_timer(void *ctx);

struct keeper *keeper_new(const struct keeper_config *c)
{
    struct keeper *k = xcalloc(1, sizeof(*k));
    k->config = *c;
    if (k->config.bytes == 0)
        k->config.bytes = KEEPER_BYTES;
    positions(k, k->saved);
    timer_init(&k->timer, c->loop, on_timer, k);
    timer_set(&k->timer, KEEPER_INTERVAL);
    return k;
}

void keeper_free(struct keeper **at)
{
    struct keeper *k = *at;
    if (!k)
        return;
    *at = NULL;
    timer_cancel(&k->timer);
    buf_fini(&k->contents);
    free(k);
}

/* Makes the image. The delivery position is that of what the queue has applied: outcomes behind
 * it are not synced yet, and the image does not show them. */
static int prepare(struct keeper *k)
{
    struct snapshot *s = &k->snapshot;
    buf_clear(&k->contents);
    *s = (struct snapshot){.version = IMAGE_VERSION, .at = env_now(k->config.env)};
    for (int i = 0; i < SNAPSHOT_JOURNALS; i++)
        s->needs[i] = UINT64_MAX;
    positions(k, s->position);
    struct image_needs needs;
    image_save(k->config.queue, &k->contents, &needs);
    s->needs[ID_SMTPD] = needs.smtpd;
    s->needs[ID_DELIVERY] = needs.delivery;
    s->contents = buf_slice(&k->contents);
    return k->contents.error;
}

static void finish(struct keeper *k, int err)
{
    size_t size = k->contents.len;
    buf_fini(&k->contents);
    if (err < 0) {
        log_error("snapshot-failed", LOG_C("path", KEEPER_PATH), LOG_E("error", err));
        k->not_before = loop_time(k->config.loop) + AGAIN;
        return;
    }
    memcpy(k->saved, k->snapshot.position, sizeof(k->saved));
    k->saved_at = k->snapshot.at;
    log_debug("snapshot-written", LOG_C("path", KEEPER_PATH), LOG_I("bytes", size));
}

static void write_it(struct job *j)
{
    struct keeper *k = CONTAINER_OF(j, struct keeper, job);
    k->result = snapshot_write(k->config.env, KEEPER_PATH, &k->snapshot);
}

static void on_written(struct job *j)
{
    struct keeper *k = CONTAINER_OF(j, struct keeper, job);
    k->is_saving = false;
    finish(k, k->result);
}

static void begin(struct keeper *k)
{
    k->is_wanted = false;
    timer_set(&k->timer, KEEPER_INTERVAL);
    int err = prepare(k);
    k->job = (struct job){.work = write_it, .done = on_written, .loop = k->config.loop};
    if (err == 0)
        err = jobs_submit(k->config.jobs, &k->job);
    if (err < 0)
        finish(k, err);
    else
        k->is_saving = true;
}

static uint64_t read_since(const struct keeper *k)
{
    uint64_t at[SNAPSHOT_JOURNALS], sum = 0;
    positions(k, at);
    for (size_t i = 0; i < SNAPSHOT_JOURNALS; i++)
        sum += at[i] > k->saved[i] ? at[i] - k->saved[i] : 0;
    return sum;
}

/* Before the tail has caught up outcomes may wait for their messages: no image shows those. */
static bool may_save(const struct keeper *k)
{
    return !k->is_saving && tail_has_caught_up(k->config.tail);
}

static void on_timer(void *ctx)
{
    struct keeper *k = ctx;
    timer_set(&k->timer, KEEPER_INTERVAL);
    if (may_save(k) && read_since(k) > 0)
        begin(k);
}

void keeper_want(struct keeper *k)
{
    k->is_wanted = true;
}

void keeper_consider(struct keeper *k)
{
    if (loop_time(k->config.loop) < k->not_before)
        return;
    if ((k->is_wanted || read_since(k) >= k->config.bytes) && may_save(k))
        begin(k);
}

int keeper_save(struct keeper *k)
{
    if (!may_save(k))
        return -EAGAIN;
    int err = prepare(k);
    if (err == 0)
        err = snapshot_write(k->config.env, KEEPER_PATH, &k->snapshot);
    finish(k, err);
    return err;
}

bool keeper_is_idle(const struct keeper *k)
{
    return !k->is_saving;
}

stamp keeper_saved_at(const struct keeper *k)
{
    return k->saved_at;
}
