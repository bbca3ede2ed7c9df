/* committer: writes batches of records, one after the other. The synchronous core of the
 * writer: it knows no thread and no queue, so that tests drive it step by step.
 *
 * One batch is one vector of writes and one sync. What the writer promises (writer.h) is kept
 * here; a batch's entries are told (`done`) in the end, after the watermark is published and
 * the readers are woken. After a write or sync that failed the segment is left at once: the
 * next one's synced header cuts off what failed, before anybody is told. */
#ifndef JOURNAL_COMMITTER_H
#define JOURNAL_COMMITTER_H

#include "journal/writer.h"

struct committer {
    struct journal_config config; /* its env, paths and arrays stay the caller's */
    int fd;
    uint64_t base;  /* of the segment */
    uint64_t key;   /* of the segment */
    uint64_t end;   /* the journal's valid end */
    bool is_left;   /* the segment must not be appended to any more */
    bool is_closed; /* an unrepeatable record was lost: everything is refused */
    bool is_full;   /* max_bytes was reached, and said so */
    uint64_t highest_id;
    stamp last_stamp;
    _Atomic uint64_t current_base; /* base, for other threads */
    struct iovec *iov;
    int iov_cap;
    int iov_count;
    char *scratch; /* headers, small fields and padding of the batch */
    size_t scratch_len;
    /* for journal_writer_numbers, from any thread: */
    _Atomic uint64_t records;
    _Atomic uint64_t batches;
    _Atomic uint64_t syncs;
    _Atomic uint64_t bytes;
    _Atomic uint64_t failures;
    _Atomic uint64_t disk_bytes;
    _Atomic uint64_t max_bytes; /* of the configuration, or set since */
    _Atomic int holder;
};

/* Recovers, opens a new segment, publishes the watermark. 0 or -errno. */
int committer_open(struct committer *c, const struct journal_config *config,
                   struct journal_recovery *recovery) MUST_USE NONNULL(1, 2, 3);
/* Nothing may be on its way. */
void committer_close(struct committer *c) NONNULL(1);
/* Commits the chain, in as few batches as its size allows, and calls each entry's done. */
void committer_commit(struct committer *c, struct journal_entry *list) NONNULL(1);

#endif
