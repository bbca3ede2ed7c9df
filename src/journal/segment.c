#include "journal/segment.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    MAGIC = 0x31535455, /* "UTS1", little-endian */
    VERSION = 1,
    COPY_LEN = 64,
    SUMMED_LEN = 56,
    SECOND_COPY = 2048,
    NAME_DIGITS = 16,
};

int segment_path(const char *dir, uint64_t base, char out[SEGMENT_PATH_SIZE])
{
    int n = snprintf(out, SEGMENT_PATH_SIZE, "%s/%016llx.seg", dir, (unsigned long long)base);
    return n < SEGMENT_PATH_SIZE ? 0 : -ENAMETOOLONG;
}

bool segment_parse_name(const char *name, uint64_t *base)
{
    if (strlen(name) != NAME_DIGITS + 4 || strcmp(name + NAME_DIGITS, ".seg") != 0)
        return false;
    uint64_t value = 0;
    for (int i = 0; i < NAME_DIGITS; i++) {
        const char *digits = "0123456789abcdef";
        const char *d = strchr(digits, name[i]);
        if (!d || !*d)
            return false;
        value = value << 4 | (uint64_t)(d - digits);
    }
    *base = value;
    return true;
}

uint64_t segment_seed(uint64_t key, uint64_t position)
{
    return key ^ position * 0x9e3779b97f4a7c15u;
}

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

static void encode_header(const struct segment_header *h, char out[COPY_LEN])
{
    memset(out, 0, COPY_LEN);
    put64(out, MAGIC | (uint64_t)VERSION << 32);
    put64(out + 8, h->base);
    put64(out + 16, h->key);
    put64(out + 24, h->highest_id);
    put64(out + 32, (uint64_t)h->last_stamp);
    put64(out + SUMMED_LEN, XXH3_64bits(out, SUMMED_LEN));
}

static bool decode_header(const char in[COPY_LEN], uint64_t base, struct segment_header *out)
{
    if (get64(in) != (MAGIC | (uint64_t)VERSION << 32) || get64(in + 8) != base)
        return false;
    if (get64(in + SUMMED_LEN) != XXH3_64bits(in, SUMMED_LEN))
        return false;
    *out = (struct segment_header){
        .base = base,
        .key = get64(in + 16),
        .highest_id = get64(in + 24),
        .last_stamp = (stamp)get64(in + 32),
    };
    return true;
}

static int write_header(struct env *env, int fd, const struct segment_header *h)
{
    char page[SEGMENT_HEADER_LEN] = {0};
    encode_header(h, page);
    memcpy(page + SECOND_COPY, page, COPY_LEN);
    struct iovec iov = {page, sizeof(page)};
    int err = env_write_all(env, fd, &iov, 1, 0);
    return err < 0 ? err : env_fdatasync(env, fd);
}

int segment_create(struct env *env, const char *dir, const struct segment_header *h)
{
    char path[SEGMENT_PATH_SIZE];
    int err = segment_path(dir, h->base, path);
    if (err < 0)
        return err;
    int fd = env_open(env, path, ENV_CREATE);
    if (fd == -EEXIST) {
        err = env_unlink(env, path);
        if (err < 0)
            return err;
        fd = env_open(env, path, ENV_CREATE);
    }
    if (fd < 0)
        return fd;
    err = write_header(env, fd, h);
    if (err == 0)
        err = env_sync_dir(env, dir);
    if (err == 0)
        return fd;
    env_close(env, fd);
    (void)!env_unlink(env, path);
    return err;
}

int segment_read_header(struct env *env, int fd, uint64_t base, struct segment_header *out)
{
    char page[SEGMENT_HEADER_LEN];
    ssize_t n = env_read_full(env, fd, page, sizeof(page), 0);
    if (n < 0)
        return (int)n;
    if (n >= COPY_LEN && decode_header(page, base, out))
        return 0;
    if (n >= SECOND_COPY + COPY_LEN && decode_header(page + SECOND_COPY, base, out))
        return 0;
    return -EBADMSG;
}

static int list_add(void *ctx, const char *name)
{
    struct segment_list *l = ctx;
    uint64_t base;
    if (!segment_parse_name(name, &base))
        return 0;
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        uint64_t *bases = reallocarray(l->bases, cap, sizeof(*bases));
        if (!bases)
            return -ENOMEM;
        l->bases = bases;
        l->cap = cap;
    }
    l->bases[l->count++] = base;
    return 0;
}

static int compare_bases(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int segment_list_read(struct segment_list *l, struct env *env, const char *dir)
{
    l->count = 0;
    int err = env_list(env, dir, list_add, l);
    if (err < 0)
        return err;
    if (l->count)
        qsort(l->bases, l->count, sizeof(*l->bases), compare_bases);
    return 0;
}

void segment_list_fini(struct segment_list *l)
{
    free(l->bases);
    *l = (struct segment_list){0};
}

ptrdiff_t segment_list_find(const struct segment_list *l, uint64_t position)
{
    ptrdiff_t found = -1;
    for (size_t i = 0; i < l->count && l->bases[i] <= position; i++)
        found = (ptrdiff_t)i;
    return found;
}
