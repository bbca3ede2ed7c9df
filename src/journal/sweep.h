/* sweep: deletes the segments that no reader needs any more, oldest first. */
#ifndef JOURNAL_SWEEP_H
#define JOURNAL_SWEEP_H

#include "journal/writer.h"

/* Deletes segments that lie before `current` (the base of the one being written) and before
 * what any reader's snapshot needs. The count, with *freed bytes more, or -errno; each
 * deletion is synced before the next. *holder: the reader that keeps the oldest of those that
 * are left and could go, if there is one. */
int sweep_segments(const struct journal_config *config, uint64_t current, uint64_t *freed,
                   int *holder) MUST_USE NONNULL(1, 3, 4);

#endif
