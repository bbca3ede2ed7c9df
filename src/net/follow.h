/* follow: keeps a role's directory in memory up to date by reading control's journal.
 *
 * Starts from its snapshot, reads on whenever control has published, and writes the snapshot
 * again every FOLLOW_SNAPSHOT_CHANGES changes, a minute after the last one, and at the end.
 * When control has not opened its journal yet (everything starts anew), what it says is read
 * all the same: a rule, a lock or a new password must not be forgotten until control is there.
 * A record that cannot be applied is logged and stepped over: control restates the directory
 * when its history is lost. */
#ifndef NET_FOLLOW_H
#define NET_FOLLOW_H

#include "base/env.h"
#include "journal/reader.h"
#include "model/directory.h"
#include "net/jobs.h"

enum {
    FOLLOW_SNAPSHOT_VERSION = 1,
    FOLLOW_SNAPSHOT_CHANGES = 1000,
    FOLLOW_SLICE = 500, /* records read before the loop gets its turn */
};

struct follow_config {
    struct env *env;
    struct loop *loop;
    struct jobs *jobs; /* writes the snapshots */
    struct directory *directory;
    const struct watermark *watermark; /* of control's journal */
    int wake; /* eventfd: control's journal has grown; -1: follow_wake is called */
    _Atomic uint64_t *shown; /* where the directory is, in control's journal; may be NULL */
    const char *journal;     /* "journal/control" */
    const char *snapshot;    /* its own, "snapshot/ROLE/directory" */
    /* Given every record from `from` on, after the directory has it; may be NULL. */
    void (*on_record)(void *ctx, const struct journal_record *r);
    void *ctx;
    uint64_t from;
};

struct follow;
/* Loads the snapshot and reads what there is. Never fails: what is wrong is logged, and tried
 * again at the next wake-up. */
struct follow *follow_new(const struct follow_config *c) NONNULL(1);
/* Writes the snapshot if it is behind. The pool's running jobs must be done. */
void follow_free(struct follow **f);

/* Control's journal may have grown. */
void follow_wake(struct follow *f) NONNULL(1);

/* Where it will read on, in control's journal. */
uint64_t follow_position(const struct follow *f) NONNULL(1);

#endif
