#include "base/env.h"

#include <errno.h>
#include <stdio.h>

enum { VECTOR_STEP = 512, PATH_SIZE = 512 };

/* The part of the vector that starts `skip` bytes in, at most VECTOR_STEP pieces of it. */
static int vector_rest(const struct iovec *iov, int count, size_t skip,
                       struct iovec rest[VECTOR_STEP])
{
    int n = 0;
    for (int i = 0; i < count && n < VECTOR_STEP; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        rest[n].iov_base = (char *)iov[i].iov_base + skip;
        rest[n].iov_len = iov[i].iov_len - skip;
        skip = 0;
        n++;
    }
    return n;
}

int env_write_all(struct env *e, int fd, const struct iovec *iov, int count, uint64_t at)
{
    size_t written = 0;
    for (;;) {
        struct iovec rest[VECTOR_STEP];
        int n = vector_rest(iov, count, written, rest);
        if (n == 0)
            return 0;
        ssize_t w = env_pwritev(e, fd, rest, n, at + written);
        if (w == -EINTR)
            continue;
        if (w < 0)
            return (int)w;
        if (w == 0)
            return -EIO;
        written += (size_t)w;
    }
}

ssize_t env_read_full(struct env *e, int fd, void *out, size_t len, uint64_t at)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = env_pread(e, fd, (char *)out + got, len - got, at + got);
        if (n == -EINTR)
            continue;
        if (n < 0)
            return n;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static int write_new_file(struct env *e, const char *path, slice contents)
{
    int err = env_unlink(e, path);
    if (err < 0 && err != -ENOENT)
        return err;
    int fd = env_open(e, path, ENV_CREATE);
    if (fd < 0)
        return fd;
    struct iovec iov = {(void *)(uintptr_t)contents.ptr, contents.len};
    err = env_write_all(e, fd, &iov, 1, 0);
    if (err == 0)
        err = env_fdatasync(e, fd);
    int closed = env_close(e, fd);
    return err < 0 ? err : closed;
}

int env_replace_file(struct env *e, const char *path, slice contents)
{
    char tmp[PATH_SIZE];
    char dir[PATH_SIZE];
    if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp))
        return -ENAMETOOLONG;
    ptrdiff_t slash = slice_rfind(slice_of(path), '/');
    snprintf(dir, sizeof(dir), "%.*s", slash < 0 ? 1 : (int)slash, slash < 0 ? "." : path);
    int err = write_new_file(e, tmp, contents);
    if (err == 0)
        err = env_rename(e, tmp, path);
    if (err < 0) {
        /* it only takes space; the next replacement removes it anyway */
        int ignored = env_unlink(e, tmp);
        (void)ignored;
        return err;
    }
    return env_sync_dir(e, dir);
}
