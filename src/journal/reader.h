/* reader: reads a journal up to its watermark, from any position, and follows it.
 *
 * A reader never passes the watermark, and gives only records whose head and body agree with
 * their checksums (journal_reader_skip_bodies: whose head does). Damage that recovery has
 * quarantined is stepped over and reported once (`-EBADMSG` from journal_next, after which
 * reading goes on behind it); damage that nobody has quarantined ends reading with -EUCLEAN.
 * One thread per reader; journal_pread may be called from any thread. */
#ifndef JOURNAL_READER_H
#define JOURNAL_READER_H

#include "base/env.h"
#include "codec/record.h"
#include "journal/watermark.h"

struct journal_reader;

struct journal_record {
    struct record_header header;
    uint64_t position;      /* of the record */
    uint64_t next;          /* position behind it: where to go on after a restart */
    slice fields;           /* borrowed until the next call */
    uint64_t body_position; /* where its body begins, for journal_pread */
};

/* position: from a snapshot, or 0 for the oldest that there is. 0 or -errno (-ENOENT: the
 * position's segment is gone). */
int journal_reader_open(struct journal_reader **out, struct env *env, const char *dir,
                        const struct watermark *watermark, uint64_t position) MUST_USE
    NONNULL(1, 2, 3, 4);
/* Clears the pointer; takes NULL. */
void journal_reader_close(struct journal_reader **r);
/* From here on bodies are neither read nor checked, only heads and fields are: for readers that
 * never look at them. A body that is damaged shows to the one who reads it. */
void journal_reader_skip_bodies(struct journal_reader *r) NONNULL(1);

/* 1: a record (batch headers are not shown); 0: nothing below the watermark; -errno. Records of
 * every type are given: one that is unknown and not RECORD_SKIPPABLE must end the caller's
 * reading. */
int journal_next(struct journal_reader *r, struct journal_record *out) MUST_USE NONNULL(1, 2);
/* Where the next record will be read from. */
uint64_t journal_reader_position(const struct journal_reader *r) NONNULL(1);

/* Where a journal ends that its writer has not opened yet, as far as its batches are whole: for
 * who must know what it says before that. Bytes that were never synced may be among them; the
 * writer, when it recovers, keeps and syncs them. Nothing is changed. 0, -ENOENT when there is
 * no journal, or another -errno. */
int journal_find_end(struct env *env, const char *dir, uint64_t *end) MUST_USE NONNULL(1, 2, 3);

/* Random access to bytes that were published, with a small cache of open segments. */
struct journal_store;
/* dir: the journal's. 0 or -errno. */
int journal_store_open(struct journal_store **out, struct env *env, const char *dir) MUST_USE
    NONNULL(1, 2, 3);
/* Nobody may be reading any more. Clears the pointer; takes NULL. */
void journal_store_close(struct journal_store **s);
/* Optional: with the journal's watermark at hand the store looks for new segments once per
 * published batch at most, not once per record that is new to it. */
void journal_store_follow(struct journal_store *s, const struct watermark *watermark)
    NONNULL(1, 2);
/* len bytes from the position (never across a record's end); 0 or -errno. Thread-safe. */
int journal_pread(struct journal_store *s, uint64_t position, void *out, size_t len) MUST_USE
    NONNULL(1, 3);
/* The same from the beginning of a record, and the seed of its checksums (codec/record). */
int journal_pread_record(struct journal_store *s, uint64_t position, void *out, size_t len,
                         uint64_t *seed) MUST_USE NONNULL(1, 3, 5);

#endif
