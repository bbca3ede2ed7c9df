#include "journal/recover.h"
#include "base/log.h"
#include "journal/dirs.h"
#include "journal/quarantine.h"
#include "journal/readers.h"
#include "journal/scan.h"
#include "journal/segment.h"

#include <errno.h>

enum { REWRITE_STEP = 128 * 1024 };

struct recovery {
    const struct journal_config *config;
    struct env *env;
    const char *dir;
    struct segment_list list;
    struct quarantine known; /* as the file has it */
    struct quarantine found;
    struct scan scan;
    uint64_t proven; /* every byte before this position was synced once */
    uint64_t needed; /* the lowest position that a reader will read records from */
    struct recovered out;
};

/* Damage, or the place where the journal ends: not known before all of the segment is read. */
struct gaps {
    struct quarantine all;
    uint64_t last_whole;     /* end of the last whole record */
    struct scan_batch batch; /* the last one */
};

uint64_t journal_queue_id(enum record_type type, slice fields)
{
    switch (type) {
    case RECORD_MESSAGE:
    case RECORD_CARRIED:
    case RECORD_OUTCOME:
    case RECORD_DSN:
        return record_get_u64(fields, TAG_ID);
    default:
        return 0;
    }
}

static uint64_t round_up(uint64_t position)
{
    return (position + 7) & ~(uint64_t)7;
}

static void note_record(struct recovery *r, const struct journal_record *record)
{
    const struct record_header *h = &record->header;
    if (h->at > r->out.last_stamp)
        r->out.last_stamp = h->at;
    uint64_t id = journal_queue_id(h->type, record->fields);
    if (id > r->out.highest_id)
        r->out.highest_id = id;
    if (h->type == RECORD_BATCH) {
        uint64_t synced = record_get_u64(record->fields, TAG_SYNCED);
        if (synced > r->proven && synced <= record->position)
            r->proven = synced;
    }
}

static int walk_segment(struct recovery *r, uint64_t limit, struct gaps *gaps)
{
    uint64_t position = r->scan.base + SEGMENT_HEADER_LEN;
    gaps->last_whole = position;
    while (position < limit) {
        struct journal_record record;
        int err = scan_record(&r->scan, position, limit, &record);
        if (err == 0) {
            note_record(r, &record);
            scan_batch_note(&gaps->batch, &record);
            position = gaps->last_whole = record.next;
            continue;
        }
        if (err != -EBADMSG)
            return err;
        scan_batch_tear(&gaps->batch);
        uint64_t from = position;
        err = scan_search(&r->scan, from + 1, limit, &position);
        if (err == -ENOENT)
            position = limit;
        else if (err < 0)
            return err;
        err = quarantine_add(&gaps->all, from, position);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Every byte of this segment up to `end` was synced: what cannot be read there is damage. */
static int check_closed_segment(struct recovery *r, uint64_t end)
{
    struct gaps gaps = {0};
    int err = walk_segment(r, end, &gaps);
    for (size_t i = 0; err == 0 && i < gaps.all.count; i++)
        err = quarantine_add(&r->found, gaps.all.ranges[i].from, gaps.all.ranges[i].to);
    quarantine_fini(&gaps.all);
    return err;
}

/* What of these gaps was synced once is damage. *end: where the first one is that was not. */
static int sort_gaps(struct recovery *r, const struct gaps *gaps, uint64_t limit, uint64_t *end)
{
    /* A reader that has been inside the batch has proven all of it. */
    bool is_proven = gaps->batch.left > 0 && gaps->batch.start < r->proven;
    uint64_t proven_end = is_proven ? limit : r->proven;
    for (size_t i = 0; i < gaps->all.count; i++) {
        struct quarantine_range g = gaps->all.ranges[i];
        if (g.from >= proven_end) {
            *end = g.from;
            return 0;
        }
        if (g.to == limit)
            g.to = round_up(proven_end);
        *end = g.to > *end ? g.to : *end;
        int err = quarantine_add(&r->found, g.from, g.to);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Finds where the last segment, of this many bytes, ends: at the end of a batch, since readers
 * look for the next segment there and nowhere else. */
static int check_last_segment(struct recovery *r, uint64_t size)
{
    uint64_t limit = r->scan.base + size;
    struct gaps gaps = {0};
    int err = walk_segment(r, limit, &gaps);
    uint64_t end = gaps.last_whole;
    if (err == 0)
        err = sort_gaps(r, &gaps, limit, &end);
    if (gaps.batch.left > 0 && gaps.batch.start >= r->proven && end > gaps.batch.start)
        end = gaps.batch.start;
    quarantine_fini(&gaps.all);
    if (err == 0 && end < r->proven) {
        err = quarantine_add(&r->found, end, round_up(r->proven));
        end = round_up(r->proven);
    }
    if (err < 0)
        return err;
    r->out.end = end;
    r->out.cut = limit > end ? limit - end : 0;
    return 0;
}

/* Writes the bytes again that no proof covers, so that the sync that follows is about them. */
static int keep_last_segment(struct recovery *r, int fd)
{
    uint64_t base = r->scan.base;
    uint64_t from = r->proven > base + SEGMENT_HEADER_LEN ? r->proven : base;
    uint64_t end = r->out.end;
    while (from < end) {
        const char *bytes;
        size_t len = end - from < REWRITE_STEP ? (size_t)(end - from) : REWRITE_STEP;
        ssize_t n = scan_bytes(&r->scan, from, len, end, &bytes);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        struct iovec iov = {(void *)(uintptr_t)bytes, (size_t)n};
        int err = env_write_all(r->env, fd, &iov, 1, from - base);
        if (err < 0)
            return err;
        from += (uint64_t)n;
    }
    int err = env_fdatasync(r->env, fd);
    return err < 0 ? err : env_sync_dir(r->env, r->dir);
}

/* A last segment without a header: either it was never used, or its header was damaged. */
static int headless_last(struct recovery *r, const char *path, uint64_t base, uint64_t size)
{
    uint64_t end = base + size > r->proven ? base + size : r->proven;
    if (end > base + SEGMENT_HEADER_LEN) {
        r->out.end = round_up(end);
        return quarantine_add(&r->found, base, r->out.end);
    }
    log_warning("journal-unused-segment", LOG_C("segment", path), LOG_I("bytes", size));
    int err = env_unlink(r->env, path);
    if (err < 0)
        return err;
    r->out.cut += size;
    r->out.disk_bytes -= size;
    r->list.count--;
    return -EAGAIN;
}

static int visit_header(struct recovery *r, int fd, uint64_t base)
{
    struct segment_header h;
    int err = segment_read_header(r->env, fd, base, &h);
    if (err < 0)
        return err;
    if (h.highest_id > r->out.highest_id)
        r->out.highest_id = h.highest_id;
    if (h.last_stamp > r->out.last_stamp)
        r->out.last_stamp = h.last_stamp;
    scan_enter(&r->scan, r->env, fd, base, h.key);
    return 0;
}

static int visit_closed(struct recovery *r, int fd, uint64_t base, uint64_t end)
{
    int err = visit_header(r, fd, base);
    if (end <= r->needed)
        return err == -EBADMSG ? 0 : err;
    if (err == -EBADMSG)
        return quarantine_add(&r->found, base, end);
    return err < 0 ? err : check_closed_segment(r, end);
}

static int visit_last(struct recovery *r, int fd, const char *path, uint64_t base,
                      uint64_t size)
{
    int err = visit_header(r, fd, base);
    if (err == -EBADMSG)
        return headless_last(r, path, base, size);
    if (err == 0)
        err = check_last_segment(r, size);
    return err < 0 ? err : keep_last_segment(r, fd);
}

static int visit_segment(struct recovery *r, size_t i)
{
    uint64_t base = r->list.bases[i];
    bool is_last = i + 1 == r->list.count;
    char path[SEGMENT_PATH_SIZE];
    int err = segment_path(r->dir, base, path);
    if (err < 0)
        return err;
    int fd = env_open(r->env, path, is_last ? ENV_WRITE : ENV_READ);
    if (fd < 0)
        return fd;
    uint64_t size;
    err = env_size(r->env, fd, &size);
    if (err == 0) {
        r->out.disk_bytes += size;
        err = is_last ? visit_last(r, fd, path, base, size)
                      : visit_closed(r, fd, base, r->list.bases[i + 1]);
    }
    env_close(r->env, fd);
    return err;
}

static int visit_all(struct recovery *r)
{
    /* The last first: when it turns out never to have been used, the one before is the last. */
    int err = -EAGAIN;
    while (err == -EAGAIN && r->list.count)
        err = visit_segment(r, r->list.count - 1);
    if (r->list.count == 0) {
        r->out.end = round_up(r->proven);
        return r->out.end ? quarantine_add(&r->found, 0, r->out.end) : 0;
    }
    for (size_t i = 0; err == 0 && i + 1 < r->list.count; i++)
        err = visit_segment(r, i);
    return err;
}

/* What is known already stays known; what lies in segments that are gone is forgotten. */
static int merge_quarantine(struct recovery *r)
{
    uint64_t oldest = r->list.count ? r->list.bases[0] : 0;
    bool is_new = false;
    for (size_t i = 0; i < r->found.count; i++) {
        const struct quarantine_range *g = &r->found.ranges[i];
        const struct quarantine_range *k = quarantine_find(&r->known, g->from);
        is_new |= !k || k->to < g->to;
    }
    for (size_t i = 0; i < r->known.count; i++) {
        struct quarantine_range k = r->known.ranges[i];
        int err = k.to > oldest ? quarantine_add(&r->found, k.from, k.to) : 0;
        if (err < 0)
            return err;
    }
    for (size_t i = 0; i < r->found.count; i++)
        log_error("journal-damaged", LOG_C("journal", r->dir),
                  LOG_I("from", r->found.ranges[i].from), LOG_I("to", r->found.ranges[i].to));
    r->out.quarantined = (unsigned)r->found.count;
    return is_new ? quarantine_write(&r->found, r->env, r->dir) : 0;
}

static int read_quarantine(struct recovery *r)
{
    int err = quarantine_read(&r->known, r->env, r->dir);
    if (err != -EBADMSG)
        return err;
    log_error("journal-quarantine-unreadable", LOG_C("journal", r->dir));
    return 0;
}

static int run(struct recovery *r)
{
    struct readers_floor floor = readers_floor(r->config);
    r->needed = floor.read;
    r->proven = floor.proven;
    int err = dirs_make(r->env, r->dir);
    if (err == 0)
        err = segment_list_read(&r->list, r->env, r->dir);
    if (err == 0)
        err = read_quarantine(r);
    if (err == 0)
        err = visit_all(r);
    return err < 0 ? err : merge_quarantine(r);
}

int recover(const struct journal_config *config, struct recovered *out)
{
    struct recovery r = {.config = config, .env = config->env, .dir = config->dir};
    int err = run(&r);
    scan_fini(&r.scan);
    segment_list_fini(&r.list);
    quarantine_fini(&r.known);
    quarantine_fini(&r.found);
    if (err == 0)
        *out = r.out;
    return err;
}
