/* replay: what the records of both journals mean to the queue.
 *
 * The journals are read independently, so an outcome may be read before the message that it is
 * about: it is kept until the message comes, or until smtpd's journal has been read to the
 * place where it ended (then the message was finished before the snapshot, and the outcome says
 * nothing new). Every record may be applied more than once.
 *
 * Messages whose record is in our own journal: a DSN is added, and those whom it reports are
 * forgotten (what it says of them waits like an outcome when their message is not known). A
 * CARRIED is a copy of another record, and from there on the message's record (PARCEL_OWN); it
 * changes nothing else of a message that the queue has. One that the queue does not have is
 * either finished, or the original is still to be read from smtpd's journal: the CARRIED then
 * waits for it like an outcome. Only when there was no snapshot the message is made of the
 * CARRIED, which has its recipients as they were then: the original may be gone, and outcomes
 * too. */
#ifndef DELIVERY_REPLAY_H
#define DELIVERY_REPLAY_H

#include "delivery/queue.h"
#include "journal/reader.h"

struct replay {
    struct queue *queue;
    struct destination *destination; /* of new messages */
    struct map early;                /* outcomes by message, oldest first */
    bool has_caught_up;              /* outcomes of unknown messages are old news */
    uint64_t smtpd_from;             /* the snapshot's position; 0 without one */
    uint64_t smtpd_read;             /* position of the last message that was read there */
    uint64_t own_first;              /* of what was read of our own journal */
};

void replay_init(struct replay *r, struct queue *q, struct destination *d) NONNULL(1, 2, 3);
void replay_fini(struct replay *r) NONNULL(1);
/* The queue has been loaded from a snapshot that has read smtpd's journal up to there. */
void replay_set_snapshot(struct replay *r, uint64_t smtpd_from) NONNULL(1);

/* One record of either journal. 1: the queue may have changed; 0: nothing to do with the queue;
 * -EBADMSG: the record makes no sense, nothing was changed; -ENOTSUP: a type that is unknown
 * and may not be skipped. */
int replay_record(struct replay *r, const struct journal_record *record, stamp now) MUST_USE
    NONNULL(1, 2);
/* The fields of an OUTCOME record written at `at`. 0 or -EBADMSG. */
int replay_outcome(struct replay *r, slice fields, stamp at, stamp now) MUST_USE NONNULL(1);
/* All messages that a record read so far can be about are known. */
void replay_caught_up(struct replay *r, stamp now) NONNULL(1);

#endif
