/* publish: the way of the directory's changes from the store's outbox into the control journal.
 *
 * At start it compares what the journal's newest record says with what the database knows. A
 * journal that lost its history (removed, or older than the database), a database that was
 * restored from an older copy, or readers that could not begin with what the journal still has:
 * all entities are written again, as a restatement. Otherwise the outbox goes first. */
#ifndef CONTROL_PUBLISH_H
#define CONTROL_PUBLISH_H

#include "base/env.h"
#include "control/store.h"
#include "journal/writer.h"

struct publish {
    struct journal_writer *writer;
    struct env *env;
    struct store *store;
    const char *dir; /* of the journal */
    const struct watermark *watermark;
    const char *const *readers; /* snapshots of the journal's readers */
    size_t reader_count;
};

/* What the journal has; see publish_start. */
enum publish_history {
    PUBLISH_UP_TO_DATE,
    PUBLISH_LOST,     /* changes that the database made are not in the journal */
    PUBLISH_AHEAD,    /* the journal has changes that the database does not know */
    PUBLISH_HEADLESS, /* its beginning is gone, and a reader has no snapshot */
};
int publish_compare(const struct publish *p, enum publish_history *history,
                    uint64_t *newest) MUST_USE NONNULL(1, 2, 3);

/* Makes p the store's publisher, and the journal and the database agree. Before the API serves.
 * 0 or -errno. */
int publish_start(struct publish *p) MUST_USE NONNULL(1);
/* Writes all entities again, from the version after `newest` on. */
int publish_restate(struct publish *p, uint64_t newest) MUST_USE NONNULL(1);

#endif
