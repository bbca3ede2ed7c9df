/* scratch: a directory of its own for a test, removed at the end. */
#ifndef TEST_CONTROL_SCRATCH_H
#define TEST_CONTROL_SCRATCH_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char dir[64];
    int fd;
};

static inline int scratch_remove_one(const char *path, const struct stat *s, int type,
                                     struct FTW *at)
{
    (void)s;
    (void)type;
    (void)at;
    return remove(path);
}

static inline int scratch_init(struct scratch *s)
{
    strcpy(s->dir, "/tmp/utpost-test-XXXXXX");
    if (!mkdtemp(s->dir))
        return -errno;
    s->fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s->fd < 0 ? -errno : 0;
}

static inline void scratch_fini(struct scratch *s)
{
    close(s->fd);
    nftw(s->dir, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline const char *scratch_path(const struct scratch *s, const char *name,
                                       char path[256])
{
    snprintf(path, 256, "%s/%s", s->dir, name);
    return path;
}

#endif
