#include "journal/reader.h"
#include "journal/segment.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { OPEN_SEGMENTS = 8 };

struct open_segment {
    uint64_t base;
    uint64_t used_at; /* counts calls: the one longest unused is closed */
    int fd;
    unsigned users;
    bool has_key;
    uint64_t key; /* of its checksums */
};

struct journal_store {
    struct env *env;
    char *dir;
    const struct watermark *watermark; /* or NULL */
    pthread_mutex_t mutex;
    struct segment_list list;
    uint64_t listed_to; /* the list knows the segment of every position before this one */
    uint64_t calls;
    struct open_segment segments[OPEN_SEGMENTS];
};

int journal_store_open(struct journal_store **out, struct env *env, const char *dir)
{
    struct journal_store *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->env = env;
    s->dir = strdup(dir);
    if (!s->dir) {
        free(s);
        return -ENOMEM;
    }
    pthread_mutex_init(&s->mutex, NULL);
    for (size_t i = 0; i < OPEN_SEGMENTS; i++)
        s->segments[i].fd = -1;
    *out = s;
    return 0;
}

void journal_store_follow(struct journal_store *s, const struct watermark *watermark)
{
    pthread_mutex_lock(&s->mutex);
    s->watermark = watermark;
    pthread_mutex_unlock(&s->mutex);
}

void journal_store_close(struct journal_store **out)
{
    struct journal_store *s = *out;
    if (!s)
        return;
    *out = NULL;
    for (size_t i = 0; i < OPEN_SEGMENTS; i++) {
        if (s->segments[i].fd >= 0)
            env_close(s->env, s->segments[i].fd);
    }
    pthread_mutex_destroy(&s->mutex);
    segment_list_fini(&s->list);
    free(s->dir);
    free(s);
}

/* A segment that was deleted keeps its space while we hold it open. */
static void close_deleted(struct journal_store *s)
{
    for (size_t i = 0; i < OPEN_SEGMENTS; i++) {
        struct open_segment *o = &s->segments[i];
        bool is_gone = s->list.count == 0 || o->base < s->list.bases[0];
        if (o->fd < 0 || o->users || !is_gone)
            continue;
        env_close(s->env, o->fd);
        o->fd = -1;
    }
}

/* Whatever was published has its segment in the directory by then, so a list that is read
 * afterwards is right for it; for what comes later it may not be. */
static int list_segments(struct journal_store *s, uint64_t end)
{
    uint64_t mark = 0;
    if (s->watermark)
        mark = atomic_load_explicit(&s->watermark->durable, memory_order_acquire);
    s->listed_to = 0;
    int err = segment_list_read(&s->list, s->env, s->dir);
    if (err < 0)
        return err;
    s->listed_to = mark > end ? mark : end;
    close_deleted(s);
    return 0;
}

/* A place for another segment: a free one, or the one longest unused; NULL if all are in
 * use. */
static struct open_segment *free_place(struct journal_store *s)
{
    struct open_segment *best = NULL;
    for (size_t i = 0; i < OPEN_SEGMENTS; i++) {
        struct open_segment *o = &s->segments[i];
        if (o->fd < 0)
            return o;
        if (o->users == 0 && (!best || o->used_at < best->used_at))
            best = o;
    }
    if (best) {
        env_close(s->env, best->fd);
        best->fd = -1;
    }
    return best;
}

static int open_segment_at(struct journal_store *s, uint64_t base, struct open_segment **out)
{
    for (size_t i = 0; i < OPEN_SEGMENTS; i++) {
        if (s->segments[i].fd >= 0 && s->segments[i].base == base) {
            *out = &s->segments[i];
            return 0;
        }
    }
    struct open_segment *o = free_place(s);
    if (!o)
        return -EMFILE;
    char path[SEGMENT_PATH_SIZE];
    int err = segment_path(s->dir, base, path);
    if (err < 0)
        return err;
    int fd = env_open(s->env, path, ENV_READ);
    if (fd < 0)
        return fd;
    *o = (struct open_segment){.base = base, .fd = fd};
    *out = o;
    return 0;
}

static int enter(struct journal_store *s, uint64_t position, uint64_t end,
                 struct open_segment **out)
{
    int err = end > s->listed_to ? list_segments(s, end) : 0;
    if (err < 0)
        return err;
    ptrdiff_t i = segment_list_find(&s->list, position);
    if (i < 0)
        return -ENOENT;
    err = open_segment_at(s, s->list.bases[i], out);
    if (err < 0)
        return err;
    (*out)->users++;
    (*out)->used_at = ++s->calls;
    return 0;
}

static void leave(struct journal_store *s, struct open_segment *o)
{
    pthread_mutex_lock(&s->mutex);
    o->users--;
    pthread_mutex_unlock(&s->mutex);
}

static int read_bytes(struct journal_store *s, const struct open_segment *o, uint64_t position,
                      void *out, size_t len)
{
    ssize_t n = env_read_full(s->env, o->fd, out, len, position - o->base);
    if (n < 0)
        return (int)n;
    return (size_t)n == len ? 0 : -EIO;
}

int journal_pread(struct journal_store *s, uint64_t position, void *out, size_t len)
{
    struct open_segment *o;
    pthread_mutex_lock(&s->mutex);
    int err = enter(s, position, position + len, &o);
    pthread_mutex_unlock(&s->mutex);
    if (err < 0)
        return err;
    err = read_bytes(s, o, position, out, len);
    leave(s, o);
    return err;
}

/* Reads the segment's key once. Under the mutex. */
static int learn_key(struct journal_store *s, struct open_segment *o)
{
    struct segment_header h;
    if (o->has_key)
        return 0;
    int err = segment_read_header(s->env, o->fd, o->base, &h);
    if (err < 0)
        return err;
    o->key = h.key;
    o->has_key = true;
    return 0;
}

int journal_pread_record(struct journal_store *s, uint64_t position, void *out, size_t len,
                         uint64_t *seed)
{
    struct open_segment *o;
    pthread_mutex_lock(&s->mutex);
    int err = enter(s, position, position + len, &o);
    if (err < 0) {
        pthread_mutex_unlock(&s->mutex);
        return err;
    }
    err = learn_key(s, o);
    uint64_t key = o->key;
    pthread_mutex_unlock(&s->mutex);
    if (err == 0)
        err = read_bytes(s, o, position, out, len);
    leave(s, o);
    if (err == 0)
        *seed = segment_seed(key, position);
    return err;
}
