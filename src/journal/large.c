#include "journal/large.h"
#include "base/id.h"
#include "journal/dirs.h"

#include <errno.h>
#include <stdio.h>

enum { LIST_STEP = 64 };

static const char DIR[] = "large";
static const char TMP_DIR[] = "large/tmp";

int large_prepare(struct env *env)
{
    return dirs_make(env, TMP_DIR);
}

struct leftovers {
    char names[LIST_STEP][LARGE_NAME_SIZE];
    int count;
};

static int collect(void *ctx, const char *name)
{
    struct leftovers *l = ctx;
    int n = snprintf(l->names[l->count], LARGE_NAME_SIZE, "%s/%s", TMP_DIR, name);
    if (n < LARGE_NAME_SIZE)
        l->count++;
    return l->count == LIST_STEP;
}

int large_sweep(struct env *env)
{
    int total = 0;
    for (;;) {
        struct leftovers l = {.count = 0};
        int err = env_list(env, TMP_DIR, collect, &l);
        if (err < 0)
            return err;
        for (int i = 0; i < l.count; i++) {
            err = env_unlink(env, l.names[i]);
            if (err < 0)
                return err;
        }
        total += l.count;
        if (l.count < LIST_STEP)
            return total;
    }
}

int large_begin(struct large *l, struct env *env, uint64_t id)
{
    char text[ID_TEXT_LEN + 1];
    id_format(id, text);
    *l = (struct large){.env = env, .fd = -1};
    snprintf(l->file, sizeof(l->file), "%s/%s", DIR, text);
    snprintf(l->tmp, sizeof(l->tmp), "%s/%s", TMP_DIR, text);
    int fd = env_open(env, l->tmp, ENV_CREATE);
    if (fd < 0)
        return fd;
    l->fd = fd;
    return 0;
}

int large_append_vector(struct large *l, const struct iovec *iov, int count)
{
    INVARIANT(l->fd >= 0);
    if (l->error)
        return l->error;
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    l->error = env_write_all(l->env, l->fd, iov, count, l->len);
    if (l->error == 0)
        l->len += len;
    return l->error;
}

int large_append(struct large *l, slice bytes)
{
    struct iovec iov = {(void *)(uintptr_t)bytes.ptr, bytes.len};
    return large_append_vector(l, &iov, 1);
}

static int sync_and_name(struct large *l)
{
    int err = l->error ? l->error : env_fdatasync(l->env, l->fd);
    if (err == 0)
        err = env_rename(l->env, l->tmp, l->file);
    if (err < 0)
        return err;
    err = env_sync_dir(l->env, DIR);
    if (err == 0)
        err = env_sync_dir(l->env, TMP_DIR);
    if (err < 0)
        (void)!env_unlink(l->env, l->file);
    return err;
}

int large_finish(struct large *l)
{
    INVARIANT(l->fd >= 0);
    int err = sync_and_name(l);
    if (err < 0) {
        large_abort(l);
        return err;
    }
    env_close(l->env, l->fd);
    l->fd = -1;
    return 0;
}

void large_abort(struct large *l)
{
    if (l->fd < 0)
        return;
    env_close(l->env, l->fd);
    l->fd = -1;
    (void)!env_unlink(l->env, l->tmp);
}

int large_remove(struct env *env, const char *file)
{
    int err = env_unlink(env, file);
    return err == -ENOENT ? 0 : err;
}
