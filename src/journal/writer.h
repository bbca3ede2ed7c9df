/* writer: the one writer of a journal; group commit.
 *
 * Guarantees: an entry's `done` is called with result 0 only after the record, its segment and
 * the segment's directory entry were synced (fdatasync); the watermark is published first.
 * Either every reader sees the record from then on, for ever, or `done` gets a negative errno
 * and no reader ever sees it. Positions grow in the order of commit.
 *
 * A failed write or sync is never tried again on that file: what was waiting fails with -EIO
 * (or the disk's errno), the next batch opens a new segment. Entries marked `unrepeatable`
 * (outcomes, notifications, locks, directory changes: nobody can be asked to send them again)
 * are appended again to the new segment; if that fails too, they fail and the writer refuses
 * everything with -EROFS until it is opened again.
 *
 * Thread-safe: journal_append from any thread; `done` runs on the committer thread and must
 * only hand over (push to a list, wake a loop). */
#ifndef JOURNAL_WRITER_H
#define JOURNAL_WRITER_H

#include "base/env.h"
#include "base/id.h"
#include "codec/record.h"
#include "journal/watermark.h"

struct journal_writer;

/* One record on its way. The caller's storage, with everything it points at, until done. */
struct journal_entry {
    struct record_header header; /* type, flags, at, customer, account, credential, session */
    slice fields;
    const struct iovec *body; /* pieces of the body, in order */
    int body_count;
    bool unrepeatable;
    void (*done)(struct journal_entry *e);
    /* set before done: */
    int result;        /* 0 or -errno */
    uint64_t position; /* of the record */
    /* the writer's own: */
    struct journal_entry *next;
};

struct journal_config {
    struct env *env;
    const char *dir; /* "journal/smtpd", below the environment's root; made when missing */
    uint16_t node;
    enum id_writer self; /* whose journal it is: the index into its readers' snapshots */
    struct watermark *watermark;
    const int *wake; /* eventfds that are written to after each published batch */
    size_t wake_count;
    uint64_t segment_bytes; /* a segment is left after this many; default 64 MiB */
    span linger;            /* how long a batch may wait for `expected` appends; at most 2 ms */
    /* Paths of the snapshots of this journal's readers: all must be past a segment (position
     * and needs) before it goes; one that is missing keeps everything. */
    const char *const *readers;
    size_t reader_count;
    uint64_t max_bytes; /* disk use at which appends fail with -ENOSPC; 0: no bound */
    /* Called on the committer's thread behind the last `done` of a batch, so that what these
     * have gathered is handed over once; may be NULL. */
    void (*batch_done)(void *ctx);
    void *ctx;
};

struct journal_recovery {
    uint64_t position;   /* where writing goes on */
    uint64_t cut;        /* bytes cut off after the last whole record */
    uint64_t highest_id; /* the highest queue id known to the journal: raise id sources to it */
    stamp last_stamp;    /* the newest stamp seen */
    unsigned quarantined; /* damaged places before the synced position (see recover.h) */
};

/* Recovers what is there (made when missing), starts the committer thread. 0 or -errno; on
 * failure nothing runs. */
int journal_writer_open(struct journal_writer **out, const struct journal_config *config,
                        struct journal_recovery *recovery) MUST_USE NONNULL(1, 2, 3);
/* Commits what is waiting, stops the thread, closes. Clears the pointer; takes NULL. */
void journal_writer_close(struct journal_writer **w);

/* Hands the entry in, from any thread; it is the writer's until `done`, which always comes, on
 * the committer's thread. */
void journal_append(struct journal_writer *w, struct journal_entry *e) NONNULL(1, 2);
/* Appends and waits: for threads that have nothing else to do, and for tests. */
int journal_append_wait(struct journal_writer *w, struct journal_entry *e) MUST_USE
    NONNULL(1, 2);

/* Hint for group commit: how many sessions are about to append (inside DATA). Lossy. */
void journal_expect(struct journal_writer *w, int change) NONNULL(1);

/* Deletes the segments that no reader needs any more; called now and then. The count or
 * -errno. */
int journal_sweep(struct journal_writer *w) NONNULL(1);

/* For metrics and tests. */
struct journal_numbers {
    uint64_t records;
    uint64_t batches;
    uint64_t syncs;
    uint64_t bytes;
    uint64_t failures;
    uint64_t disk_bytes;
    int holder; /* index of the reader that kept the last sweep from going on, or -1 */
};
/* The bound on its disk use from now on (journal_config.max_bytes). */
void journal_set_max_bytes(struct journal_writer *w, uint64_t max_bytes) NONNULL(1);
/* From any thread. */
void journal_writer_numbers(struct journal_writer *w, struct journal_numbers *out)
    NONNULL(1, 2);

#endif
