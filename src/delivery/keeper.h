/* keeper: the queue's snapshot: loads it, and writes it now and then.
 *
 * A snapshot is an image of the queue with the positions that both journals were read to. It is
 * made on the loop and written by a jobs thread: after 64 MiB of journal, after five minutes in
 * which anything changed, and at the end. */
#ifndef DELIVERY_KEEPER_H
#define DELIVERY_KEEPER_H

#include "delivery/image.h"
#include "delivery/orders.h"
#include "delivery/settle.h"
#include "delivery/tail.h"
#include "journal/snapshot.h"
#include "net/follow.h"
#include "net/jobs.h"

#define KEEPER_PATH "snapshot/delivery/queue"
#define KEEPER_BYTES (64 * 1024 * 1024)
#define KEEPER_INTERVAL (5 * SPAN_MINUTE)

struct keeper_config {
    struct env *env;
    struct loop *loop;
    struct jobs *jobs;
    const struct queue *queue;
    const struct tail *tail;
    struct settle *settle;
    uint64_t bytes; /* of journal after which a snapshot is made; 0: KEEPER_BYTES */
    const struct follow *follow; /* of control's journal; NULL: nobody reads it */
    const struct orders *orders; /* and who obeys it */
};

/* Loads the snapshot into an empty queue. Without one, or when it is unusable (which is
 * logged), the positions are 0; the queue is empty then. position: of each journal, by enum
 * id_writer. 0 or -errno: the disk cannot be read. */
int keeper_load(struct env *env, struct queue *q, struct destination *d,
                uint64_t position[SNAPSHOT_JOURNALS]) MUST_USE NONNULL(1, 2, 3, 4);

struct keeper;
struct keeper *keeper_new(const struct keeper_config *c) NONNULL(1);
/* Waits for nothing: the jobs are gone, or nothing is being written. */
void keeper_free(struct keeper **k);
/* A snapshot is to be made as soon as one may be. */
void keeper_want(struct keeper *k) NONNULL(1);
/* Begins a snapshot when it is time for one. */
void keeper_consider(struct keeper *k) NONNULL(1);
/* Writes one here and now. 0 or -errno. */
int keeper_save(struct keeper *k) MUST_USE NONNULL(1);
bool keeper_is_idle(const struct keeper *k) NONNULL(1);
/* When the last one was made; 0: none yet. */
stamp keeper_saved_at(const struct keeper *k) NONNULL(1);

#endif
