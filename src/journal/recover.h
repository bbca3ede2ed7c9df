/* recover: finds out what a journal holds after a crash, and makes that durable.
 *
 * Done by the writer, before anybody reads past the last watermark. A record that is not whole
 * is one of two things:
 *
 *   - cut: it lies behind the last position that is known to have been synced. It was never
 *     acknowledged. The journal ends before the batch that it is of.
 *   - damage: it lies before that position. It is quarantined (quarantine.h), logged as an
 *     error at every start, and counted; reading goes on at the next record that is whole.
 *
 * What proves that bytes were synced: a later segment, a batch header further on that says so
 * (TAG_SYNCED), the watermark of an earlier writer, the position in a reader's snapshot.
 *
 * Segments that every reader's snapshot is past are not read again; the last one always is.
 * What is kept of the last segment is written again where no proof covers it, and then synced:
 * after a kill, or a sync that failed, the page cache may show what the disk does not have. */
#ifndef JOURNAL_RECOVER_H
#define JOURNAL_RECOVER_H

#include "journal/writer.h"

struct recovered {
    uint64_t end;        /* the journal's valid end: where the next segment begins */
    uint64_t cut;        /* bytes behind it */
    uint64_t highest_id; /* of MESSAGE, CARRIED, OUTCOME and DSN records and segment headers */
    stamp last_stamp;
    unsigned quarantined; /* ranges, old and new */
    uint64_t disk_bytes;  /* of all segment files */
};

/* The queue id that a record is about, 0 when it is about none. */
uint64_t journal_queue_id(enum record_type type, slice fields);

/* 0 or -errno; -EIO and the like leave everything as it was, for another try. */
int recover(const struct journal_config *config, struct recovered *out) MUST_USE NONNULL(1, 2);

#endif
