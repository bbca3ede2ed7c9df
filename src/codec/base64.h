/* base64: of whole contents, in lines (RFC 4648 section 4, RFC 2045 section 6.8). The short
 * strings of sign-ins are in codec/sasl. */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include "base/buf.h"

/* The 64 characters, in the order of their values. */
extern const char base64_alphabet[];
/* The value of one of them; -1: it is none. */
int base64_sextet(char c);

/* Appends it in lines of `width` characters (a multiple of 4), each ended by CRLF. */
void base64_write_lines(struct buf *out, slice bytes, size_t width) NONNULL(1);
/* Appends the octets to out (NULL: only checks). Line ends and blanks are passed over; false on
 * anything else that is not of the alphabet, on wrong padding, on bits that padding leaves. */
bool base64_read(struct buf *out, slice text);

#endif
