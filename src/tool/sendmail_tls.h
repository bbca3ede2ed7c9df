/* sendmail_tls: a connection of sendmail's to another machine, over TLS with a verified
 * certificate: nothing is said without. */
#ifndef TOOL_SENDMAIL_TLS_H
#define TOOL_SENDMAIL_TLS_H

#include "tool/sendmail_wire.h"

#include <sys/types.h>

/* Connects to the host's addresses, one after the other. 0 or -errno; -ENXIO: there is no such
 * host. */
int sendmail_tls_connect(struct sendmail_wire *w, const char *host, const char *port) MUST_USE
    NONNULL(1, 2, 3);
/* TLS from here on; the certificate must be the host's, by the authorities in the file (NULL:
 * the system's). False: what is wrong is appended to *why, and the connection is of no use. */
bool sendmail_tls_start(struct sendmail_wire *w, const char *host, const char *ca_file,
                        struct buf *why) MUST_USE NONNULL(1, 2, 4);

/* For sendmail_wire: as send and recv (errno EAGAIN: wait for *events first). */
ssize_t sendmail_tls_write(struct sendmail_wire *w, slice bytes, short *events) NONNULL(1, 3);
ssize_t sendmail_tls_read(struct sendmail_wire *w, void *out, size_t len, short *events)
    NONNULL(1, 2, 4);
void sendmail_tls_end(struct sendmail_wire *w) NONNULL(1);

#endif
