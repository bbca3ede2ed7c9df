/* maildir: messages written into a Maildir, durably, many at a time.
 *
 * A message becomes a file of its own with LF line ends. Its bytes are "Return-Path: <...>",
 * one "Delivered-To: ..." per recipient, and then the message as it would have been sent. Files
 * are written to tmp/ and synced, then renamed into new/, which is synced last: a name in new/
 * is a whole message, also after a power cut. The name follows from the message, so that one
 * which is captured again after a crash takes the place of itself.
 *
 * For a jobs thread: blocks on the disk. */
#ifndef DELIVERY_MAILDIR_H
#define DELIVERY_MAILDIR_H

#include "delivery/letter.h"

/* Makes the directory with its tmp, new and cur, synced. 0 or -errno. */
int maildir_make(struct env *env, const char *dir) MUST_USE NONNULL(1, 2);

struct maildir_item {
    struct parcel_facts facts;
    uint32_t *indexes; /* rising */
    uint32_t count;
    int result; /* 0: durable; -errno: not, or not surely */
};

/* Writes the items; sets each one's result. */
void maildir_write(struct env *env, const struct letter_store *store, const char *dir,
                   struct maildir_item *items, size_t count) NONNULL(1, 2, 3, 4);

#endif
