#include "journal/reader.h"
#include "base/log.h"
#include "journal/quarantine.h"
#include "journal/scan.h"
#include "journal/segment.h"

#include <errno.h>
#include <stdlib.h>

struct journal_reader {
    struct env *env;
    const struct watermark *watermark;
    char *dir;
    int fd;            /* of the segment, or -1 */
    uint64_t position; /* of the next record */
    struct scan scan;
    struct quarantine quarantine;
};

static uint64_t durable(const struct journal_reader *r)
{
    return atomic_load_explicit(&r->watermark->durable, memory_order_acquire);
}

static void leave_segment(struct journal_reader *r)
{
    if (r->fd >= 0)
        env_close(r->env, r->fd);
    r->fd = -1;
}

/* Opens the segment that begins at the base: 0, -ENOENT, -EBADMSG (no header), -errno. */
static int enter_segment(struct journal_reader *r, uint64_t base)
{
    char path[SEGMENT_PATH_SIZE];
    int err = segment_path(r->dir, base, path);
    if (err < 0)
        return err;
    int fd = env_open(r->env, path, ENV_READ);
    if (fd < 0)
        return fd;
    struct segment_header h;
    err = segment_read_header(r->env, fd, base, &h);
    if (err < 0) {
        env_close(r->env, fd);
        return err;
    }
    leave_segment(r);
    r->fd = fd;
    scan_enter(&r->scan, r->env, fd, base, h.key);
    if (r->position < base + SEGMENT_HEADER_LEN)
        r->position = base + SEGMENT_HEADER_LEN;
    return 0;
}

/* Opens the segment that the position is in; 0 stands for the oldest there is. */
static int find_segment(struct journal_reader *r)
{
    struct segment_list list = {0};
    int err = segment_list_read(&list, r->env, r->dir);
    if (err == 0 && list.count == 0)
        err = -ENOENT;
    if (err == 0) {
        if (r->position == 0)
            r->position = list.bases[0];
        ptrdiff_t i = segment_list_find(&list, r->position);
        err = i < 0 ? -ENOENT : enter_segment(r, list.bases[i]);
    }
    segment_list_fini(&list);
    return err;
}

static int read_quarantine(struct journal_reader *r)
{
    int err = quarantine_read(&r->quarantine, r->env, r->dir);
    /* Recovery has logged that it is unreadable; what it held ends reading, with -EUCLEAN. */
    return err == -EBADMSG || err == -ENOENT ? 0 : err;
}

/* Steps over the quarantined range that the position is in: -EBADMSG, or 0 when there is
 * none. */
static int step_over(struct journal_reader *r)
{
    const struct quarantine_range *q = quarantine_find(&r->quarantine, r->position);
    if (!q)
        return 0;
    log_error("journal-damage-skipped", LOG_C("journal", r->dir), LOG_I("from", r->position),
              LOG_I("to", q->to));
    r->position = q->to;
    leave_segment(r);
    return -EBADMSG;
}

/* There is no whole record at the position: the segment ends here, or it is damaged. 0: go
 * on reading. */
static int not_a_record(struct journal_reader *r)
{
    int err = enter_segment(r, r->position);
    if (err == 0 || (err != -ENOENT && err != -EBADMSG))
        return err;
    err = read_quarantine(r);
    if (err == 0)
        err = step_over(r);
    if (err != 0)
        return err;
    log_error("journal-damaged", LOG_C("journal", r->dir), LOG_I("position", r->position));
    return -EUCLEAN;
}

/* 1: a record for the caller; 0: go on reading; -errno. */
static int read_one(struct journal_reader *r, uint64_t limit, struct journal_record *out)
{
    int err = r->position ? step_over(r) : 0;
    if (err < 0)
        return err;
    if (r->fd < 0) {
        err = find_segment(r);
        return err == -EBADMSG ? not_a_record(r) : err;
    }
    struct journal_record record;
    err = scan_record(&r->scan, r->position, limit, &record);
    if (err == -EBADMSG)
        return not_a_record(r);
    if (err < 0)
        return err;
    if (record.header.type != RECORD_BATCH) {
        r->position = record.next;
        *out = record;
        return 1;
    }
    /* A batch that failed may still be readable; the segment after it says that it is cut. */
    err = enter_segment(r, record.position);
    if (err == -EBADMSG)
        return not_a_record(r);
    if (err != -ENOENT)
        return err;
    r->position = record.next;
    return 0;
}

int journal_reader_open(struct journal_reader **out, struct env *env, const char *dir,
                        const struct watermark *watermark, uint64_t position)
{
    struct journal_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    *r = (struct journal_reader){
        .env = env,
        .watermark = watermark,
        .dir = strdup(dir),
        .fd = -1,
        .position = position,
    };
    int err = r->dir ? read_quarantine(r) : -ENOMEM;
    /* A writer that has not recovered yet may still make the journal. */
    if (err == 0 && position < durable(r) && !quarantine_find(&r->quarantine, position)) {
        err = find_segment(r);
        if (err == -EBADMSG)
            err = 0; /* journal_next says so */
    }
    if (err < 0) {
        journal_reader_close(&r);
        return err;
    }
    *out = r;
    return 0;
}

void journal_reader_close(struct journal_reader **out)
{
    struct journal_reader *r = *out;
    if (!r)
        return;
    *out = NULL;
    leave_segment(r);
    scan_fini(&r->scan);
    quarantine_fini(&r->quarantine);
    free(r->dir);
    free(r);
}

void journal_reader_skip_bodies(struct journal_reader *r)
{
    r->scan.heads_only = true;
}

int journal_next(struct journal_reader *r, struct journal_record *out)
{
    for (;;) {
        uint64_t limit = durable(r);
        if (limit == 0 || r->position >= limit)
            return 0;
        int got = read_one(r, limit, out);
        if (got != 0)
            return got;
    }
}

uint64_t journal_reader_position(const struct journal_reader *r)
{
    return r->position;
}

/* The end of the whole batches of the segment, or its base when it has no header: there the one
 * before it ends. */
static int find_segment_end(struct env *env, const char *dir, uint64_t base, uint64_t *end)
{
    char path[SEGMENT_PATH_SIZE];
    int err = segment_path(dir, base, path);
    if (err < 0)
        return err;
    int fd = env_open(env, path, ENV_READ);
    if (fd < 0)
        return fd;
    struct segment_header h;
    uint64_t size;
    struct scan scan = {0};
    uint64_t position = base;
    struct scan_batch batch = {0};
    err = env_size(env, fd, &size);
    if (err == 0)
        err = segment_read_header(env, fd, base, &h);
    if (err == 0) {
        struct journal_record record;
        scan_enter(&scan, env, fd, base, h.key);
        position += SEGMENT_HEADER_LEN;
        while ((err = scan_record(&scan, position, base + size, &record)) == 0) {
            scan_batch_note(&batch, &record);
            position = record.next;
        }
    }
    scan_fini(&scan);
    env_close(env, fd);
    if (err != -EBADMSG)
        return err;
    *end = batch.left > 0 ? batch.start : position;
    return 0;
}

int journal_find_end(struct env *env, const char *dir, uint64_t *end)
{
    struct segment_list list = {0};
    int err = segment_list_read(&list, env, dir);
    if (err == 0)
        err = list.count == 0 ? -ENOENT
                              : find_segment_end(env, dir, list.bases[list.count - 1], end);
    segment_list_fini(&list);
    return err;
}
