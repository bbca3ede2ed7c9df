/* sendmail_spool: a message's body until it is sent: in memory while it is small, in a file
 * without a name when it is not. So a slow program does not hold a session open, the size is
 * known beforehand, and a busy door can be tried again. */
#ifndef TOOL_SENDMAIL_SPOOL_H
#define TOOL_SENDMAIL_SPOOL_H

#include "base/buf.h"

#include <sys/types.h>

enum { SENDMAIL_SPOOL_MEMORY = 1024 * 1024 };

struct sendmail_spool {
    struct buf memory; /* the first octets, at most about SENDMAIL_SPOOL_MEMORY */
    int fd;            /* those behind them, from offset 0; -1: none */
    uint64_t size;     /* of both */
};

void sendmail_spool_init(struct sendmail_spool *s) NONNULL(1);
void sendmail_spool_fini(struct sendmail_spool *s) NONNULL(1);

/* 0 or -errno. The file is made in $TMPDIR, /var/tmp or /tmp, the first where one can be. */
int sendmail_spool_add(struct sendmail_spool *s, slice bytes) MUST_USE NONNULL(1);
/* Up to len octets from the offset: the count (0: the end) or -errno. */
ssize_t sendmail_spool_read(const struct sendmail_spool *s, uint64_t at, void *out,
                            size_t len) MUST_USE NONNULL(1, 3);

#endif
