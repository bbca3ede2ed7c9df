/* layout: the state directory and the run directory: made, owned, locked. The table of paths in
 * docs/architecture.md says the same in words. */
#ifndef MAIN_LAYOUT_H
#define MAIN_LAYOUT_H

#include "model/conf.h"
#include "net/process.h"
#include "net/role.h"

/* Opens the state directory, made when missing with all above it: the descriptor, or -1 with
 * the reason for people in *why. */
int layout_open(const struct conf *conf, struct buf *why) MUST_USE NONNULL(1, 2);

/* Takes the lock on the state directory; all processes of a daemon keep it, so that it is free
 * when the last one has gone. When the parent that wrote it has died, its roles are waited for,
 * a few seconds at most. The descriptor, or -1 with the reason in *why. */
int layout_lock(const struct conf *conf, int state, struct buf *why) MUST_USE NONNULL(1, 3);

/* Makes what is missing, and gives everything its owner and mode. */
bool layout_make(const struct conf *conf, int state,
                 const struct process_user users[ROLE_COUNT], struct buf *why) MUST_USE
    NONNULL(1, 3, 4);

#endif
