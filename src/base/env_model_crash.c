#include "base/arena.h"
#include "base/env_model_inside.h"
#include "base/map.h"

#include <stdlib.h>

enum { SECTOR = 512, PAGE = 4096, MOST_TEARS = 6 };

/* What a crash does to one unsynced write. */
enum cut {
    CUT_NOTHING,   /* all of it is there */
    CUT_ALL,       /* none of it is */
    CUT_TAIL,      /* only the first units are there, and the file ends after them */
    CUT_TAIL_ZERO, /* only the first units are, but the file has its new size */
    CUT_HEAD,      /* all but the first units */
    CUT_DATA,      /* only the new size is there */
    CUT_SIZE,      /* all but the new size */
    CUT_SOME,      /* each unit or not, by the seed */
};

/* Which unsynced changes survive. */
enum survivors { ALL, NONE, ALL_BUT_ONE, ONLY_ONE, UP_TO, TORN, RANDOM };

struct choice {
    enum survivors survivors;
    size_t index; /* of the change among the unsynced ones */
    enum cut cut; /* TORN */
    size_t unit;
    size_t kept; /* units */
    uint64_t seed;
};

/* The state of the log at a moment. */
struct cutoff {
    const struct model_op *ops;
    size_t count;
    size_t *pending; /* number of the unsynced change + 1, or 0: certain */
    size_t pending_count;
    bool *is_linked; /* RENAME: the new name is certain */
};

/* ---- what is certain ---- */

enum { MOST_DIRS = 32 };

/* The syncs behind the operation that is looked at, walking backwards. */
struct later {
    slice dirs[MOST_DIRS];
    size_t dir_count;
    enum { SYNC_NEVER, SYNC_OK, SYNC_FAILED } * first; /* by inode */
};

static bool has_dir(const struct later *l, slice dir)
{
    for (size_t i = 0; i < l->dir_count; i++) {
        if (slice_eq(l->dirs[i], dir))
            return true;
    }
    return false;
}

static bool dir_is_synced(const struct later *l, const char *path)
{
    return has_dir(l, model_parent(path));
}

static bool is_certain(struct later *l, const struct model_op *op, bool *is_linked)
{
    switch (op->kind) {
    case MODEL_DID_CREATE:
    case MODEL_DID_UNLINK:
        return dir_is_synced(l, op->path);
    case MODEL_DID_RENAME:
        /* Nothing but a sync of its directory makes the new name certain. */
        *is_linked = dir_is_synced(l, op->to);
        return *is_linked && dir_is_synced(l, op->path);
    case MODEL_DID_WRITE:
        /* Only the first sync counts: if it failed, the write was taken for clean. */
        return l->first[op->inode] == SYNC_OK;
    case MODEL_DID_SYNC:
        l->first[op->inode] = op->is_failed ? SYNC_FAILED : SYNC_OK;
        return true;
    case MODEL_DID_SYNC_DIR:
        if (!has_dir(l, slice_of(op->path))) {
            INVARIANT(l->dir_count < MOST_DIRS);
            l->dirs[l->dir_count++] = slice_of(op->path);
        }
        return true;
    }
    return true;
}

static struct cutoff cutoff_at(const struct env_model *m, size_t moment)
{
    INVARIANT(moment <= m->log.count);
    struct cutoff c = {.ops = m->log.ops, .count = moment};
    c.pending = xcalloc(moment, sizeof(*c.pending));
    c.is_linked = xcalloc(moment, sizeof(*c.is_linked));
    struct later later = {.first = xcalloc(m->view.inode_count, sizeof(*later.first))};
    for (size_t i = moment; i-- > 0;) {
        if (!is_certain(&later, &c.ops[i], &c.is_linked[i]))
            c.pending[i] = 1;
    }
    for (size_t i = 0; i < moment; i++) {
        if (c.pending[i])
            c.pending[i] = ++c.pending_count;
    }
    free(later.first);
    return c;
}

static void cutoff_fini(struct cutoff *c)
{
    free(c->pending);
    free(c->is_linked);
}

/* ---- the variants ---- */

struct choices {
    struct choice *items;
    size_t count;
};

static void add_choice(struct choices *list, struct choice c)
{
    list->items = xrealloc(list->items, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = c;
}

static void add_tears(struct choices *list, const struct model_op *op, size_t index)
{
    static const size_t units[] = {SECTOR, PAGE};
    static const enum cut cuts[] = {CUT_TAIL, CUT_TAIL_ZERO, CUT_HEAD};
    for (size_t u = 0; u < COUNT_OF(units); u++) {
        size_t first = op->offset / units[u];
        size_t count = (op->offset + op->len + units[u] - 1) / units[u] - first;
        size_t step = count > MOST_TEARS ? count / MOST_TEARS : 1;
        for (size_t kept = 1; kept < count; kept += step) {
            for (size_t k = 0; k < COUNT_OF(cuts); k++)
                add_choice(list, (struct choice){TORN, index, cuts[k], units[u], kept, 0});
        }
    }
    add_choice(list, (struct choice){.survivors = TORN, .index = index, .cut = CUT_DATA});
    add_choice(list, (struct choice){.survivors = TORN, .index = index, .cut = CUT_SIZE});
}

static struct choices choices_at(const struct cutoff *c)
{
    struct choices list = {0};
    size_t n = c->pending_count;
    add_choice(&list, (struct choice){.survivors = ALL});
    if (n == 0)
        return list;
    add_choice(&list, (struct choice){.survivors = NONE});
    for (size_t i = 1; i <= n && n > 1; i++) {
        add_choice(&list, (struct choice){.survivors = ALL_BUT_ONE, .index = i});
        add_choice(&list, (struct choice){.survivors = ONLY_ONE, .index = i});
        if (i > 1 && i < n)
            add_choice(&list, (struct choice){.survivors = UP_TO, .index = i});
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->pending[i] && c->ops[i].kind == MODEL_DID_WRITE)
            add_tears(&list, &c->ops[i], c->pending[i]);
    }
    return list;
}

/* ---- making a disk ---- */

static uint64_t random_of(uint64_t seed, uint64_t a, uint64_t b)
{
    uint64_t numbers[] = {a, b};
    return siphash13((uint64_t[]){seed, 0x6d6f64656c}, slice_make(numbers, sizeof(numbers)));
}

static bool survives(const struct choice *c, size_t pending)
{
    switch (c->survivors) {
    case ALL:
    case TORN:
        return true;
    case NONE:
        return false;
    case ALL_BUT_ONE:
        return pending != c->index;
    case ONLY_ONE:
        return pending == c->index;
    case UP_TO:
        return pending <= c->index;
    case RANDOM:
        return random_of(c->seed, pending, 0) % 8 < 5;
    }
    return true;
}

/* Writes the units of the operation for which keep says so. */
static void write_units(struct model_inode *n, const struct model_op *op,
                        const struct choice *c, size_t pending)
{
    uint64_t end = op->offset + op->len;
    for (uint64_t at = op->offset; at < end;) {
        uint64_t next = (at / c->unit + 1) * c->unit;
        if (next > end)
            next = end;
        size_t number = (size_t)(at / c->unit - op->offset / c->unit);
        bool keep = c->cut == CUT_HEAD ? number >= c->kept : number < c->kept;
        if (c->cut == CUT_SOME)
            keep = random_of(c->seed, pending, number + 1) & 1;
        if (keep)
            model_image_write(n, at, op->data + (at - op->offset), (size_t)(next - at));
        at = next;
    }
}

static void grow_to(struct model_inode *n, uint64_t size)
{
    if (size > n->size)
        model_image_write(n, size, NULL, 0);
}

static void write_cut(struct model_inode *n, const struct model_op *op, const struct choice *c,
                      size_t pending)
{
    uint64_t end = op->offset + op->len;
    switch (c->cut) {
    case CUT_NOTHING:
        model_image_write(n, op->offset, op->data, op->len);
        break;
    case CUT_ALL:
        break;
    case CUT_TAIL:
    case CUT_HEAD:
        write_units(n, op, c, pending);
        break;
    case CUT_TAIL_ZERO:
        write_units(n, op, c, pending);
        grow_to(n, end);
        break;
    case CUT_DATA:
        grow_to(n, end);
        break;
    case CUT_SIZE:
        if (n->size > op->offset)
            model_image_write(n, op->offset, op->data,
                              end < n->size ? op->len : n->size - (size_t)op->offset);
        break;
    case CUT_SOME:
        write_units(n, op, c, pending);
        if (random_of(c->seed, pending, UINT64_MAX) & 1)
            grow_to(n, end);
        break;
    }
}

static void apply_write(struct model_image *image, const struct model_op *op,
                        const struct choice *c, size_t pending)
{
    struct choice own = *c;
    if (c->survivors == RANDOM && random_of(c->seed, pending, 1) & 1) {
        own.cut = CUT_SOME;
        own.unit = random_of(c->seed, pending, 2) & 1 ? SECTOR : PAGE;
    } else if (c->survivors != TORN || c->index != pending) {
        own.cut = survives(c, pending) ? CUT_NOTHING : CUT_ALL;
    }
    write_cut(model_image_inode(image, op->inode), op, &own, pending);
}

/* A rename may have made the new name and not yet removed the old one, never the reverse. */
static void apply_rename(struct model_image *image, const struct model_op *op, bool is_linked,
                         bool is_unlinked)
{
    if (is_linked || is_unlinked)
        model_image_link(image, op->to, op->inode);
    if (is_unlinked)
        model_image_unlink(image, op->path);
}

static void apply_op(struct model_image *image, const struct cutoff *cut, size_t i,
                     const struct choice *c)
{
    const struct model_op *op = &cut->ops[i];
    size_t pending = cut->pending[i];
    bool is_kept = pending == 0 || survives(c, pending);
    if (op->kind == MODEL_DID_CREATE)
        (void)model_image_inode(image, op->inode);
    if (pending && op->kind == MODEL_DID_WRITE)
        apply_write(image, op, c, pending);
    else if (op->kind == MODEL_DID_RENAME)
        apply_rename(image, op, cut->is_linked[i], is_kept);
    else if (is_kept)
        model_image_apply(image, op);
}

/* What lies in a directory that is not there is not there either. */
static void drop_orphans(struct model_image *image)
{
    for (size_t i = 0; i < image->entry_count;) {
        slice parent = model_parent(image->entries[i].path);
        bool is_there = slice_eq(parent, SLICE(".")) || model_image_find(image, parent) >= 0;
        if (is_there) {
            i++;
            continue;
        }
        model_image_unlink(image, image->entries[i].path);
        i = 0;
    }
}

size_t env_model_variants(struct env_model *m, size_t moment)
{
    pthread_mutex_lock(&m->mutex);
    struct cutoff cut = cutoff_at(m, moment);
    struct choices list = choices_at(&cut);
    size_t count = list.count;
    free(list.items);
    cutoff_fini(&cut);
    pthread_mutex_unlock(&m->mutex);
    return count;
}

struct env_model *env_model_crash(struct env_model *m, size_t moment, size_t variant)
{
    pthread_mutex_lock(&m->mutex);
    struct cutoff cut = cutoff_at(m, moment);
    struct choices list = choices_at(&cut);
    struct choice choice = {.survivors = RANDOM, .seed = variant};
    if (variant < list.count)
        choice = list.items[variant];
    struct model_image image = model_image_copy(&m->durable);
    for (size_t i = 0; i < moment; i++)
        apply_op(&image, &cut, i, &choice);
    drop_orphans(&image);
    free(list.items);
    cutoff_fini(&cut);
    pthread_mutex_unlock(&m->mutex);
    struct env_model *after = model_over(image);
    after->seed = random_of(moment, variant, m->seed);
    return after;
}

struct env_model *env_model_kill(struct env_model *m, size_t moment, size_t part)
{
    pthread_mutex_lock(&m->mutex);
    INVARIANT(moment <= m->log.count);
    struct env_model *after = model_over(model_image_copy(&m->durable));
    for (size_t i = 0; i < moment; i++) {
        model_log_add(&after->log, &m->log.ops[i]);
        model_image_apply(&after->view, &m->log.ops[i]);
    }
    if (part && moment < m->log.count && m->log.ops[moment].kind == MODEL_DID_WRITE) {
        struct model_op torn = m->log.ops[moment];
        torn.len = part < torn.len ? part : torn.len;
        model_log_add(&after->log, &torn);
        model_image_apply(&after->view, &torn);
    }
    after->seed = random_of(moment, part, m->seed);
    pthread_mutex_unlock(&m->mutex);
    return after;
}

uint64_t env_model_hash(struct env_model *m)
{
    static const uint64_t seed[2] = {1, 2};
    uint64_t sum = 0;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->view.entry_count; i++) {
        const struct model_entry *e = &m->view.entries[i];
        const struct model_inode *n = &m->view.inodes[e->inode];
        uint64_t parts[] = {
            siphash13(seed, slice_of(e->path)),
            siphash13(seed, slice_make(n->data, n->size)),
            n->is_dir,
        };
        sum ^= siphash13(seed, slice_make(parts, sizeof(parts)));
    }
    pthread_mutex_unlock(&m->mutex);
    return sum;
}
