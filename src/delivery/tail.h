/* tail: reads smtpd's journal on, a slice at a time, into the queue.
 *
 * Damage that recovery has quarantined is stepped over and logged; any other stops reading for
 * a while and is tried again, with what is queued still delivered. */
#ifndef DELIVERY_TAIL_H
#define DELIVERY_TAIL_H

#include "delivery/replay.h"
#include "net/loop.h"

struct tail_config {
    struct env *env;
    struct loop *loop;
    const char *journal; /* its directory */
    const struct watermark *watermark;
    int wake; /* eventfd; -1: tail_wake is called */
    struct replay *replay;
    uint64_t position; /* to begin at; 0: the oldest record */
};

struct tail;
/* Begins to read as soon as the loop runs. */
struct tail *tail_new(const struct tail_config *c) NONNULL(1);
void tail_free(struct tail **t);
/* The journal may have grown. */
void tail_wake(struct tail *t) NONNULL(1);
/* Where it goes on: the snapshot's position. */
uint64_t tail_position(const struct tail *t) NONNULL(1);
/* It has been at the end of what was published, since it began. */
bool tail_has_caught_up(const struct tail *t) NONNULL(1);

/* Everything before that position of the journal has been read. */
bool tail_has_read(const struct tail *t, uint64_t position) NONNULL(1);

/* Reads a journal from the position to its end, at once. 0 or -errno; *position: where it
 * ended. For delivery's own journal, at start. */
int tail_read_all(const struct tail_config *c, uint64_t *position) MUST_USE NONNULL(1, 2);

#endif
