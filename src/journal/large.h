/* large: a body that is too large for a record, in a file of its own.
 *
 *     large_begin, large_append..., large_finish   or   large_abort
 *
 * The bytes go to "large/tmp/<id>"; large_finish syncs them, renames the file to "large/<id>"
 * and syncs both directories. Only then may the record that names it (TAG_FILE, TAG_FILE_LEN)
 * be appended: so every record that anybody reads has its file, whole. large_finish waits for
 * the disk and belongs on a thread that may; the others only reach the page cache. A failed
 * write or sync is never tried again: large_abort is what is left. */
#ifndef JOURNAL_LARGE_H
#define JOURNAL_LARGE_H

#include "base/env.h"

enum { LARGE_NAME_SIZE = 32 };

struct large {
    struct env *env;
    int fd;
    uint64_t len;
    char file[LARGE_NAME_SIZE]; /* "large/<id>": for TAG_FILE, once finished */
    char tmp[LARGE_NAME_SIZE];
    int error; /* of the first call that failed; sticky */
};

/* Makes "large" and "large/tmp", durably, where they are missing: once, at start. */
int large_prepare(struct env *env) MUST_USE NONNULL(1);
/* Removes what an earlier run left in "large/tmp": at smtpd's start, before the first
 * large_begin. The count or -errno. */
int large_sweep(struct env *env) MUST_USE NONNULL(1);

/* id: the message's queue id. 0 or -errno; after a failure there is nothing to abort. */
int large_begin(struct large *l, struct env *env, uint64_t id) MUST_USE NONNULL(1, 2);
/* 0 or -errno. */
int large_append(struct large *l, slice bytes) MUST_USE NONNULL(1);
/* The same of several pieces, which are written as one. */
int large_append_vector(struct large *l, const struct iovec *iov, int count) MUST_USE
    NONNULL(1);
/* Durable under l->file when it returns 0, and over. On failure the file is gone as far as the
 * disk lets us, and over as well. */
int large_finish(struct large *l) MUST_USE NONNULL(1);
/* Harmless when it is over. */
void large_abort(struct large *l) NONNULL(1);

/* Removes a finished body that nobody needs any more: 0 (also when it is gone) or -errno. */
int large_remove(struct env *env, const char *file) MUST_USE NONNULL(1, 2);

#endif
