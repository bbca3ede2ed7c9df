/* bodies: the files of large messages, removed when nobody needs them any more.
 *
 * A finished message's file is removed at once. A file that no queued message names can be left
 * by a crash: between the file and its record, or between the outcome and the removal. It is
 * removed when two rounds an hour apart have both found it so; a record follows its file within
 * seconds, so that no file that is about to be named goes. */
#ifndef DELIVERY_BODIES_H
#define DELIVERY_BODIES_H

#include "base/env.h"
#include "delivery/queue.h"

enum { BODIES_SEEN_MAX = 4096 };
#define BODIES_INTERVAL (61 * SPAN_MINUTE)

struct bodies {
    struct env *env;
    uint64_t seen[BODIES_SEEN_MAX]; /* ids of unnamed files of the last round, sorted */
    size_t count;
};

/* The message is finished: its file, if it has one, goes. */
void bodies_remove(struct env *env, const struct parcel *p) NONNULL(1, 2);
/* One round. All messages must be known (the tail has caught up). Returns the number of files
 * removed, or -errno. */
int bodies_sweep(struct bodies *b, const struct queue *q) NONNULL(1, 2);

#endif
