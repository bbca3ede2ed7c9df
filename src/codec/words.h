/* words: encoded words (RFC 2047): text of a header field beyond ASCII, for people to read, and
 * written by us. */
#ifndef CODEC_WORDS_H
#define CODEC_WORDS_H

#include "base/arena.h"
#include "base/buf.h"

/* An unfolded value with its encoded words read: UTF-8, US-ASCII, ISO-8859-1, ISO-8859-15 and
 * windows-1252 in B or Q become UTF-8; blanks between two of them go (section 6.2). A word that
 * is anything else, or not well formed, stays as it was written. At most three times as long as
 * the value; what is not UTF-8 besides stays, too. Never fails. */
slice words_decode(struct arena *a, slice value) NONNULL(1);

/* Octets that an encoded word of one character can take: 4 octets of UTF-8 in Q. */
enum { WORDS_LEAST = sizeof("=?utf-8?Q?") - 1 + 12 + sizeof("?=") - 1 };

/* Appends UTF-8 text as encoded words in UTF-8 and Q, whatever is in it; they may stand in
 * unstructured fields, phrases and comments. Words are folded and part no character; lines are
 * of at most 76 octets. Controls become blanks; what is not UTF-8 becomes '?'. `column`: how
 * long the line is already, at least 1; returns how long the last one is then. */
size_t words_encode(struct buf *out, slice text, size_t column) NONNULL(1);

#endif
