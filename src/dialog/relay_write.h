/* relay_write: the lines that our client sends. For relay alone. Whatever it is given, one call
 * writes one command: what could break out of a line is refused by relay_write_is_safe first.
 */
#ifndef DIALOG_RELAY_WRITE_H
#define DIALOG_RELAY_WRITE_H

#include "dialog/relay.h"

/* "VERB argument"; without the blank when the argument is empty. */
void relay_write_command(struct buf *out, slice verb, slice argument) NONNULL(1);

/* Can these addresses be written as they are, without ending the path or the line? */
bool relay_write_is_safe(const struct relay_message *m) NONNULL(1);

/* MAIL with the parameters that the message needs and the peer offers (RFC 1870, 6152, 6531,
 * 3461). The arena is for what is encoded on the way. */
void relay_write_mail(struct buf *out, struct arena *a, const struct relay_message *m,
                      const struct ehlo *peer) NONNULL(1, 2, 3, 4);
void relay_write_rcpt(struct buf *out, struct arena *a, const struct relay_recipient *to,
                      const struct ehlo *peer) NONNULL(1, 2, 3, 4);

/* One base64 line. */
void relay_write_base64(struct buf *out, struct arena *a, slice text) NONNULL(1, 2);
/* AUTH PLAIN (RFC 4616) with its initial response; false, and "AUTH PLAIN" alone, when the line
 * would be over 512 octets (RFC 4954 section 4): relay_write_plain follows after 334. */
bool relay_write_auth_plain(struct buf *out, struct arena *a, slice login, slice secret)
    NONNULL(1, 2);
void relay_write_plain(struct buf *out, struct arena *a, slice login, slice secret)
    NONNULL(1, 2);

#endif
