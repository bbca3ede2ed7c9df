#include "journal/committer.h"
#include "base/buf.h"
#include "base/log.h"
#include "journal/recover.h"
#include "journal/segment.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BATCH_ENTRIES = 512,
    BATCH_PIECES = 1024,
    BATCH_BYTES = 16 * 1024 * 1024,
    FIELDS_COPIED = 2048, /* longer fields are written from where they are */
    BATCH_FIELDS = 128,   /* room for the fields of a batch header */
    SCRATCH_PER_ENTRY = RECORD_HEADER_LEN + FIELDS_COPIED + 8,
    SCRATCH_SIZE = BATCH_ENTRIES * SCRATCH_PER_ENTRY + RECORD_HEADER_LEN + BATCH_FIELDS + 8,
};

static const uint64_t DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;

/* ---- segments ---- */

static int enter_new_segment(struct committer *c)
{
    struct segment_header h = {
        .base = c->end,
        .highest_id = c->highest_id,
        .last_stamp = c->last_stamp,
    };
    env_random(c->config.env, &h.key, sizeof(h.key));
    int fd = segment_create(c->config.env, c->config.dir, &h);
    if (fd < 0)
        return fd;
    if (c->fd >= 0)
        env_close(c->config.env, c->fd);
    c->fd = fd;
    c->base = h.base;
    c->key = h.key;
    c->end = h.base + SEGMENT_HEADER_LEN;
    c->is_left = false;
    atomic_store(&c->current_base, h.base);
    atomic_fetch_add(&c->disk_bytes, SEGMENT_HEADER_LEN);
    return 0;
}

static int ensure_segment(struct committer *c)
{
    if (c->end - c->base >= c->config.segment_bytes)
        c->is_left = true;
    return c->is_left ? enter_new_segment(c) : 0;
}

/* ---- the batch as one vector ---- */

static void add_piece(struct committer *c, const void *ptr, size_t len)
{
    if (len == 0)
        return;
    struct iovec *last = c->iov_count ? &c->iov[c->iov_count - 1] : NULL;
    if (last && (const char *)last->iov_base + last->iov_len == (const char *)ptr) {
        last->iov_len += len;
        return;
    }
    INVARIANT(c->iov_count < c->iov_cap);
    c->iov[c->iov_count++] = (struct iovec){(void *)(uintptr_t)ptr, len};
}

static char *take_scratch(struct committer *c, size_t len)
{
    INVARIANT(c->scratch_len + len <= SCRATCH_SIZE);
    char *p = c->scratch + c->scratch_len;
    c->scratch_len += len;
    return p;
}

static void add_copy(struct committer *c, slice s)
{
    char *p = take_scratch(c, s.len);
    if (s.len)
        memcpy(p, s.ptr, s.len);
    add_piece(c, p, s.len);
}

/* Adds a whole record at the position: its size. */
static uint64_t add_record(struct committer *c, struct record_header *h, slice fields,
                           const struct iovec *body, int body_count, uint64_t position)
{
    uint64_t seed = segment_seed(c->key, position);
    char *head = take_scratch(c, RECORD_HEADER_LEN);
    h->node = c->config.node;
    h->body_sum = record_body_sum(body, body_count, seed);
    record_encode_header(h, fields, seed, head);
    add_piece(c, head, RECORD_HEADER_LEN);
    if (fields.len <= FIELDS_COPIED)
        add_copy(c, fields);
    else
        add_piece(c, fields.ptr, fields.len);
    for (int i = 0; i < body_count; i++)
        add_piece(c, body[i].iov_base, body[i].iov_len);
    uint64_t size = record_size(h->fields_len, h->body_len);
    size_t padding = (size_t)(size - RECORD_HEADER_LEN - fields.len - h->body_len);
    static const char zeros[8];
    add_copy(c, slice_make(zeros, padding));
    return size;
}

static uint64_t add_batch_header(struct committer *c, unsigned count)
{
    char room[BATCH_FIELDS];
    struct buf fields = {.ptr = room, .cap = sizeof(room), .max = sizeof(room)};
    record_put_u64(&fields, TAG_SEGMENT, c->base);
    record_put_u64(&fields, TAG_SYNCED, c->end);
    record_put_u64(&fields, TAG_COUNT, count);
    INVARIANT(fields.error == 0 && fields.ptr == room);
    struct record_header h = {.type = RECORD_BATCH, .at = env_now(c->config.env)};
    if (h.at > c->last_stamp)
        c->last_stamp = h.at;
    return add_record(c, &h, buf_slice(&fields), NULL, 0, c->end);
}

static void note_entry(struct committer *c, const struct journal_entry *e)
{
    if (e->header.at > c->last_stamp)
        c->last_stamp = e->header.at;
    uint64_t id = journal_queue_id(e->header.type, e->fields);
    if (id > c->highest_id)
        c->highest_id = id;
}

/* The vector of the batch: its length in bytes. */
static uint64_t build_batch(struct committer *c, struct journal_entry *batch)
{
    unsigned count = 0;
    for (struct journal_entry *e = batch; e; e = e->next)
        count++;
    c->iov_count = 0;
    c->scratch_len = 0;
    uint64_t position = c->end + add_batch_header(c, count);
    for (struct journal_entry *e = batch; e; e = e->next) {
        e->position = position;
        position += add_record(c, &e->header, e->fields, e->body, e->body_count, position);
        note_entry(c, e);
    }
    return position - c->end;
}

/* ---- writing ---- */

/* One call for the batch, as a rule; what a short write left goes after it. */
static int write_vector(struct committer *c, uint64_t len)
{
    struct env *env = c->config.env;
    uint64_t at = c->end - c->base;
    int count = c->iov_count < IOV_MAX ? c->iov_count : IOV_MAX;
    ssize_t n = env_pwritev(env, c->fd, c->iov, count, at);
    if (n == -EINTR)
        n = 0;
    if (n < 0)
        return (int)n;
    uint64_t written = (uint64_t)n;
    if (written == len)
        return 0;
    struct iovec *rest = c->iov;
    size_t skip = (size_t)n;
    while (skip >= rest->iov_len)
        skip -= rest++->iov_len;
    rest->iov_base = (char *)rest->iov_base + skip;
    rest->iov_len -= skip;
    return env_write_all(env, c->fd, rest, (int)(c->iov + c->iov_count - rest), at + written);
}

/* Writes and syncs; the journal's end moves only when both have succeeded. */
static int write_batch(struct committer *c, struct journal_entry *batch)
{
    int err = ensure_segment(c);
    if (err < 0)
        return err;
    uint64_t len = build_batch(c, batch);
    atomic_fetch_add(&c->disk_bytes, len);
    err = write_vector(c, len);
    if (err == 0) {
        atomic_fetch_add(&c->syncs, 1);
        err = env_fdatasync(c->config.env, c->fd);
    }
    if (err < 0) {
        c->is_left = true;
        return err;
    }
    c->end += len;
    atomic_fetch_add(&c->batches, 1);
    atomic_fetch_add(&c->bytes, len);
    return 0;
}

static void publish(struct committer *c)
{
    const struct journal_config *config = &c->config;
    atomic_store_explicit(&config->watermark->durable, c->end, memory_order_release);
    uint64_t one = 1;
    /* An eventfd whose counter is full wakes its reader already. */
    for (size_t i = 0; i < config->wake_count; i++)
        (void)!write(config->wake[i], &one, sizeof(one));
}

static void finish(struct committer *c, struct journal_entry *list, int result)
{
    bool is_empty = !list;
    while (list) {
        struct journal_entry *e = list;
        list = e->next; /* done may give the entry back */
        e->next = NULL;
        e->result = result;
        atomic_fetch_add(result < 0 ? &c->failures : &c->records, 1);
        e->done(e);
    }
    if (!is_empty && c->config.batch_done)
        c->config.batch_done(c->config.ctx);
}

/* ---- failure ---- */

static struct journal_entry *split_unrepeatable(struct journal_entry **batch)
{
    struct journal_entry *kept = NULL;
    struct journal_entry **kept_end = &kept;
    for (struct journal_entry **at = batch; *at;) {
        struct journal_entry *e = *at;
        if (!e->unrepeatable) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        e->next = NULL;
        *kept_end = e;
        kept_end = &e->next;
    }
    return kept;
}

/* The batch is not on disk. A new segment is opened even when nothing is appended again: its
 * header is what cuts the failed batch off. */
static void commit_failed(struct committer *c, struct journal_entry *batch, int err)
{
    log_error("journal-write-failed", LOG_C("journal", c->config.dir), LOG_E("error", err),
              LOG_I("position", c->end));
    struct journal_entry *again = split_unrepeatable(&batch);
    int second = c->is_left ? enter_new_segment(c) : 0;
    if (again) {
        if (second == 0)
            second = write_batch(c, again);
        if (second < 0) {
            c->is_closed = true;
            log_error("journal-closed", LOG_C("journal", c->config.dir),
                      LOG_E("error", second));
        } else {
            publish(c);
        }
    }
    finish(c, batch, err);
    finish(c, again, second);
}

/* ---- from a chain to batches ---- */

struct need {
    uint64_t bytes;
    int pieces;
};

/* Completes the header: 0, or why the entry cannot be taken. */
static int check_entry(struct committer *c, struct journal_entry *e, uint64_t before,
                       struct need *need)
{
    if (c->is_closed)
        return -EROFS;
    uint64_t body = 0;
    for (int i = 0; i < e->body_count; i++)
        body += e->body[i].iov_len;
    if (e->fields.len > RECORD_FIELDS_MAX || body > RECORD_BODY_MAX)
        return -EMSGSIZE;
    e->header.body_len = body;
    need->bytes = record_size((uint32_t)e->fields.len, body);
    need->pieces = e->body_count + 3;
    uint64_t max = atomic_load(&c->max_bytes);
    bool is_full = max && atomic_load(&c->disk_bytes) + before + need->bytes > max;
    if (is_full && !c->is_full)
        log_error("journal-full", LOG_C("journal", c->config.dir), LOG_I("max_bytes", max));
    c->is_full = is_full;
    return is_full && !e->unrepeatable ? -ENOSPC : 0;
}

static int ensure_pieces(struct committer *c, int pieces)
{
    if (pieces <= c->iov_cap)
        return 0;
    struct iovec *iov = reallocarray(c->iov, (size_t)pieces, sizeof(*iov));
    if (!iov)
        return -ENOMEM;
    c->iov = iov;
    c->iov_cap = pieces;
    return 0;
}

/* Takes entries off the chain as far as one batch holds them; those that cannot be taken at
 * all are told so. May return NULL. */
static struct journal_entry *take_batch(struct committer *c, struct journal_entry **list)
{
    struct journal_entry *batch = NULL;
    struct journal_entry **end = &batch;
    struct need sum = {.pieces = 1};
    for (int count = 0; *list && count < BATCH_ENTRIES; count++) {
        struct journal_entry *e = *list;
        struct need need = {0};
        int err = check_entry(c, e, sum.bytes, &need);
        bool fits =
            sum.pieces + need.pieces <= BATCH_PIECES && sum.bytes + need.bytes <= BATCH_BYTES;
        if (err == 0 && batch && !fits)
            break;
        if (err == 0)
            err = ensure_pieces(c, sum.pieces + need.pieces);
        *list = e->next;
        e->next = NULL;
        if (err < 0) {
            finish(c, e, err);
            continue;
        }
        sum.bytes += need.bytes;
        sum.pieces += need.pieces;
        *end = e;
        end = &e->next;
    }
    return batch;
}

void committer_commit(struct committer *c, struct journal_entry *list)
{
    while (list) {
        struct journal_entry *batch = take_batch(c, &list);
        if (!batch)
            continue;
        int err = write_batch(c, batch);
        if (err < 0) {
            commit_failed(c, batch, err);
            continue;
        }
        publish(c);
        finish(c, batch, 0);
    }
}

/* ---- opening ---- */

static int allocate(struct committer *c)
{
    c->iov = calloc(BATCH_PIECES, sizeof(*c->iov));
    c->iov_cap = c->iov ? BATCH_PIECES : 0;
    c->scratch = malloc(SCRATCH_SIZE);
    return c->iov && c->scratch ? 0 : -ENOMEM;
}

int committer_open(struct committer *c, const struct journal_config *config,
                   struct journal_recovery *recovery)
{
    *c = (struct committer){.config = *config, .fd = -1, .is_left = true};
    atomic_store(&c->max_bytes, config->max_bytes);
    atomic_store(&c->holder, -1);
    if (c->config.segment_bytes == 0)
        c->config.segment_bytes = DEFAULT_SEGMENT_BYTES;
    struct recovered found;
    int err = allocate(c);
    if (err == 0)
        err = recover(&c->config, &found);
    if (err == 0) {
        c->end = found.end;
        c->highest_id = found.highest_id;
        c->last_stamp = found.last_stamp;
        atomic_store(&c->disk_bytes, found.disk_bytes);
        err = enter_new_segment(c);
    }
    if (err < 0) {
        committer_close(c);
        return err;
    }
    publish(c);
    *recovery = (struct journal_recovery){
        .position = c->end,
        .cut = found.cut,
        .highest_id = found.highest_id,
        .last_stamp = found.last_stamp,
        .quarantined = found.quarantined,
    };
    return 0;
}

void committer_close(struct committer *c)
{
    if (c->fd >= 0)
        env_close(c->config.env, c->fd);
    c->fd = -1;
    free(c->iov);
    free(c->scratch);
    c->iov = NULL;
    c->scratch = NULL;
}
