#include "delivery/bodies.h"

#include "base/arena.h"
#include "base/id.h"
#include "base/log.h"
#include "journal/large.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int remove_file(struct env *env, uint64_t id)
{
    char text[ID_TEXT_LEN + 1], path[64];
    id_format(id, text);
    snprintf(path, sizeof(path), "large/%s", text);
    int err = large_remove(env, path);
    if (err < 0)
        log_warning("large-body-not-removed", LOG_C("file", path), LOG_E("error", err));
    return err;
}

void bodies_remove(struct env *env, const struct parcel *p)
{
    if (p->facts.flags & PARCEL_FILE)
        remove_file(env, p->facts.id); /* if not now, the sweep does it */
}

struct round {
    struct bodies *bodies;
    const struct queue *queue;
    uint64_t *found; /* unnamed files */
    size_t count;
    uint64_t *gone; /* of them, those of the round before */
    size_t gone_count;
};

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int look_at(void *ctx, const char *name)
{
    struct round *r = ctx;
    uint64_t id;
    if (!id_parse(slice_of(name), &id))
        return 0; /* "tmp", and what is not ours */
    if (queue_find(r->queue, id))
        return 0;
    struct bodies *b = r->bodies;
    if (bsearch(&id, b->seen, b->count, sizeof(id), by_number))
        r->gone[r->gone_count++] = id;
    else
        r->found[r->count++] = id;
    return r->count == BODIES_SEEN_MAX || r->gone_count == BODIES_SEEN_MAX;
}

int bodies_sweep(struct bodies *b, const struct queue *q)
{
    struct round r = {
        .bodies = b,
        .queue = q,
        .found = xcalloc(BODIES_SEEN_MAX, sizeof(uint64_t)),
        .gone = xcalloc(BODIES_SEEN_MAX, sizeof(uint64_t)),
    };
    int err = env_list(b->env, "large", look_at, &r);
    int removed = 0;
    for (size_t i = 0; i < r.gone_count; i++)
        if (remove_file(b->env, r.gone[i]) == 0)
            removed++;
    if (err >= 0) {
        memcpy(b->seen, r.found, r.count * sizeof(uint64_t));
        b->count = r.count;
        qsort(b->seen, b->count, sizeof(uint64_t), by_number);
    }
    free(r.found);
    free(r.gone);
    return err == -ENOENT || err >= 0 ? removed : err;
}
