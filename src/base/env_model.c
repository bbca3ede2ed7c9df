#include "base/arena.h"
#include "base/env_model_inside.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRST_FD = 3 };

/* ---- images ---- */

slice model_parent(const char *path)
{
    slice s = slice_of(path);
    ptrdiff_t slash = slice_rfind(s, '/');
    return slash < 0 ? SLICE(".") : slice_to(s, (size_t)slash);
}

struct model_image model_image_copy(const struct model_image *from)
{
    struct model_image to = {.inode_count = from->inode_count,
                             .entry_count = from->entry_count};
    to.inodes = xcalloc(from->inode_count, sizeof(*to.inodes));
    to.entries = xcalloc(from->entry_count, sizeof(*to.entries));
    for (size_t i = 0; i < from->inode_count; i++) {
        const struct model_inode *n = &from->inodes[i];
        to.inodes[i] =
            (struct model_inode){.is_dir = n->is_dir, .size = n->size, .cap = n->size};
        to.inodes[i].data = xcalloc(n->size, 1);
        if (n->size)
            memcpy(to.inodes[i].data, n->data, n->size);
    }
    for (size_t i = 0; i < from->entry_count; i++) {
        to.entries[i].path = xstrdup(from->entries[i].path);
        to.entries[i].inode = from->entries[i].inode;
    }
    return to;
}

void model_image_fini(struct model_image *image)
{
    for (size_t i = 0; i < image->inode_count; i++)
        free(image->inodes[i].data);
    for (size_t i = 0; i < image->entry_count; i++)
        free(image->entries[i].path);
    free(image->inodes);
    free(image->entries);
    *image = (struct model_image){0};
}

ptrdiff_t model_image_find(const struct model_image *image, slice path)
{
    for (size_t i = 0; i < image->entry_count; i++) {
        if (slice_eq(slice_of(image->entries[i].path), path))
            return (ptrdiff_t)i;
    }
    return -1;
}

void model_image_link(struct model_image *image, const char *path, size_t inode)
{
    ptrdiff_t i = model_image_find(image, slice_of(path));
    if (i < 0) {
        image->entries =
            xrealloc(image->entries, image->entry_count + 1, sizeof(*image->entries));
        i = (ptrdiff_t)image->entry_count++;
        image->entries[i].path = xstrdup(path);
    }
    image->entries[i].inode = inode;
}

void model_image_unlink(struct model_image *image, const char *path)
{
    ptrdiff_t i = model_image_find(image, slice_of(path));
    if (i < 0)
        return;
    free(image->entries[i].path);
    image->entries[i] = image->entries[--image->entry_count];
}

struct model_inode *model_image_inode(struct model_image *image, size_t inode)
{
    if (inode >= image->inode_count) {
        image->inodes = xrealloc(image->inodes, inode + 1, sizeof(*image->inodes));
        memset(image->inodes + image->inode_count, 0,
               (inode + 1 - image->inode_count) * sizeof(*image->inodes));
        image->inode_count = inode + 1;
    }
    return &image->inodes[inode];
}

void model_image_write(struct model_inode *n, uint64_t offset, const char *data, size_t len)
{
    size_t end = (size_t)offset + len;
    if (end > n->cap) {
        size_t cap = n->cap * 2 > end ? n->cap * 2 : end;
        n->data = xrealloc(n->data, cap, 1);
        memset(n->data + n->cap, 0, cap - n->cap);
        n->cap = cap;
    }
    if (end > n->size) {
        memset(n->data + n->size, 0, end - n->size);
        n->size = end;
    }
    if (len)
        memcpy(n->data + offset, data, len);
}

void model_image_apply(struct model_image *image, const struct model_op *op)
{
    switch (op->kind) {
    case MODEL_DID_CREATE:
        model_image_inode(image, op->inode)->is_dir = op->is_dir;
        model_image_link(image, op->path, op->inode);
        break;
    case MODEL_DID_UNLINK:
        model_image_unlink(image, op->path);
        break;
    case MODEL_DID_RENAME:
        model_image_link(image, op->to, op->inode);
        model_image_unlink(image, op->path);
        break;
    case MODEL_DID_WRITE:
        model_image_write(model_image_inode(image, op->inode), op->offset, op->data, op->len);
        break;
    case MODEL_DID_SYNC:
    case MODEL_DID_SYNC_DIR:
        break;
    }
}

/* ---- the log ---- */

void model_log_add(struct model_log *log, const struct model_op *op)
{
    if (log->count == log->cap) {
        log->cap = log->cap ? log->cap * 2 : 64;
        log->ops = xrealloc(log->ops, log->cap, sizeof(*log->ops));
    }
    struct model_op *copy = &log->ops[log->count++];
    *copy = *op;
    copy->path = op->path ? xstrdup(op->path) : NULL;
    copy->to = op->to ? xstrdup(op->to) : NULL;
    copy->data = NULL;
    if (op->len) {
        copy->data = xcalloc(op->len, 1);
        memcpy(copy->data, op->data, op->len);
    }
}

static void log_fini(struct model_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free(log->ops[i].path);
        free(log->ops[i].to);
        free(log->ops[i].data);
    }
    free(log->ops);
}

static struct env_model *model_of(struct env *e)
{
    return CONTAINER_OF(e, struct env_model, env);
}

static void do_op(struct env_model *m, struct model_op op)
{
    model_log_add(&m->log, &op);
    model_image_apply(&m->view, &op);
}

/* ---- faults ---- */

/* Counts the call: true when it is one that must fail. */
static bool must_fail(struct env_model *m, enum env_model_call call)
{
    const struct env_model_fault *f = &m->fault;
    if (!(f->calls & (unsigned)call))
        return false;
    m->counted++;
    if (m->counted != f->nth && !(f->is_sticky && m->counted > f->nth))
        return false;
    m->failed++;
    return true;
}

/* ---- files ---- */

/* -ENOENT when a directory above the name is missing. */
static int check_parent(const struct env_model *m, const char *path)
{
    slice parent = model_parent(path);
    if (slice_eq(parent, SLICE(".")))
        return 0;
    ptrdiff_t i = model_image_find(&m->view, parent);
    if (i < 0)
        return -ENOENT;
    return m->view.inodes[m->view.entries[i].inode].is_dir ? 0 : -ENOTDIR;
}

static int new_fd(struct env_model *m, size_t inode)
{
    size_t i = 0;
    while (i < m->fd_count && m->fds[i])
        i++;
    if (i == m->fd_count)
        m->fds = xrealloc(m->fds, ++m->fd_count, sizeof(*m->fds));
    m->fds[i] = inode + 1;
    return (int)i + FIRST_FD;
}

static struct model_inode *inode_of(struct env_model *m, int fd)
{
    size_t i = (size_t)(fd - FIRST_FD);
    INVARIANT(fd >= FIRST_FD && i < m->fd_count && m->fds[i]);
    return &m->view.inodes[m->fds[i] - 1];
}

static int create_locked(struct env_model *m, const char *path, bool is_dir)
{
    int err = check_parent(m, path);
    if (err < 0)
        return err;
    if (model_image_find(&m->view, slice_of(path)) >= 0)
        return -EEXIST;
    struct model_op op = {
        .kind = MODEL_DID_CREATE,
        .inode = m->view.inode_count,
        .is_dir = is_dir,
        .path = (char *)(uintptr_t)path,
    };
    do_op(m, op);
    return is_dir ? 0 : new_fd(m, op.inode);
}

static int open_locked(struct env_model *m, const char *path, enum env_open_mode mode)
{
    if (must_fail(m, mode == ENV_CREATE ? MODEL_CREATE : MODEL_OPEN))
        return -m->fault.error;
    if (mode == ENV_CREATE)
        return create_locked(m, path, false);
    ptrdiff_t i = model_image_find(&m->view, slice_of(path));
    if (i < 0)
        return -ENOENT;
    size_t inode = m->view.entries[i].inode;
    return m->view.inodes[inode].is_dir ? -EISDIR : new_fd(m, inode);
}

static ssize_t pread_locked(struct env_model *m, int fd, void *out, size_t len, uint64_t at)
{
    const struct model_inode *n = inode_of(m, fd);
    if (must_fail(m, MODEL_READ))
        return -m->fault.error;
    if (at >= n->size)
        return 0;
    if (len > n->size - at)
        len = (size_t)(n->size - at);
    if (len)
        memcpy(out, n->data + at, len);
    return (ssize_t)len;
}

static char *join(const struct iovec *iov, int count, size_t *len)
{
    *len = 0;
    for (int i = 0; i < count; i++)
        *len += iov[i].iov_len;
    char *bytes = xcalloc(*len, 1);
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len)
            memcpy(bytes + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    return bytes;
}

static ssize_t pwritev_locked(struct env_model *m, int fd, const struct iovec *iov, int count,
                              uint64_t at)
{
    (void)inode_of(m, fd);
    bool fails = must_fail(m, MODEL_WRITE);
    if (fails && m->fault.how == MODEL_REFUSES)
        return -m->fault.error;
    size_t len;
    char *bytes = join(iov, count, &len);
    size_t part = fails ? (len + 1) / 2 : len;
    struct model_op op = {
        .kind = MODEL_DID_WRITE,
        .inode = m->fds[fd - FIRST_FD] - 1,
        .offset = at,
        .len = part,
        .data = bytes,
    };
    do_op(m, op);
    free(bytes);
    return fails && m->fault.how == MODEL_WRITES_HALF ? -m->fault.error : (ssize_t)part;
}

static int fdatasync_locked(struct env_model *m, int fd)
{
    (void)inode_of(m, fd);
    bool fails = must_fail(m, MODEL_SYNC);
    struct model_op op = {
        .kind = MODEL_DID_SYNC,
        .inode = m->fds[fd - FIRST_FD] - 1,
        .is_failed = fails,
    };
    do_op(m, op);
    return fails ? -m->fault.error : 0;
}

static int rename_locked(struct env_model *m, const char *from, const char *to)
{
    if (must_fail(m, MODEL_RENAME))
        return -m->fault.error;
    ptrdiff_t i = model_image_find(&m->view, slice_of(from));
    if (i < 0)
        return -ENOENT;
    int err = check_parent(m, to);
    if (err < 0)
        return err;
    size_t inode = m->view.entries[i].inode;
    if (m->view.inodes[inode].is_dir)
        return -EINVAL;
    struct model_op op = {
        .kind = MODEL_DID_RENAME,
        .inode = inode,
        .path = (char *)(uintptr_t)from,
        .to = (char *)(uintptr_t)to,
    };
    do_op(m, op);
    return 0;
}

static int unlink_locked(struct env_model *m, const char *path)
{
    if (must_fail(m, MODEL_UNLINK))
        return -m->fault.error;
    ptrdiff_t i = model_image_find(&m->view, slice_of(path));
    if (i < 0)
        return -ENOENT;
    if (m->view.inodes[m->view.entries[i].inode].is_dir)
        return -EISDIR;
    do_op(m, (struct model_op){.kind = MODEL_DID_UNLINK, .path = (char *)(uintptr_t)path});
    return 0;
}

static int sync_dir_locked(struct env_model *m, const char *path)
{
    if (must_fail(m, MODEL_SYNC_DIR))
        return -m->fault.error;
    if (strcmp(path, ".") != 0 && model_image_find(&m->view, slice_of(path)) < 0)
        return -ENOENT;
    do_op(m, (struct model_op){.kind = MODEL_DID_SYNC_DIR, .path = (char *)(uintptr_t)path});
    return 0;
}

/* The names in the directory, copied, so that the walk may change it. */
static int names_locked(struct env_model *m, const char *path, struct arena *a, slice **names,
                        size_t *count)
{
    if (must_fail(m, MODEL_LIST))
        return -m->fault.error;
    if (strcmp(path, ".") != 0 && model_image_find(&m->view, slice_of(path)) < 0)
        return -ENOENT;
    *names = arena_array(a, slice, m->view.entry_count);
    *count = 0;
    for (size_t i = 0; i < m->view.entry_count; i++) {
        const char *entry = m->view.entries[i].path;
        if (!slice_eq(model_parent(entry), slice_of(path)))
            continue;
        slice name = slice_of(entry);
        (*names)[(*count)++] =
            arena_dup(a, slice_from(name, (size_t)(slice_rfind(name, '/') + 1)));
    }
    return 0;
}

/* ---- the table ---- */

/* Returns what the expression gives under the mutex. */
#define UNDER_MUTEX(m, type, expression) \
    pthread_mutex_lock(&(m)->mutex);     \
    type locked_result = (expression);   \
    pthread_mutex_unlock(&(m)->mutex);   \
    return locked_result
#define LOCKED(type, expression)       \
    struct env_model *m = model_of(e); \
    UNDER_MUTEX(m, type, expression)

static int model_open(struct env *e, const char *path, enum env_open_mode mode)
{
    LOCKED(int, open_locked(m, path, mode));
}

static int model_close(struct env *e, int fd)
{
    LOCKED(int, (inode_of(m, fd), m->fds[fd - FIRST_FD] = 0, 0));
}

static ssize_t model_pread(struct env *e, int fd, void *out, size_t len, uint64_t at)
{
    LOCKED(ssize_t, pread_locked(m, fd, out, len, at));
}

static ssize_t model_pwritev(struct env *e, int fd, const struct iovec *iov, int count,
                             uint64_t at)
{
    LOCKED(ssize_t, pwritev_locked(m, fd, iov, count, at));
}

static int model_fdatasync(struct env *e, int fd)
{
    LOCKED(int, fdatasync_locked(m, fd));
}

static int model_size(struct env *e, int fd, uint64_t *out)
{
    LOCKED(int, must_fail(m, MODEL_SIZE) ? -m->fault.error : (*out = inode_of(m, fd)->size, 0));
}

static int model_rename(struct env *e, const char *from, const char *to)
{
    LOCKED(int, rename_locked(m, from, to));
}

static int model_unlink(struct env *e, const char *path)
{
    LOCKED(int, unlink_locked(m, path));
}

static int model_mkdir(struct env *e, const char *path)
{
    LOCKED(int, must_fail(m, MODEL_MKDIR) ? -m->fault.error : create_locked(m, path, true));
}

static int model_sync_dir(struct env *e, const char *path)
{
    LOCKED(int, sync_dir_locked(m, path));
}

static int model_list(struct env *e, const char *path, env_list_fn *fn, void *ctx)
{
    struct env_model *m = model_of(e);
    struct arena a = ARENA_INIT;
    slice *names = NULL;
    size_t count = 0;
    pthread_mutex_lock(&m->mutex);
    int stop = names_locked(m, path, &a, &names, &count);
    pthread_mutex_unlock(&m->mutex);
    for (size_t i = 0; stop == 0 && i < count; i++)
        stop = fn(ctx, names[i].ptr);
    arena_fini(&a);
    return stop;
}

static int model_free_space(struct env *e, uint64_t *bytes, uint64_t *inodes)
{
    (void)e;
    *bytes = (uint64_t)1 << 40;
    *inodes = 1000000;
    return 0;
}

static stamp model_now(struct env *e)
{
    LOCKED(stamp, m->now += SPAN_MS);
}

static void model_random(struct env *e, void *out, size_t len)
{
    struct env_model *m = model_of(e);
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < len; i++) {
        m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
        ((unsigned char *)out)[i] = (unsigned char)(m->seed >> 56);
    }
    pthread_mutex_unlock(&m->mutex);
}

/* Every crash may have been that of the machine. */
static uint64_t model_boot(struct env *e)
{
    (void)e;
    return 0;
}

static const struct env_ops model_ops = {
    .open = model_open,
    .close = model_close,
    .pread = model_pread,
    .pwritev = model_pwritev,
    .fdatasync = model_fdatasync,
    .size = model_size,
    .rename = model_rename,
    .unlink = model_unlink,
    .mkdir = model_mkdir,
    .sync_dir = model_sync_dir,
    .list = model_list,
    .free_space = model_free_space,
    .now = model_now,
    .elapsed = model_now,
    .boot = model_boot,
    .random = model_random,
};

/* ---- the model ---- */

struct env_model *model_over(struct model_image image)
{
    struct env_model *m = xcalloc(1, sizeof(*m));
    m->env.ops = &model_ops;
    pthread_mutex_init(&m->mutex, NULL);
    m->durable = image;
    m->view = model_image_copy(&image);
    m->now = 1700000000 * SPAN_SECOND;
    m->seed = 1;
    return m;
}

struct env_model *env_model_new(void)
{
    return model_over((struct model_image){0});
}

void env_model_free(struct env_model **out)
{
    struct env_model *m = *out;
    if (!m)
        return;
    *out = NULL;
    pthread_mutex_destroy(&m->mutex);
    model_image_fini(&m->durable);
    model_image_fini(&m->view);
    log_fini(&m->log);
    free(m->fds);
    free(m);
}

struct env *env_model_env(struct env_model *m)
{
    return &m->env;
}

size_t env_model_moment(struct env_model *m)
{
    UNDER_MUTEX(m, size_t, m->log.count);
}

void env_model_fail(struct env_model *m, const struct env_model_fault *f)
{
    pthread_mutex_lock(&m->mutex);
    m->fault = *f;
    m->counted = m->failed = 0;
    pthread_mutex_unlock(&m->mutex);
}

unsigned env_model_counted(struct env_model *m)
{
    UNDER_MUTEX(m, unsigned, m->counted);
}

unsigned env_model_failed(struct env_model *m)
{
    UNDER_MUTEX(m, unsigned, m->failed);
}
