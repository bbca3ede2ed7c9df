#include "base/env.h"

#include <errno.h>

static struct env_test *test_of(struct env *e)
{
    return CONTAINER_OF(e, struct env_test, env);
}

/* Each disk operation is that of the environment below, if there is one. */
#define FORWARD(e, call)                 \
    struct env *disk = test_of(e)->disk; \
    return disk ? disk->ops->call : -ENOSYS

static int test_open(struct env *e, const char *path, enum env_open_mode mode)
{
    FORWARD(e, open(disk, path, mode));
}

static int test_close(struct env *e, int fd)
{
    FORWARD(e, close(disk, fd));
}

static ssize_t test_pread(struct env *e, int fd, void *out, size_t len, uint64_t at)
{
    FORWARD(e, pread(disk, fd, out, len, at));
}

static ssize_t test_pwritev(struct env *e, int fd, const struct iovec *iov, int count,
                            uint64_t at)
{
    FORWARD(e, pwritev(disk, fd, iov, count, at));
}

static int test_fdatasync(struct env *e, int fd)
{
    FORWARD(e, fdatasync(disk, fd));
}

static int test_size(struct env *e, int fd, uint64_t *out)
{
    FORWARD(e, size(disk, fd, out));
}

static int test_rename(struct env *e, const char *from, const char *to)
{
    FORWARD(e, rename(disk, from, to));
}

static int test_unlink(struct env *e, const char *path)
{
    FORWARD(e, unlink(disk, path));
}

static int test_mkdir(struct env *e, const char *path)
{
    FORWARD(e, mkdir(disk, path));
}

static int test_sync_dir(struct env *e, const char *path)
{
    FORWARD(e, sync_dir(disk, path));
}

static int test_list(struct env *e, const char *path, env_list_fn *fn, void *ctx)
{
    FORWARD(e, list(disk, path, fn, ctx));
}

static int test_free_space(struct env *e, uint64_t *bytes, uint64_t *inodes)
{
    FORWARD(e, free_space(disk, bytes, inodes));
}

static stamp test_now(struct env *e)
{
    return test_of(e)->now;
}

static span test_elapsed(struct env *e)
{
    return test_of(e)->elapsed;
}

static uint64_t test_boot(struct env *e)
{
    return test_of(e)->boot;
}

/* splitmix64: any fixed sequence will do. */
static void test_random(struct env *e, void *out, size_t len)
{
    struct env_test *t = test_of(e);
    unsigned char *p = out;
    for (size_t i = 0; i < len; i++) {
        uint64_t z = (t->seed += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        p[i] = (unsigned char)(z >> 56);
    }
}

static const struct env_ops test_ops = {
    .open = test_open,
    .close = test_close,
    .pread = test_pread,
    .pwritev = test_pwritev,
    .fdatasync = test_fdatasync,
    .size = test_size,
    .rename = test_rename,
    .unlink = test_unlink,
    .mkdir = test_mkdir,
    .sync_dir = test_sync_dir,
    .list = test_list,
    .free_space = test_free_space,
    .now = test_now,
    .elapsed = test_elapsed,
    .boot = test_boot,
    .random = test_random,
};

void env_test_init(struct env_test *e, struct env *disk, stamp now)
{
    *e = (struct env_test){
        .env = {&test_ops}, .disk = disk, .now = now, .elapsed = 1, .boot = 1};
}

void env_test_advance(struct env_test *e, span by)
{
    e->now += by;
    e->elapsed += by;
}
