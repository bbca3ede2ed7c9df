/* env: the one door to disk, clock and randomness.
 *
 * Every durable thing goes through a table of functions, so that the journal, the queue and the
 * directory run unchanged on the real machine, on a test clock, and on a model disk that
 * enumerates what a crash could leave behind.
 *
 * Paths are relative to the root that the environment was made with (the state directory), with
 * '/' between names, no leading '/', no "..". Functions return 0 or a count, or a negative
 * errno; nothing here retries or hides a short write. All are thread-safe. */
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include "base/attr.h"
#include "base/slice.h"
#include "base/stamp.h"

#include <sys/uio.h>

struct env;

/* Called for each name in a directory ("." and ".." left out); non-zero ends the walk. */
typedef int env_list_fn(void *ctx, const char *name);

enum env_open_mode {
    ENV_READ,   /* an existing file, to read */
    ENV_CREATE, /* a new file, to write and read; -EEXIST when it is there; mode 0640 */
    ENV_WRITE,  /* an existing file, to write and read */
};

struct env_ops {
    int (*open)(struct env *e, const char *path, enum env_open_mode mode);
    int (*close)(struct env *e, int fd);
    ssize_t (*pread)(struct env *e, int fd, void *out, size_t len, uint64_t offset);
    ssize_t (*pwritev)(struct env *e, int fd, const struct iovec *iov, int count,
                       uint64_t offset);
    int (*fdatasync)(struct env *e, int fd);
    int (*size)(struct env *e, int fd, uint64_t *out);
    int (*rename)(struct env *e, const char *from, const char *to);
    int (*unlink)(struct env *e, const char *path);
    int (*mkdir)(struct env *e, const char *path); /* -EEXIST when it is there; mode 0750 */
    int (*sync_dir)(struct env *e, const char *path);
    int (*list)(struct env *e, const char *path, env_list_fn *fn, void *ctx);
    int (*free_space)(struct env *e, uint64_t *bytes, uint64_t *inodes);
    stamp (*now)(struct env *e);    /* CLOCK_REALTIME */
    span (*elapsed)(struct env *e); /* CLOCK_BOOTTIME: never steps, within one boot */
    /* Names the boot of the machine within which `elapsed` goes on; 0: unknown. */
    uint64_t (*boot)(struct env *e);
    void (*random)(struct env *e, void *out, size_t len);
};

/* The base of every environment; an implementation embeds it first. */
struct env {
    const struct env_ops *ops;
};

/* The real machine, rooted at an open directory. `root_fd` stays the caller's. */
struct env_real {
    struct env env;
    int root_fd;
    uint64_t boot;
};
void env_real_init(struct env_real *e, int root_fd) NONNULL(1);

/* A clock that tests move by hand, over another environment's disk (or NULL: every disk
 * operation gives -ENOSYS). Randomness is a fixed sequence from `seed`. */
struct env_test {
    struct env env;
    struct env *disk;
    stamp now;
    span elapsed;
    uint64_t boot;
    uint64_t seed;
};
void env_test_init(struct env_test *e, struct env *disk, stamp now) NONNULL(1);
/* Moves both clocks forward. */
void env_test_advance(struct env_test *e, span by) NONNULL(1);

MUST_USE static inline int env_open(struct env *e, const char *path, enum env_open_mode mode)
{
    return e->ops->open(e, path, mode);
}
static inline int env_close(struct env *e, int fd)
{
    return e->ops->close(e, fd);
}
MUST_USE static inline ssize_t env_pread(struct env *e, int fd, void *out, size_t len,
                                         uint64_t at)
{
    return e->ops->pread(e, fd, out, len, at);
}
MUST_USE static inline ssize_t env_pwritev(struct env *e, int fd, const struct iovec *iov,
                                           int count, uint64_t at)
{
    return e->ops->pwritev(e, fd, iov, count, at);
}
MUST_USE static inline int env_fdatasync(struct env *e, int fd)
{
    return e->ops->fdatasync(e, fd);
}
MUST_USE static inline int env_size(struct env *e, int fd, uint64_t *out)
{
    return e->ops->size(e, fd, out);
}
MUST_USE static inline int env_rename(struct env *e, const char *from, const char *to)
{
    return e->ops->rename(e, from, to);
}
MUST_USE static inline int env_unlink(struct env *e, const char *path)
{
    return e->ops->unlink(e, path);
}
MUST_USE static inline int env_mkdir(struct env *e, const char *path)
{
    return e->ops->mkdir(e, path);
}
MUST_USE static inline int env_sync_dir(struct env *e, const char *path)
{
    return e->ops->sync_dir(e, path);
}
MUST_USE static inline int env_list(struct env *e, const char *path, env_list_fn *fn, void *ctx)
{
    return e->ops->list(e, path, fn, ctx);
}
MUST_USE static inline int env_free_space(struct env *e, uint64_t *bytes, uint64_t *inodes)
{
    return e->ops->free_space(e, bytes, inodes);
}
static inline stamp env_now(struct env *e)
{
    return e->ops->now(e);
}
static inline span env_elapsed(struct env *e)
{
    return e->ops->elapsed(e);
}
static inline uint64_t env_boot(struct env *e)
{
    return e->ops->boot(e);
}
static inline void env_random(struct env *e, void *out, size_t len)
{
    e->ops->random(e, out, len);
}

/* Writes all of the vector at the offset, going on after short writes; 0 or -errno (-EIO when a
 * write makes no progress). The vector is not changed. */
int env_write_all(struct env *e, int fd, const struct iovec *iov, int count,
                  uint64_t at) MUST_USE NONNULL(1, 3);
/* Reads up to len bytes until the end of file: the count or -errno. */
ssize_t env_read_full(struct env *e, int fd, void *out, size_t len, uint64_t at) MUST_USE
    NONNULL(1, 3);
/* Makes a file whole or not at all: writes "<path>.tmp", syncs it, renames it over path, syncs
 * the directory. 0 or -errno. On failure the old file is untouched, but for a failed sync of
 * the directory, after which either file may be found, whole. */
int env_replace_file(struct env *e, const char *path, slice contents) MUST_USE NONNULL(1, 2);

#endif
