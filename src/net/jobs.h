/* jobs: a small pool of threads for work that would block a loop (password hashes, file syncs).
 * Bounded: jobs_submit says -EAGAIN when `queue_max` wait. A submitted job holds its loop. */
#ifndef NET_JOBS_H
#define NET_JOBS_H

#include "net/loop.h"

struct jobs;
struct job {
    void (*work)(struct job *j); /* on a pool thread */
    void (*done)(struct job *j); /* on `loop` */
    struct loop *loop;
    struct loop_task task; /* the pool's */
    struct job *next;      /* the pool's */
};

/* NULL: no thread could be started. */
struct jobs *jobs_new(unsigned threads, unsigned queue_max);
/* Waits for running jobs; those that wait are dropped without `done`. */
void jobs_free(struct jobs **j);
/* From any thread; the job is the pool's until `done`. 0, or -EAGAIN: queue_max wait already.
 */
int jobs_submit(struct jobs *j, struct job *job) MUST_USE NONNULL(1, 2);

#endif
