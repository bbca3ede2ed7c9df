/* channel: messages between the parent and a role: a name and, perhaps, a descriptor. */
#ifndef NET_CHANNEL_H
#define NET_CHANNEL_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/slice.h"

enum { CHANNEL_NAME_MAX = 128, CHANNEL_FD = 3 /* the role's end, after exec */ };

/* A pair of ends that keep messages apart; both are close-on-exec. 0 or -errno. */
int channel_pair(int ends[2]) MUST_USE;
/* fd: a copy goes along; -1: none. 0 or -errno. */
int channel_send(int channel, const char *name, int fd) MUST_USE NONNULL(2);
/* 1: a message, *fd is its descriptor (the caller's, close-on-exec) or -1; 0: the other end has
 * gone; -errno (-EAGAIN: nothing there, when `wait` is false). */
int channel_receive(int channel, bool wait, char name[CHANNEL_NAME_MAX], int *fd) MUST_USE
    NONNULL(3, 4);

/* A file in memory that nobody can change any more, read from its beginning with pread. The
 * descriptor or -errno. */
int channel_sealed(const char *name, slice contents) MUST_USE NONNULL(1);
/* Appends its contents, at most a mebibyte. 0 or -errno. */
int channel_contents(int fd, struct buf *out) MUST_USE NONNULL(2);

#endif
