#include "base/env.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static int root_of(struct env *e)
{
    return CONTAINER_OF(e, struct env_real, env)->root_fd;
}

static int result(int r)
{
    return r < 0 ? -errno : r;
}

static int real_open(struct env *e, const char *path, enum env_open_mode mode)
{
    static const int flags[] = {
        [ENV_READ] = O_RDONLY,
        [ENV_CREATE] = O_RDWR | O_CREAT | O_EXCL,
        [ENV_WRITE] = O_RDWR,
    };
    return result(openat(root_of(e), path, flags[mode] | O_CLOEXEC | O_NOFOLLOW, 0640));
}

static int real_close(struct env *e, int fd)
{
    (void)e;
    return result(close(fd));
}

static ssize_t real_pread(struct env *e, int fd, void *out, size_t len, uint64_t at)
{
    (void)e;
    ssize_t n = pread(fd, out, len, (off_t)at);
    return n < 0 ? -errno : n;
}

static ssize_t real_pwritev(struct env *e, int fd, const struct iovec *iov, int count,
                            uint64_t at)
{
    (void)e;
    ssize_t n = pwritev(fd, iov, count, (off_t)at);
    return n < 0 ? -errno : n;
}

static int real_fdatasync(struct env *e, int fd)
{
    (void)e;
    return result(fdatasync(fd));
}

static int real_size(struct env *e, int fd, uint64_t *out)
{
    (void)e;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    *out = (uint64_t)st.st_size;
    return 0;
}

static int real_rename(struct env *e, const char *from, const char *to)
{
    return result(renameat(root_of(e), from, root_of(e), to));
}

static int real_unlink(struct env *e, const char *path)
{
    return result(unlinkat(root_of(e), path, 0));
}

static int real_mkdir(struct env *e, const char *path)
{
    return result(mkdirat(root_of(e), path, 0750));
}

static int open_dir(struct env *e, const char *path)
{
    return result(openat(root_of(e), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int real_sync_dir(struct env *e, const char *path)
{
    int fd = open_dir(e, path);
    if (fd < 0)
        return fd;
    int err = result(fsync(fd));
    close(fd);
    return err;
}

static int real_list(struct env *e, const char *path, env_list_fn *fn, void *ctx)
{
    int fd = open_dir(e, path);
    if (fd < 0)
        return fd;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int err = -errno;
        close(fd);
        return err;
    }
    int stop = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            stop = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        stop = fn(ctx, entry->d_name);
        if (stop != 0)
            break;
    }
    closedir(dir);
    return stop;
}

static int real_free_space(struct env *e, uint64_t *bytes, uint64_t *inodes)
{
    struct statvfs st;
    if (fstatvfs(root_of(e), &st) < 0)
        return -errno;
    *bytes = (uint64_t)st.f_bavail * st.f_frsize;
    *inodes = st.f_files ? (uint64_t)st.f_favail : UINT64_MAX;
    return 0;
}

static stamp read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (stamp)t.tv_sec * SPAN_SECOND + t.tv_nsec / 1000;
}

static stamp real_now(struct env *e)
{
    (void)e;
    return read_clock(CLOCK_REALTIME);
}

static span real_elapsed(struct env *e)
{
    (void)e;
    return read_clock(CLOCK_BOOTTIME);
}

/* The first half of the kernel's id of this boot, a UUID: "65c08e4b-19e7-4d9a-…". */
static uint64_t read_boot(void)
{
    char text[20] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    unsigned first, second, third;
    if (n != sizeof(text) - 1 || sscanf(text, "%8x-%4x-%4x", &first, &second, &third) != 3)
        return 0;
    return (uint64_t)first << 32 | second << 16 | third;
}

static uint64_t real_boot(struct env *e)
{
    return CONTAINER_OF(e, struct env_real, env)->boot;
}

static void real_random(struct env *e, void *out, size_t len)
{
    (void)e;
    size_t got = 0;
    while (got < len) {
        ssize_t n = getrandom((char *)out + got, len - got, 0);
        INVARIANT(n >= 0 || errno == EINTR);
        if (n > 0)
            got += (size_t)n;
    }
}

static const struct env_ops real_ops = {
    .open = real_open,
    .close = real_close,
    .pread = real_pread,
    .pwritev = real_pwritev,
    .fdatasync = real_fdatasync,
    .size = real_size,
    .rename = real_rename,
    .unlink = real_unlink,
    .mkdir = real_mkdir,
    .sync_dir = real_sync_dir,
    .list = real_list,
    .free_space = real_free_space,
    .now = real_now,
    .elapsed = real_elapsed,
    .boot = real_boot,
    .random = real_random,
};

void env_real_init(struct env_real *e, int root_fd)
{
    e->env.ops = &real_ops;
    e->root_fd = root_fd;
    e->boot = read_boot();
}
