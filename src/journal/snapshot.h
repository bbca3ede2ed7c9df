/* snapshot: what a reader made of the records up to its positions, in one file.
 *
 * Written whole or not at all (env_replace_file), checksummed; the previous one stays readable
 * until then. A snapshot that is damaged or of another version is -EBADMSG: the reader starts
 * from the oldest record instead and says so. */
#ifndef JOURNAL_SNAPSHOT_H
#define JOURNAL_SNAPSHOT_H

#include "base/arena.h"
#include "base/env.h"

enum { SNAPSHOT_JOURNALS = 3 };

struct snapshot {
    uint32_t version; /* of the contents */
    stamp at;
    /* By enum id_writer: read up to here, and the lowest position whose bytes are still needed
     * (bodies of living messages); UINT64_MAX when nothing older is needed. */
    uint64_t position[SNAPSHOT_JOURNALS];
    uint64_t needs[SNAPSHOT_JOURNALS];
    slice contents;
};

/* path: relative to the state directory, whose missing directories are made. Durable when it
 * returns 0; on -errno the one before stays. */
int snapshot_write(struct env *env, const char *path, const struct snapshot *s) MUST_USE
    NONNULL(1, 2, 3);
/* contents live in the arena. 0, -ENOENT, -EBADMSG, or another -errno. */
int snapshot_read(struct env *env, const char *path, struct arena *a,
                  struct snapshot *out) MUST_USE NONNULL(1, 2, 3, 4);
/* Only the head, without reading the contents. */
int snapshot_read_head(struct env *env, const char *path, struct snapshot *out) MUST_USE
    NONNULL(1, 2, 3);

#endif
