/* scan: reads the records of one segment file, in order, through a window of memory.
 *
 * Used by readers and by recovery; a record is only whole when its head and (unless heads_only)
 * its body agree with their checksums under the segment's key. */
#ifndef JOURNAL_SCAN_H
#define JOURNAL_SCAN_H

#include "base/env.h"
#include "journal/reader.h"

struct scan {
    struct env *env;
    int fd;        /* the caller's */
    uint64_t base; /* of the segment */
    uint64_t key;
    bool heads_only; /* bodies are neither read nor checked */
    /* bytes at hand: */
    char *buf;
    size_t cap;
    size_t len;
    uint64_t start; /* position of the first */
};

/* Turns to another file; keeps the memory. */
void scan_enter(struct scan *s, struct env *env, int fd, uint64_t base, uint64_t key)
    NONNULL(1, 2);
/* A zeroed one has no memory. */
void scan_fini(struct scan *s) NONNULL(1);

/* The bytes from the position up to the limit, at most len: *out and the count (less at the
 * limit and at the end of the file), or -errno. Nothing behind the limit is ever read.
 * Borrowed until the next call. */
ssize_t scan_bytes(struct scan *s, uint64_t position, size_t len, uint64_t limit,
                   const char **out) MUST_USE NONNULL(1, 5);
/* The record at the position, which must end by the limit: 0, -EBADMSG when there is no whole
 * one, or another -errno. Fields are borrowed until the next call. */
int scan_record(struct scan *s, uint64_t position, uint64_t limit,
                struct journal_record *out) MUST_USE NONNULL(1, 4);
/* The position of the first whole record from there on: 0, -ENOENT when there is none before
 * the limit, or another -errno. */
int scan_search(struct scan *s, uint64_t position, uint64_t limit, uint64_t *found) MUST_USE
    NONNULL(1, 4);

/* The batch that is being read. It was written and synced as one: when a part of it is missing,
 * and nothing proves that it was synced, all of it never happened. */
struct scan_batch {
    uint64_t start; /* of its header */
    uint64_t left;  /* records of it that were not found */
    bool is_torn;   /* the next bytes are no record: what comes later is not of it */
};
/* The next record of the file, and a place where there is none. */
void scan_batch_note(struct scan_batch *b, const struct journal_record *r) NONNULL(1, 2);
void scan_batch_tear(struct scan_batch *b) NONNULL(1);

#endif
