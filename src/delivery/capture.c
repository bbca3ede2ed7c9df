#include "delivery/capture.h"

#include "base/arena.h"
#include "base/log.h"
#include "delivery/maildir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 16 * 1024 * 1024 };

struct batch {
    struct job job;
    struct capture *capture;
    const char *dir;
    struct letter letter; /* on the loop: to settle with */
    struct parcel *parcels[CAPTURE_MESSAGES];
    struct maildir_item items[CAPTURE_MESSAGES];
    size_t count;
};

struct capture *capture_new(struct courier *c, const struct conf *conf)
{
    struct capture *x = xcalloc(1, sizeof(*x));
    x->courier = c;
    settings_init(&x->settings, conf, (slice){0});
    destination_init(c->queue, &x->destination);
    return x;
}

void capture_free(struct capture **at)
{
    struct capture *x = *at;
    if (!x)
        return;
    *at = NULL;
    destination_fini(&x->destination);
    settings_fini(&x->settings);
    free(x);
}

static void batch_free(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        free(b->items[i].indexes);
    letter_fini(&b->letter);
    free(b);
}

static void settle_item(struct batch *b, size_t i)
{
    static const slice done = SLICE_INIT("captured");
    struct courier *c = b->capture->courier;
    const struct retry_policy *policy = &b->capture->settings.retry;
    struct maildir_item *item = &b->items[i];
    struct relay_recipient *recipients = xcalloc(item->count, sizeof(*recipients));
    int err = letter_open(&b->letter, &item->facts);
    if (err == 0)
        err = letter_recipients(&b->letter, item->indexes, item->count, recipients);
    if (err < 0) {
        courier_settle_unread(c, policy, b->parcels[i], item->indexes, item->count, err);
        free(recipients);
        return;
    }
    struct slip *slip = slip_new(c->settle);
    struct attempt a = {
        .letter = &b->letter,
        .parcel = b->parcels[i],
        .stage = STAGE_LOCAL,
        .remote = slice_of(b->dir),
        .text = done,
        .outcome = {.next = NEXT_CONTINUE, .status = {2, 0, 0}},
        .taker = NOTIFY_TAKER_FINAL,
    };
    if (item->result < 0) {
        a.outcome = outcome_of(STAGE_LOCAL, NULL, FAULT_LOCAL);
        a.text = slice_of(strerror(-item->result));
    }
    for (uint32_t k = 0; k < item->count; k++) {
        a.recipient = &recipients[k];
        courier_settle(c, policy, slip, &a);
    }
    courier_hand_in(c, slip, &b->letter, a.remote);
    letter_close(&b->letter);
    free(recipients);
}

static void on_written(struct job *j)
{
    struct batch *b = CONTAINER_OF(j, struct batch, job);
    b->capture->running--;
    for (size_t i = 0; i < b->count; i++)
        settle_item(b, i);
    batch_free(b);
}

static void write_batch(struct job *j)
{
    struct batch *b = CONTAINER_OF(j, struct batch, job);
    const struct courier *c = b->capture->courier;
    maildir_write(c->env, c->store, b->dir, b->items, b->count);
}

/* The next parcels in their turns, with all of each one's recipients. */
static void fill(struct batch *b)
{
    struct capture *x = b->capture;
    uint64_t bytes = 0;
    struct parcel *p;
    while (b->count < CAPTURE_MESSAGES && bytes < BATCH_BYTES &&
           (p = queue_next(&x->destination))) {
        struct maildir_item *item = &b->items[b->count];
        item->facts = p->facts;
        item->indexes = xcalloc(p->ready, sizeof(*item->indexes));
        item->count = queue_take_from(x->courier->queue, p, p->ready, item->indexes);
        b->parcels[b->count++] = p;
        bytes += p->facts.body_len;
    }
}

static void put_back(struct batch *b)
{
    for (size_t i = b->count; i > 0; i--)
        queue_put_back(b->capture->courier->queue, b->parcels[i - 1], b->items[i - 1].indexes,
                       b->items[i - 1].count);
}

/* False when the pool is full. */
static bool begin(struct capture *x)
{
    struct courier *c = x->courier;
    struct batch *b = xcalloc(1, sizeof(*b));
    b->job = (struct job){.work = write_batch, .done = on_written, .loop = c->loop};
    b->capture = x;
    b->dir = x->settings.capture_dir;
    letter_init(&b->letter, c->env, c->store);
    fill(b);
    int err = jobs_submit(c->jobs, &b->job);
    if (err < 0) {
        put_back(b);
        batch_free(b);
        return false;
    }
    x->running++;
    return true;
}

/* Without it each message says what is wrong, and is tried again later. */
static void make_dir(struct capture *x)
{
    if (x->is_made)
        return;
    int err = maildir_make(x->courier->env, x->settings.capture_dir);
    if (err < 0)
        log_error("capture-dir-unusable", LOG_C("dir", x->settings.capture_dir),
                  LOG_E("error", err));
    x->is_made = err == 0;
}

void capture_pump(struct capture *x)
{
    while (!x->is_closing && courier_may_send(x->courier) && x->destination.ready > 0 &&
           x->running < CAPTURE_BATCHES) {
        make_dir(x);
        if (!begin(x))
            return;
    }
}

void capture_close(struct capture *x)
{
    x->is_closing = true;
}

bool capture_is_idle(const struct capture *x)
{
    return x->running == 0;
}
