#include "journal/snapshot.h"
#include "journal/dirs.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The file: 0 u32 magic "UTP1", 4 u32 format, 8 u32 version of the contents, 12 zeros,
 * 16 i64 stamp, 24 u64 positions, 48 u64 needs, 72 u64 length of the contents, 80 u64 XXH3 of
 * the contents, 88 u64 XXH3 of the first 88 bytes; then the contents. */
enum {
    MAGIC = 0x31505455,
    FORMAT = 1,
    AT_POSITIONS = 24,
    AT_NEEDS = 48,
    SUMMED_LEN = 88,
    HEAD_LEN = 96,
};

struct head {
    struct snapshot snapshot;
    uint64_t len;
    uint64_t sum;
};

static void put64(char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static uint64_t get64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static uint64_t sum_of(slice s)
{
    return XXH3_64bits(s.len ? s.ptr : "", s.len);
}

static void encode_head(const struct snapshot *s, char out[HEAD_LEN])
{
    memset(out, 0, HEAD_LEN);
    put64(out, MAGIC | (uint64_t)FORMAT << 32);
    put64(out + 8, s->version);
    put64(out + 16, (uint64_t)s->at);
    for (size_t i = 0; i < SNAPSHOT_JOURNALS; i++) {
        put64(out + AT_POSITIONS + 8 * i, s->position[i]);
        put64(out + AT_NEEDS + 8 * i, s->needs[i]);
    }
    put64(out + 72, s->contents.len);
    put64(out + 80, sum_of(s->contents));
    put64(out + SUMMED_LEN, sum_of(slice_make(out, SUMMED_LEN)));
}

static int decode_head(const char in[HEAD_LEN], struct head *out)
{
    if (get64(in) != (MAGIC | (uint64_t)FORMAT << 32) ||
        get64(in + SUMMED_LEN) != sum_of(slice_make(in, SUMMED_LEN)))
        return -EBADMSG;
    *out = (struct head){
        .snapshot = {.version = (uint32_t)get64(in + 8), .at = (stamp)get64(in + 16)},
        .len = get64(in + 72),
        .sum = get64(in + 80),
    };
    for (size_t i = 0; i < SNAPSHOT_JOURNALS; i++) {
        out->snapshot.position[i] = get64(in + AT_POSITIONS + 8 * i);
        out->snapshot.needs[i] = get64(in + AT_NEEDS + 8 * i);
    }
    return 0;
}

int snapshot_write(struct env *env, const char *path, const struct snapshot *s)
{
    size_t size = HEAD_LEN + s->contents.len;
    char *file = malloc(size);
    if (!file)
        return -ENOMEM;
    encode_head(s, file);
    if (s->contents.len)
        memcpy(file + HEAD_LEN, s->contents.ptr, s->contents.len);
    int err = dirs_make_parent(env, path);
    if (err == 0)
        err = env_replace_file(env, path, slice_make(file, size));
    free(file);
    return err;
}

static int read_head(struct env *env, int fd, struct head *out)
{
    char bytes[HEAD_LEN];
    ssize_t n = env_read_full(env, fd, bytes, sizeof(bytes), 0);
    if (n < 0)
        return (int)n;
    return n < HEAD_LEN ? -EBADMSG : decode_head(bytes, out);
}

static int read_contents(struct env *env, int fd, struct arena *a, struct head *head)
{
    uint64_t size;
    int err = env_size(env, fd, &size);
    if (err < 0)
        return err;
    if (size - HEAD_LEN != head->len || head->len > SIZE_MAX / 8)
        return -EBADMSG;
    char *contents = arena_alloc(a, (size_t)head->len);
    ssize_t n = env_read_full(env, fd, contents, (size_t)head->len, HEAD_LEN);
    if (n < 0)
        return (int)n;
    head->snapshot.contents = slice_make(contents, (size_t)head->len);
    bool is_whole = (uint64_t)n == head->len && sum_of(head->snapshot.contents) == head->sum;
    return is_whole ? 0 : -EBADMSG;
}

int snapshot_read(struct env *env, const char *path, struct arena *a, struct snapshot *out)
{
    int fd = env_open(env, path, ENV_READ);
    if (fd < 0)
        return fd;
    struct head head;
    int err = read_head(env, fd, &head);
    if (err == 0)
        err = read_contents(env, fd, a, &head);
    env_close(env, fd);
    if (err == 0)
        *out = head.snapshot;
    return err;
}

int snapshot_read_head(struct env *env, const char *path, struct snapshot *out)
{
    int fd = env_open(env, path, ENV_READ);
    if (fd < 0)
        return fd;
    struct head head;
    int err = read_head(env, fd, &head);
    env_close(env, fd);
    if (err == 0)
        *out = head.snapshot;
    return err;
}
