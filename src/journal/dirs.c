#include "journal/dirs.h"

#include <errno.h>
#include <stdio.h>

enum { PATH_SIZE = 512 };

/* The parent is synced even when the directory was there: whoever made it may have been killed
 * before that. */
static int make_one(struct env *env, const char *path, const char *parent)
{
    int err = env_mkdir(env, path);
    if (err < 0 && err != -EEXIST)
        return err;
    return env_sync_dir(env, parent);
}

int dirs_make(struct env *env, const char *path)
{
    char part[PATH_SIZE];
    char parent[PATH_SIZE] = ".";
    size_t len = strlen(path);
    if (len >= sizeof(part))
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= len; i++) {
        if (i < len && path[i] != '/')
            continue;
        snprintf(part, sizeof(part), "%.*s", (int)i, path);
        int err = make_one(env, part, parent);
        if (err < 0)
            return err;
        memcpy(parent, part, i + 1);
    }
    return 0;
}

int dirs_make_parent(struct env *env, const char *file)
{
    char dir[PATH_SIZE];
    ptrdiff_t slash = slice_rfind(slice_of(file), '/');
    if (slash <= 0)
        return 0;
    if ((size_t)slash >= sizeof(dir))
        return -ENAMETOOLONG;
    snprintf(dir, sizeof(dir), "%.*s", (int)slash, file);
    return dirs_make(env, dir);
}
