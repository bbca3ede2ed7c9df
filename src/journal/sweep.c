#include "journal/sweep.h"
#include "journal/readers.h"
#include "journal/segment.h"

#include <errno.h>

static int delete_segment(const struct journal_config *config, uint64_t base, uint64_t *size)
{
    char path[SEGMENT_PATH_SIZE];
    int err = segment_path(config->dir, base, path);
    if (err < 0)
        return err;
    int fd = env_open(config->env, path, ENV_READ);
    if (fd < 0)
        return fd;
    err = env_size(config->env, fd, size);
    env_close(config->env, fd);
    if (err == 0)
        err = env_unlink(config->env, path);
    return err < 0 ? err : env_sync_dir(config->env, config->dir);
}

static bool may_go(const struct segment_list *l, size_t i, uint64_t current, uint64_t needed)
{
    return i + 1 < l->count && l->bases[i + 1] <= current && l->bases[i + 1] <= needed;
}

static int sweep_list(const struct journal_config *config, const struct segment_list *list,
                      uint64_t current, uint64_t *freed, int *holder)
{
    struct readers_floor floor = readers_floor(config);
    uint64_t needed = floor.needed;
    if (list->count > 0 && needed < current)
        *holder = (int)floor.holder;
    if (!may_go(list, 0, current, needed))
        return 0;
    /* A snapshot that can be read is not yet one that would survive: its rename may not have
     * been synced, or that may have failed. */
    int err = readers_sync(config);
    size_t count = 0;
    for (; err == 0 && may_go(list, count, current, needed); count++) {
        uint64_t size;
        err = delete_segment(config, list->bases[count], &size);
        if (err == 0)
            *freed += size;
    }
    return err < 0 ? err : (int)count;
}

int sweep_segments(const struct journal_config *config, uint64_t current, uint64_t *freed,
                   int *holder)
{
    struct segment_list list = {0};
    int err = segment_list_read(&list, config->env, config->dir);
    if (err == 0)
        err = sweep_list(config, &list, current, freed, holder);
    segment_list_fini(&list);
    return err;
}
