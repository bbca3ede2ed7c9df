#include "delivery/carrier.h"

#include "base/arena.h"
#include "base/log.h"
#include "delivery/carried.h"
#include "delivery/reading.h"
#include "journal/readers.h"
#include "journal/segment.h"
#include "journal/snapshot.h"

#include <errno.h>
#include <stdlib.h>

enum {
    BUCKETS_PER_TURN = 4096,
    BATCH_MESSAGES = 64,
    BATCH_BYTES = 1024 * 1024,
    ROUND_BYTES = 16 * 1024 * 1024, /* of living messages, before the next snapshot */
    REST_FACTOR = 4,
    JOURNALS = 2,
};
static const span REST_LEAST = 20 * SPAN_MS;
static const char *const dirs[JOURNALS] = {
    [ID_SMTPD] = "journal/smtpd",
    [ID_DELIVERY] = "journal/delivery",
};

/* A message that lies in the segments of this round. */
struct item {
    uint64_t id;
    uint64_t position;
};

/* Its record, and what came of reading it. */
struct candidate {
    struct reading record;
    int result;
};

struct carrier {
    struct carrier_config config;
    struct timer timer;
    struct loop_task task;
    struct job job;
    bool is_stopped;
    bool is_walking;  /* the task is posted */
    bool is_reading;  /* the job runs */
    unsigned writing; /* records that wait for their sync */
    bool has_failed;  /* this round */
    enum id_writer journal;
    bool (*see)(void *ctx, struct parcel *p); /* what the walk does */
    size_t cursor;
    struct segment_list list;
    size_t first;     /* segment of the list: what is before it only waits to be deleted */
    uint64_t floor;   /* all other readers are past it */
    uint64_t *living; /* bytes of living messages, by segment of the list */
    uint64_t total;   /* of them */
    uint64_t limit;   /* of this round */
    uint64_t carried_to[JOURNALS];
    struct item *items;
    size_t item_count;
    size_t item_room;
    size_t next; /* item */
    struct candidate batch[BATCH_MESSAGES];
    size_t batch_count;
    span began; /* the batch */
    struct carrier_numbers numbers;
};

static void on_timer(void *ctx);
static void on_task(struct loop_task *t);
static void begin_batch(struct carrier *c);

struct carrier *carrier_new(const struct carrier_config *config)
{
    struct carrier *c = xcalloc(1, sizeof(*c));
    c->config = *config;
    if (c->config.interval == 0)
        c->config.interval = CARRIER_INTERVAL;
    c->task.fn = on_task;
    timer_init(&c->timer, config->loop, on_timer, c);
    timer_set(&c->timer, c->config.interval);
    return c;
}

static void forget_batch(struct carrier *c)
{
    for (size_t i = 0; i < c->batch_count; i++)
        buf_fini(&c->batch[i].record.bytes);
    c->batch_count = 0;
}

static void forget_round(struct carrier *c)
{
    free(c->living);
    free(c->items);
    segment_list_fini(&c->list);
    c->living = NULL;
    c->items = NULL;
    c->item_count = c->item_room = c->next = 0;
    c->total = 0;
    c->has_failed = false;
}

void carrier_free(struct carrier **at)
{
    struct carrier *c = *at;
    if (!c)
        return;
    *at = NULL;
    timer_cancel(&c->timer);
    forget_batch(c);
    forget_round(c);
    free(c);
}

void carrier_set_max_waste(struct carrier *c, uint64_t max_waste)
{
    c->config.max_waste = max_waste;
}

void carrier_stop(struct carrier *c)
{
    c->is_stopped = true;
    if (carrier_is_idle(c))
        timer_cancel(&c->timer);
}

bool carrier_is_idle(const struct carrier *c)
{
    return !c->is_walking && !c->is_reading && c->writing == 0;
}

struct carrier_numbers carrier_numbers(const struct carrier *c)
{
    return c->numbers;
}

/* ---- is there a reason? ---- */

/* How far all readers but this queue are. */
static uint64_t others_floor(const struct carrier *c, enum id_writer j)
{
    size_t count;
    const char *const *paths = journal_readers(j, &count);
    uint64_t floor =
        atomic_load_explicit(&c->config.watermark[j]->durable, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        struct snapshot head;
        if (strcmp(paths[i], KEEPER_PATH) == 0)
            continue;
        if (snapshot_read_head(c->config.env, paths[i], &head) < 0)
            return 0;
        if (head.position[j] < floor)
            floor = head.position[j];
    }
    return floor;
}

/* What could be deleted of this journal, at the most, if nothing in it lived. */
static uint64_t kept(const struct carrier *c)
{
    uint64_t begin = c->first < c->list.count ? c->list.bases[c->first] : UINT64_MAX;
    return c->floor > begin ? c->floor - begin : 0;
}

static bool may_begin(struct carrier *c, enum id_writer j)
{
    forget_round(c);
    if (segment_list_read(&c->list, c->config.env, dirs[j]) < 0)
        return false;
    c->journal = j;
    c->floor = others_floor(c, j);
    c->first = 0;
    while (c->first < c->list.count && c->list.bases[c->first] < c->carried_to[j])
        c->first++;
    return c->list.count > c->first + 1 && c->list.bases[c->first + 1] <= c->floor &&
           kept(c) > c->config.max_waste;
}

/* ---- walking over the queue, a part of it per turn ---- */

static void walk(struct carrier *c, bool (*see)(void *ctx, struct parcel *p))
{
    c->see = see;
    c->cursor = 0;
    c->is_walking = true;
    loop_post(c->config.loop, &c->task);
}

/* Does it need a record of this journal, before the limit? */
static bool concerns(const struct carrier *c, const struct parcel *p, uint64_t limit)
{
    enum id_writer j = p->facts.flags & PARCEL_OWN ? ID_DELIVERY : ID_SMTPD;
    return j == c->journal && p->facts.position < limit && parcel_needs_record(p) &&
           p->facts.position >= c->list.bases[c->first];
}

/* A message of several parcels is counted for each of them: none of those that matter here, in
 * segments that are nearly empty, makes a difference. */
static bool count_parcel(void *ctx, struct parcel *p)
{
    struct carrier *c = ctx;
    if (!concerns(c, p, c->floor))
        return true;
    ptrdiff_t i = segment_list_find(&c->list, p->facts.position);
    uint64_t size = record_size(p->facts.fields_len, p->facts.body_len);
    if (i >= 0)
        c->living[i] += size;
    c->total += size;
    return true;
}

static bool collect_parcel(void *ctx, struct parcel *p)
{
    struct carrier *c = ctx;
    if (!concerns(c, p, c->limit))
        return true;
    if (c->item_count == c->item_room) {
        c->item_room = c->item_room ? c->item_room * 2 : 64;
        c->items = xrealloc(c->items, c->item_room, sizeof(*c->items));
    }
    c->items[c->item_count++] = (struct item){p->facts.id, p->facts.position};
    return true;
}

/* Whole segments from the oldest on, as far as one round goes. */
static void set_limit(struct carrier *c)
{
    uint64_t bytes = 0;
    size_t i = c->first;
    do {
        bytes += c->living[i++];
    } while (i + 1 < c->list.count && c->list.bases[i + 1] <= c->floor &&
             bytes + c->living[i] <= ROUND_BYTES);
    c->limit = c->list.bases[i];
}

static void rest(struct carrier *c)
{
    forget_round(c);
    if (!c->is_stopped)
        timer_set(&c->timer, c->config.interval);
}

static void look_from(struct carrier *c, int journal)
{
    for (int j = journal; j < JOURNALS && !c->is_stopped; j++) {
        if (!may_begin(c, (enum id_writer)j))
            continue;
        c->living = xcalloc(c->list.count, sizeof(*c->living));
        walk(c, count_parcel);
        return;
    }
    rest(c);
}

static void counted(struct carrier *c)
{
    uint64_t all = kept(c);
    uint64_t waste = all > c->total ? all - c->total : 0;
    if (waste <= c->config.max_waste || waste <= c->total) {
        look_from(c, c->journal + 1);
        return;
    }
    set_limit(c);
    walk(c, collect_parcel);
}

static int by_position(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return (x->position > y->position) - (x->position < y->position);
}

/* Several parcels of a message share its record. */
static void collected(struct carrier *c)
{
    size_t n = 0;
    if (c->item_count > 0)
        qsort(c->items, c->item_count, sizeof(*c->items), by_position);
    for (size_t i = 0; i < c->item_count; i++)
        if (n == 0 || c->items[i].position != c->items[n - 1].position)
            c->items[n++] = c->items[i];
    c->item_count = n;
    begin_batch(c);
}

static void on_task(struct loop_task *t)
{
    struct carrier *c = CONTAINER_OF(t, struct carrier, task);
    c->is_walking = false;
    if (c->is_stopped)
        return;
    queue_scan(c->config.queue, &c->cursor, BUCKETS_PER_TURN, c->see, c);
    if (c->cursor != 0) {
        c->is_walking = true;
        loop_post(c->config.loop, &c->task);
    } else if (c->see == count_parcel) {
        counted(c);
    } else {
        collected(c);
    }
}

/* ---- reading ---- */

/* On a jobs thread: nothing but the batch and the store is touched. */
static void read_batch(struct job *j)
{
    struct carrier *c = CONTAINER_OF(j, struct carrier, job);
    for (size_t i = 0; i < c->batch_count; i++)
        c->batch[i].result = reading_read(c->config.store, &c->batch[i].record);
}

/* The parcel, if the record is still the message's, and still needed. */
static struct parcel *find(const struct carrier *c, uint64_t id, uint64_t position)
{
    struct parcel *p = queue_find(c->config.queue, id);
    while (p && !concerns(c, p, c->limit))
        p = queue_also(p);
    return p && p->facts.position == position ? p : NULL;
}

/* ---- writing ---- */

static void end_batch(struct carrier *c)
{
    span took = env_elapsed(c->config.env) - c->began;
    span pause = took * REST_FACTOR;
    if (!c->is_stopped)
        timer_set(&c->timer, pause > REST_LEAST ? pause : REST_LEAST);
}

static void on_carried(void *ctx, int result)
{
    struct carrier *c = ctx;
    if (result < 0)
        c->has_failed = true;
    else
        c->numbers.messages++;
    if (--c->writing == 0)
        end_batch(c);
}

/* Its bytes are gone: it holds nothing back any more. It stays in the queue, for people to see
 * and remove. */
static void give_up(struct carrier *c, const struct candidate *x)
{
    struct parcel_facts facts = x->record.facts;
    facts.flags |= PARCEL_LOST;
    queue_supersede(c->config.queue, &facts);
    c->numbers.lost++;
    log_error("message-lost", LOG_ID("id", facts.id), LOG_C("journal", dirs[c->journal]),
              LOG_I("position", facts.position), LOG_E("error", x->result),
              LOG_C("effect", "it cannot be read, nor carried forward; it stays in the queue"));
}

static void carry(struct carrier *c, const struct reading *r, struct parcel *p)
{
    const struct record_header *h = &r->header;
    struct settle_message m = {
        .header =
            {
                .type = RECORD_CARRIED,
                .at = env_now(c->config.env),
                .customer = h->customer,
                .account = h->account,
                .credential = h->credential,
                .session = h->session,
            },
        .may_fail = true,
        .done = on_carried,
        .ctx = c,
    };
    carried_put(&m.fields, reading_fields(r), h->at, p);
    buf_append(&m.body, reading_body(r));
    if (m.fields.error || m.body.error || m.fields.len > RECORD_FIELDS_MAX) {
        log_warning("message-not-carried", LOG_ID("id", r->facts.id),
                    LOG_I("octets", m.fields.len));
        buf_fini(&m.fields);
        buf_fini(&m.body);
        c->has_failed = true;
        return;
    }
    c->numbers.bytes += record_size((uint32_t)m.fields.len, m.body.len);
    c->writing++;
    settle_message(c->config.settle, &m);
}

static void carry_read(struct carrier *c, const struct candidate *x)
{
    const struct parcel_facts *f = &x->record.facts;
    struct parcel *p = find(c, f->id, f->position);
    if (!p)
        return;
    if (x->result == 0) {
        carry(c, &x->record, p);
    } else if (x->result == -EBADMSG || x->result == -ENOENT) {
        give_up(c, x);
    } else {
        log_warning("message-not-carried", LOG_ID("id", f->id), LOG_E("error", x->result));
        c->has_failed = true;
    }
}

static void on_read(struct job *j)
{
    struct carrier *c = CONTAINER_OF(j, struct carrier, job);
    c->is_reading = false;
    for (size_t i = 0; i < c->batch_count && !c->is_stopped; i++)
        carry_read(c, &c->batch[i]);
    forget_batch(c);
    if (c->writing == 0)
        end_batch(c);
}

/* ---- batch by batch ---- */

static void fill_batch(struct carrier *c)
{
    uint64_t bytes = 0;
    while (c->next < c->item_count && c->batch_count < BATCH_MESSAGES) {
        const struct item *item = &c->items[c->next];
        const struct parcel *p = find(c, item->id, item->position);
        uint64_t size = p ? record_size(p->facts.fields_len, p->facts.body_len) : 0;
        if (c->batch_count > 0 && bytes + size > BATCH_BYTES)
            return;
        if (p)
            c->batch[c->batch_count++] = (struct candidate){.record = {.facts = p->facts}};
        bytes += size;
        c->next++;
    }
}

/* Nothing of these segments is needed any more, once a snapshot says so. */
static void end_round(struct carrier *c)
{
    if (!c->has_failed) {
        c->carried_to[c->journal] = c->limit;
        keeper_want(c->config.keeper);
        log_info("carried-forward", LOG_C("journal", dirs[c->journal]),
                 LOG_I("messages", c->item_count), LOG_I("to", c->limit),
                 LOG_I("living", c->total), LOG_I("kept", kept(c)));
    }
    rest(c);
}

static void begin_batch(struct carrier *c)
{
    c->began = env_elapsed(c->config.env);
    if (!settle_is_well(c->config.settle)) {
        end_batch(c);
        return;
    }
    size_t from = c->next;
    fill_batch(c);
    if (c->batch_count == 0) {
        end_round(c);
        return;
    }
    c->job = (struct job){.work = read_batch, .done = on_read, .loop = c->config.loop};
    c->is_reading = jobs_submit(c->config.jobs, &c->job) == 0;
    if (c->is_reading)
        return;
    c->next = from;
    forget_batch(c);
    end_batch(c);
}

static void on_timer(void *ctx)
{
    struct carrier *c = ctx;
    if (c->is_stopped)
        return;
    if (c->items)
        begin_batch(c);
    else
        look_from(c, ID_SMTPD);
}
