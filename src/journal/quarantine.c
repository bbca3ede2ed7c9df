#include "journal/quarantine.h"
#include "base/buf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { PATH_SIZE = 256, LINE_LEN = 34, SUM_LINE_LEN = 21, FILE_MAX = 64 * 1024 * 1024 };

static const slice FIRST_LINE = SLICE_INIT("utpost-quarantine 1\n");

void quarantine_fini(struct quarantine *q)
{
    free(q->ranges);
    *q = (struct quarantine){0};
}

static int insert_at(struct quarantine *q, size_t at, struct quarantine_range r)
{
    if (q->count == q->cap) {
        size_t cap = q->cap ? q->cap * 2 : 8;
        struct quarantine_range *ranges = reallocarray(q->ranges, cap, sizeof(*ranges));
        if (!ranges)
            return -ENOMEM;
        q->ranges = ranges;
        q->cap = cap;
    }
    memmove(q->ranges + at + 1, q->ranges + at, (q->count - at) * sizeof(*q->ranges));
    q->ranges[at] = r;
    q->count++;
    return 0;
}

static void remove_at(struct quarantine *q, size_t at)
{
    q->count--;
    memmove(q->ranges + at, q->ranges + at + 1, (q->count - at) * sizeof(*q->ranges));
}

int quarantine_add(struct quarantine *q, uint64_t from, uint64_t to)
{
    INVARIANT(from < to);
    size_t at = 0;
    while (at < q->count && q->ranges[at].to < from)
        at++;
    while (at < q->count && q->ranges[at].from <= to) {
        from = q->ranges[at].from < from ? q->ranges[at].from : from;
        to = q->ranges[at].to > to ? q->ranges[at].to : to;
        remove_at(q, at);
    }
    return insert_at(q, at, (struct quarantine_range){from, to});
}

const struct quarantine_range *quarantine_find(const struct quarantine *q, uint64_t position)
{
    for (size_t i = 0; i < q->count && q->ranges[i].from <= position; i++) {
        if (position < q->ranges[i].to)
            return &q->ranges[i];
    }
    return NULL;
}

static int file_path(const char *dir, char out[PATH_SIZE])
{
    int n = snprintf(out, PATH_SIZE, "%s/quarantine", dir);
    return n < PATH_SIZE ? 0 : -ENAMETOOLONG;
}

static bool parse_hex(slice text, uint64_t *out)
{
    char digits[17];
    if (text.len != 16)
        return false;
    memcpy(digits, text.ptr, 16);
    digits[16] = '\0';
    char *end;
    *out = strtoull(digits, &end, 16);
    return *end == '\0';
}

static int parse_file(struct quarantine *q, slice text)
{
    if (!slice_starts(text, FIRST_LINE) || text.len < FIRST_LINE.len + SUM_LINE_LEN)
        return -EBADMSG;
    slice body = slice_to(text, text.len - SUM_LINE_LEN);
    slice sum_line = slice_from(text, body.len);
    uint64_t sum;
    if (!slice_starts(sum_line, SLICE("sum ")) || !slice_ends(sum_line, SLICE("\n")) ||
        !parse_hex(slice_to(slice_from(sum_line, 4), 16), &sum) ||
        sum != XXH3_64bits(body.ptr, body.len))
        return -EBADMSG;
    slice lines = slice_from(body, FIRST_LINE.len);
    slice line;
    while (slice_split(&lines, '\n', &line)) {
        struct quarantine_range r;
        if (line.len != LINE_LEN - 1 || !parse_hex(slice_to(line, 16), &r.from) ||
            !parse_hex(slice_from(line, 17), &r.to) || r.from >= r.to)
            return -EBADMSG;
        int err = quarantine_add(q, r.from, r.to);
        if (err < 0)
            return err;
    }
    return 0;
}

static int read_file(struct env *env, int fd, struct quarantine *q)
{
    uint64_t size;
    int err = env_size(env, fd, &size);
    if (err < 0)
        return err;
    if (size == 0 || size > FILE_MAX)
        return -EBADMSG;
    char *text = malloc((size_t)size);
    if (!text)
        return -ENOMEM;
    ssize_t n = env_read_full(env, fd, text, (size_t)size, 0);
    err = n < 0 ? (int)n : parse_file(q, slice_make(text, (size_t)n));
    free(text);
    return err;
}

int quarantine_read(struct quarantine *q, struct env *env, const char *dir)
{
    char path[PATH_SIZE];
    int err = file_path(dir, path);
    if (err < 0)
        return err;
    int fd = env_open(env, path, ENV_READ);
    if (fd < 0 && fd != -ENOENT)
        return fd;
    struct quarantine fresh = {0};
    if (fd >= 0) {
        err = read_file(env, fd, &fresh);
        env_close(env, fd);
    }
    if (err < 0) {
        quarantine_fini(&fresh);
        return err;
    }
    quarantine_fini(q);
    *q = fresh;
    return 0;
}

int quarantine_write(const struct quarantine *q, struct env *env, const char *dir)
{
    char path[PATH_SIZE];
    int err = file_path(dir, path);
    if (err < 0)
        return err;
    struct buf b = BUF_INIT;
    buf_append(&b, FIRST_LINE);
    for (size_t i = 0; i < q->count; i++)
        buf_printf(&b, "%016" PRIx64 " %016" PRIx64 "\n", q->ranges[i].from, q->ranges[i].to);
    if (b.error == 0)
        buf_printf(&b, "sum %016" PRIx64 "\n", (uint64_t)XXH3_64bits(b.ptr, b.len));
    err = b.error ? b.error : env_replace_file(env, path, buf_slice(&b));
    buf_fini(&b);
    return err;
}
