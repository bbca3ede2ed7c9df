/* quoted: quoted-printable (RFC 2045 section 6.7), written, and its hexadecimal. */
#ifndef CODEC_QUOTED_H
#define CODEC_QUOTED_H

#include "base/buf.h"

/* Appends one line of text, without its end: ASCII, in lines of at most 76 octets with soft
 * ends between them. None begins with a dot or with "From ", which some programs change. */
void quoted_put_line(struct buf *out, slice line) NONNULL(1);
/* Appends text whose lines end in LF; they end in CRLF then. */
void quoted_put_text(struct buf *out, slice text) NONNULL(1);
/* Appends an octet in capital hexadecimal behind the mark: "=C3", "%C3". */
void quoted_put_hex(struct buf *out, char mark, unsigned char c) NONNULL(1);

#endif
