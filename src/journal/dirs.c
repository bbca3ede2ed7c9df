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

/* "." for a file in the root; false when the path is too long. */
static bool parent_of(const char *file, char dir[PATH_SIZE])
{
    ptrdiff_t slash = slice_rfind(slice_of(file), '/');
    if (slash >= PATH_SIZE)
        return false;
    snprintf(dir, PATH_SIZE, "%.*s", slash > 0 ? (int)slash : 1, slash > 0 ? file : ".");
    return true;
}

int dirs_make_parent(struct env *env, const char *file)
{
    char dir[PATH_SIZE];
    if (!parent_of(file, dir))
        return -ENAMETOOLONG;
    return strcmp(dir, ".") == 0 ? 0 : dirs_make(env, dir);
}

int dirs_sync_parent(struct env *env, const char *file)
{
    char dir[PATH_SIZE];
    return parent_of(file, dir) ? env_sync_dir(env, dir) : -ENAMETOOLONG;
}
