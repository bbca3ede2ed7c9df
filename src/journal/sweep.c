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

int sweep_segments(const struct journal_config *config, uint64_t current, uint64_t *freed)
{
    uint64_t needed = readers_floor(config).needed;
    if (needed == 0)
        return 0;
    struct segment_list list = {0};
    int err = segment_list_read(&list, config->env, config->dir);
    int count = 0;
    for (size_t i = 0; err == 0 && i + 1 < list.count; i++) {
        uint64_t end = list.bases[i + 1];
        if (end > current || end > needed)
            break;
        uint64_t size;
        err = delete_segment(config, list.bases[i], &size);
        if (err < 0)
            break;
        *freed += size;
        count++;
    }
    segment_list_fini(&list);
    return err < 0 ? err : count;
}
