/* follow: keeps the directory in memory up to date by reading control's journal.
 *
 * Starts from its snapshot (`snapshot/smtpd/directory`), reads on whenever control has
 * published, and writes the snapshot again every FOLLOW_SNAPSHOT_CHANGES changes, a minute
 * after the last one, and at the end. Until control's journal is there, smtpd serves with what
 * the snapshot had. A record that cannot be applied is logged and stepped over: control
 * restates the directory when its history is lost. */
#ifndef SMTPD_FOLLOW_H
#define SMTPD_FOLLOW_H

#include "base/env.h"
#include "journal/watermark.h"
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
    int wake;                          /* eventfd: control's journal has grown; -1: none */
    const char *journal;               /* "journal/control" */
    const char *snapshot;              /* "snapshot/smtpd/directory" */
};

struct follow;
/* Loads the snapshot and reads what there is. Never fails: what is wrong is logged, and tried
 * again at the next wake-up. */
struct follow *follow_new(const struct follow_config *c) NONNULL(1);
/* Writes the snapshot if it is behind. The pool's running jobs must be done. */
void follow_free(struct follow **f);

/* Where it will read on, in control's journal. */
uint64_t follow_position(const struct follow *f) NONNULL(1);

#endif
