/* quarantine: the places of a journal that were synced once and cannot be read any more.
 *
 * Recovery writes them to the file "quarantine" in the journal's directory before anything is
 * read past them; readers step over them and report each. One range of positions per line, in
 * hexadecimal, [from, to), ascending, and a checksum. */
#ifndef JOURNAL_QUARANTINE_H
#define JOURNAL_QUARANTINE_H

#include "base/env.h"

struct quarantine_range {
    uint64_t from;
    uint64_t to;
};

struct quarantine {
    struct quarantine_range *ranges; /* ascending, apart */
    size_t count;
    size_t cap;
};

/* A zeroed one is empty. */
void quarantine_fini(struct quarantine *q) NONNULL(1);
/* Adds a range, merging what touches: 0 or -ENOMEM. */
int quarantine_add(struct quarantine *q, uint64_t from, uint64_t to) MUST_USE NONNULL(1);
/* The range that holds the position, or NULL. */
const struct quarantine_range *quarantine_find(const struct quarantine *q, uint64_t position)
    NONNULL(1);

/* Replaces what q has: 0 (also when there is no file), -EBADMSG, or another -errno. */
int quarantine_read(struct quarantine *q, struct env *env, const char *dir) MUST_USE
    NONNULL(1, 2, 3);
/* Durable when it returns 0. */
int quarantine_write(const struct quarantine *q, struct env *env, const char *dir) MUST_USE
    NONNULL(1, 2, 3);

#endif
