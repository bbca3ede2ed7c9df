/* dirs: directories that must survive a power cut.
 *
 * Makes every missing directory of a path and syncs each parent, so that the path is durable
 * when it returns; harmless when all of it is there. 0 or -errno. */
#ifndef JOURNAL_DIRS_H
#define JOURNAL_DIRS_H

#include "base/env.h"

int dirs_make(struct env *env, const char *path) MUST_USE NONNULL(1, 2);
/* The same for the directory that the file is in. */
int dirs_make_parent(struct env *env, const char *file) MUST_USE NONNULL(1, 2);
/* Makes what was renamed or removed beside the file durable. */
int dirs_sync_parent(struct env *env, const char *file) MUST_USE NONNULL(1, 2);

#endif
